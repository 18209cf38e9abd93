#!/usr/bin/env bash
# The order of samples, the packed rows and every bit of their pixels do not depend on the ranks (1, 2, 3, 4, 8) or their threads, nor
# on where a loader begins; in an epoch each sample is used exactly once, as another program (h5py, or `gradus data show`) reads the shards.
# cli/test_order.sh is its short form.
# usage: order.sh ORDER GRADUS SET TOKENIZER FOLDER [STARTS]      ORDER: build/tests/mpi_order; STARTS: positions to begin at (48)
set -euo pipefail
[ $# -ge 5 ] || { sed -n '2,6s/^# //p' "$0" >&2; exit 2; }
order=$(realpath "$1") gradus=$(realpath "$2") set=$(realpath "$3") tokenizer=$(realpath "$4") starts=${6:-48}
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$5"
cd "$5"
export OMP_NUM_THREADS=1

fail() {
    echo "FAILED: $*" >&2
    exit 1
}

# merged NAME: what all ranks wrote, by step and lane; inside a lane as it was written.
merged() {
    sort -s -k1,1n -k2,2n "$1".*
}

rm -rf out
mkdir out
for ranks in 1 2 3 4 8; do
    mpirun --oversubscribe -n $ranks "$order" "$set" "$tokenizer" out/all$ranks
    merged out/all$ranks >merged.$ranks
    cmp merged.1 merged.$ranks || fail "$ranks ranks give something else than 1"
done
steps=$(($(tail -1 merged.1 | cut -d ' ' -f 1) + 1))
[ "$steps" -gt 8 ] || fail "an epoch of $steps steps shows nothing"
echo "1, 2, 3, 4 and 8 ranks: $(grep -c rows merged.1) lanes of $steps steps alike in every bit"

# Beginning anywhere, by another number of ranks each time.
begun=0
at=()
for ((k = 0; k < starts; k++)); do
    at+=($((k * (steps - 1) / (starts > 1 ? starts - 1 : 1))))
done
mapfile -t at < <(printf '%s\n' "${at[@]}" | sort -nu)
for ranks in 1 2 3; do
    mine=()
    for ((k = ranks - 1; k < ${#at[@]}; k += 3)); do
        mine+=("${at[k]}")
    done
    mpirun --oversubscribe -n $ranks "$order" "$set" "$tokenizer" out/from "${mine[@]}"
    for step in "${mine[@]}"; do
        merged "out/from.$step" >got
        awk -v a="$step" '$1 >= a && $1 < a + 3' merged.1 >want
        [ -s want ] && cmp want got || fail "a loader that begins at step $step gives something else"
        begun=$((begun + 1))
    done
    rm -f out/from.*
done
echo "begun at $begun of $steps steps: alike in every bit"

# The account against the shards.
awk '$3 == "used" { print $4, $5 }' merged.1 | sort -n >account
python=${PYTHON:-python3}
if "$python" -c 'import h5py' 2>/dev/null; then
    "$python" "$here/../reference/list_ids.py" "$set" >listed
    by=h5py
else
    count=$("$gradus" data info "$set" --brief | sed -n 's/^samples //p')
    for ((i = 0; i < count; i++)); do
        echo "$i $("$gradus" data show "$set" --index $i | sed -n 's/^id //p')"
    done >listed
    by="gradus data show"
fi
[ -s listed ] && cmp listed account || fail "not every sample was used exactly once"
echo "$(wc -l <account) samples, each used exactly once, as $by lists them"
