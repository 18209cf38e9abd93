#!/usr/bin/env bash
# data import from tars and TSVs, on several ranks, killed and gone on with.
. "$(dirname "$0")/lib.sh"

images=$(cd "$here/../fixtures/images" && pwd)
pictures=(rgb.png rgb_trns.png grey8.png rgb420.jpg lossy.webp)
for i in "${!pictures[@]}"; do
    [ -f "$images/${pictures[i]}" ] || fail "no fixture ${pictures[i]}"
done

# 700 records in 11 units, of them 3 bad, 2 twins.
for ((i = 0; i < 700; i++)); do
    picture=${pictures[i % ${#pictures[@]}]}
    case $i in
        100 | 300 | 699) picture=missing.png ;;
    esac
    number=$i
    [ $i != 500 ] || number=5
    printf '{"id": "r%d", "image": "%s", "n": %d, "conversations": [{"from": "human", "value": "<image>\\nq"}, {"from": "gpt", "value": "a %d"}]}\n' \
        "$i" "$picture" "$number" "$number"
done >many.jsonl
import=("$GRADUS" data import --from llava many.jsonl --images "$images" --encode lossless --shard-bytes 20000)
expect_code 65 "3 bad records, 2 allowed" "${import[@]}" --out bad --max-rejects 2
[ "$(wc -l <bad/rejects.jsonl)" = 3 ] || fail "not all rejects are listed: $(cat bad/rejects.jsonl)"
grep -q '"line":700,"id":"r699"' bad/rejects.jsonl || fail "the last reject is not listed"
[ ! -e bad/manifest.json ] || fail "a refused import left a data set"
expect_code 0 "^samples 697$" "${import[@]}" --out whole --max-rejects 3
grep -q "^duplicates 1$" stdout || fail "wrong count of duplicates"
grep -q '"samples":\[5,498\],"ids":\["r5","r500"\]' whole/duplicates.jsonl || fail "wrong duplicates: $(cat whole/duplicates.jsonl)"
[ "$(ls whole/shard-*.h5 | wc -l)" -gt 4 ] || fail "too few shards for this test"

# More rejects are allowed now: the same command goes on and comes to the same files.
expect_code 0 "going on" "${import[@]}" --out bad --max-rejects 3
diff -r whole bad || fail "an import that was allowed more rejects has other files"

# The same files on any number of ranks.
for ranks in 2 3; do
    expect_code 0 "^samples 697$" mpirun -n $ranks "${import[@]}" --out ranks --max-rejects 3
    diff -r whole ranks || fail "$ranks ranks gave other files"
    rm -r ranks
done
expect_code 65 "3 bad records, 0 allowed" mpirun -n 2 "${import[@]}" --out ranks
expect_code 66 "nowhere" mpirun -n 2 "$GRADUS" data import --from llava nowhere.jsonl --out ranks
rm -r ranks

# Killed at any time, on any number of ranks, and gone on with by another number.
killed=0
for ((round = 0; round < 24; round++)); do
    if ((round % 3 == 0)); then
        mpirun -n 2 "${import[@]}" --out killed --max-rejects 3 >/dev/null 2>&1 &
    else
        "${import[@]}" --out killed --max-rejects 3 >/dev/null 2>&1 &
    fi
    child=$!
    sleep "0.$((RANDOM % 3))$((RANDOM % 10))"
    kill -9 $child 2>/dev/null && killed=$((killed + 1))
    wait $child 2>/dev/null || true
    if [ -e killed/manifest.json ]; then
        # mpirun's ranks may have outlived it, and a kill while cleaning up leaves a finished data set.
        for ((i = 0; i < 100; i++)); do
            [ -e killed/.work/plan.json ] || break
            "${import[@]}" --out killed --max-rejects 3 >/dev/null 2>&1 || sleep 0.1
        done
        rm -rf killed/.work
        diff -r whole killed || fail "round $round: an import that was killed has other files"
        rm -r killed
    fi
done
for ((i = 0; i < 100; i++)); do
    "${import[@]}" --out killed --max-rejects 3 >stdout 2>stderr && break
    sleep 0.1 # ranks of a killed mpirun may still have the lock
done
diff -r whole killed || fail "an import that was killed has other files"
[ $killed -gt 5 ] || fail "only $killed imports were killed: nothing was tested"

# A rank that is killed ends the job; with the other one, or alone, it goes on to the same files.
cat >rank.sh <<'END'
echo $$ >"pid.$OMPI_COMM_WORLD_RANK"
exec "$@"
END
struck=0
for ((round = 0; round < 8; round++)); do
    rm -f pid.*
    mpirun -n 2 bash rank.sh "${import[@]}" --out struck --max-rejects 3 >/dev/null 2>&1 &
    child=$!
    for ((i = 0; i < 500; i++)); do
        [ ! -s pid.$((round % 2)) ] || break
        sleep 0.01
    done
    sleep "0.$((RANDOM % 4))$((RANDOM % 10))"
    kill -9 "$(cat pid.$((round % 2)))" 2>/dev/null && struck=$((struck + 1))
    end_of $child || true
    [ ! -e struck/manifest.json ] || rm -rf struck
done
[ $struck -gt 2 ] || fail "only $struck ranks were killed: nothing was tested"
for ((i = 0; i < 100; i++)); do
    "${import[@]}" --out struck --max-rejects 3 >stdout 2>stderr && break
    sleep 0.1 # the other rank may still have the lock
done
grep -q "^samples 697$" stdout || fail "an import of which a rank was killed does not go on: $(cat stderr)"
diff -r whole struck || fail "an import of which a rank was killed has other files"

# A disk of a few hundred KiB, on two ranks: the error names the file, no manifest is left, and with room the import goes on.
if unshare -rm true 2>/dev/null; then
    mkdir disk
    need=$(($(du -sk whole | cut -f 1) / 8 * 8))
    for part in 1 3 5 7; do
        cat >on_disk.sh <<END
mount -t tmpfs -o size=$((need * part / 8))k tmpfs disk || exit 99
code=0
mpirun -n 2 "\$@" --out disk/set --max-rejects 3 >stdout 2>stderr </dev/null || code=\$?
[ ! -e disk/set/manifest.json ] || code=98
mount -o remount,size=64m disk || exit 99
"\$@" --out disk/set --max-rejects 3 >/dev/null 2>again || code=97
cp -r disk/set after
exit \$code
END
        code=0
        unshare -rm bash on_disk.sh "${import[@]}" || code=$?
        [ $code = 74 ] || fail "exit $code, expected 74, on a disk that is too small: $(cat stderr again)"
        grep -Eq "disk/set[^ ]*: .*No space left on device" stderr || fail "no file and reason: $(cat stderr)"
        diff -r whole after || fail "an import that went on after a full disk has other files"
        rm -r after
    done
else
    echo "notice: NOT TESTED: a full disk on two ranks (this user may not make a mount namespace)"
fi

# Two at a time: one of them is refused, the other has the whole.
"${import[@]}" --out both --max-rejects 3 >one.out 2>one.err &
one=$!
code=0
"${import[@]}" --out both --max-rejects 3 >two.out 2>two.err || code=$?
other=0
wait $one || other=$?
[ $((code + other)) = 2 ] && [ $((code * other)) = 0 ] || fail "two imports into one folder: exit $code and $other: $(cat one.err two.err)"
diff -r whole both || fail "two imports into one folder have other files"

# Tars, also compressed, as tar itself writes them; a folder of them.
mkdir -p tar/deep
for i in 1 2 3; do
    cp "$images/rgb.png" "tar/deep/s$i.png"
    echo "caption $i" >"tar/deep/s$i.txt"
    echo "{\"k\": $i}" >"tar/deep/s$i.json"
done
for form in ustar gnu pax; do
    tar --format=$form --sort=name -cf $form.tar tar
    expect_code 0 "^samples 3$" "$GRADUS" data import --from webdataset $form.tar --out $form --task caption
    diff $form/manifest.json ustar/manifest.json || fail "tar's form $form gives other data"
done
gzip -k ustar.tar
expect_code 0 "^samples 3$" "$GRADUS" data import --from webdataset ustar.tar.gz --out packed --task caption
diff -r packed ustar || fail "a compressed tar gives other data"
head -c -30 ustar.tar.gz >torn.tar.gz
expect_code 65 "torn.tar.gz" "$GRADUS" data import --from webdataset torn.tar.gz --out torn
[ ! -e torn ] || fail "a torn archive left $(ls -A torn)"
mkdir folder
cp ustar.tar folder/a.tar
cp ustar.tar folder/b.tar
expect_code 0 "^samples 6$" mpirun -n 2 "$GRADUS" data import --from webdataset folder --out tars --task caption
grep -q "^duplicates 3$" stdout || fail "equal samples of two tars were not found"
expect_code 0 "^source tar/deep/s2$" "$GRADUS" data show tars --index 4

# A TSV; the third row has the picture of the first.
{
    printf 'index\tquestion\tA\tB\tanswer\timage\n'
    printf '1\tWhich?\tred\tblue\tA\t%s\n' "$(base64 -w 0 "$images/rgb.png")"
    printf '2\tWhich?\tred\tblue\tB\t1\n'
} >a.tsv
expect_code 0 "^images 2$" "$GRADUS" data import --from vlmeval a.tsv --out tsv
expect_code 0 "Please select the correct answer" "$GRADUS" data show tsv --index 1

# Token counts are stored on request.
make_tokenizer tokenizer
expect_code 0 "" mpirun -n 2 "$GRADUS" data import --from vlmeval a.tsv --out counted --tokenizer tokenizer
grep -q '"tokenizers": \[' counted/manifest.json || fail "no tokenizer in the manifest"

# A TSV whose last line has no end is taken, with a word, on any number of ranks once.
printf 'index\tquestion\tanswer\n1\tq\ta\n2\tr\tb' >open.tsv
expect_code 0 "^samples 2$" mpirun -n 2 "$GRADUS" data import --from vlmeval open.tsv --out open
[ "$(grep -c "open.tsv: the last line has no line end" stderr)" = 1 ] || fail "not one word of the missing line end: $(cat stderr)"

echo "import: all as expected"
