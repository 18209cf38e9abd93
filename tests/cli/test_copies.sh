#!/usr/bin/env bash
# Ranks that read copies of the data of their own (node-local disks), one of them damaged in one text: no run goes on with ranks that packed
# different rows, whichever rank the sample belongs to.
. "$(dirname "$0")/lib.sh"
. "$here/train_support.sh"
export OMP_NUM_THREADS=1

make_run
sed -i 's/steps: 100000/steps: 5/; s/path: data/path: copy/' recipe.yaml
for rank in 0 1; do
    mkdir rank$rank
    cp -r data rank$rank/copy
    ln -s ../recipe.yaml ../model ../tokenizer rank$rank
done
# shellcheck disable=SC2016 # the ranks' own
apart='cd rank$OMPI_COMM_WORLD_RANK && exec "$0" train recipe.yaml --run ../run'
expect_code 0 "complete: 5 steps" mpirun -n 2 bash -c "$apart" "$GRADUS"

# A pass over the samples is 5 steps, so that each of them comes.
packed=0
for number in 3 11 20 34 42 57; do
    rm -rf run rank1/copy
    cp -r data rank1/copy
    text="number $number of the bandana banner" found=
    for shard in rank1/copy/*.h5; do
        at=$(grep -abo -m 1 "$text" "$shard" | head -n 1 | cut -d : -f 1) || true
        [ -z "$at" ] || { printf 'number %s of the bqxdvkz banner' "$number" | dd of="$shard" bs=1 seek="$at" conv=notrunc status=none && found=1; }
    done
    [ "$found" ] || fail "the text of sample $number was not found"
    expect_code 65 "" mpirun -n 2 bash -c "$apart" "$GRADUS"
    grep -q "rank 1 packed the samples otherwise than rank 0\|(\"s$number\",.*is damaged: content id" stderr || fail "sample $number: $(cat stderr)"
    ! grep -q "packed the samples otherwise" stderr || packed=$((packed + 1))
    [ ! -e run/final ] || fail "sample $number: a model was written"
done
[ "$packed" -ge 1 ] || fail "each damaged sample was one that rank 1 read for itself"
echo "$packed of 6 damaged texts were found by how their rank packed"
