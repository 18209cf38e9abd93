#!/usr/bin/env bash
# data import, info, verify, show.
. "$(dirname "$0")/lib.sh"

make_source src
expect_code 0 "^samples 3$" "$GRADUS" data import --from llava src/source.json --images src --out set
grep -q "^images 2$" stdout || fail "wrong count of images"
grep -q "^rejects 0$" stdout || fail "wrong count of rejects"
grep -Eq "^bytes [0-9]{4} \([0-9.]+ KiB\)$" stdout || fail "no readable size: $(cat stdout)"
expect_code 0 "^digest [0-9a-f]{32}$" "$GRADUS" data info set
grep "^digest" stdout >digest
grep -q "^shards 1$" stdout || fail "wrong count of shards"
grep -Eq "^bytes [0-9]{4} \([0-9.]+ KiB\)$" stdout || fail "no readable size: $(cat stdout)"
expect_usage "set is a data set already: name a new folder" "$GRADUS" data import --from llava src/source.json --images src --out set
expect_code 0 '"samples": 3' "$GRADUS" data info set --json
expect_json stdout
expect_code 0 "^conversation_bytes$" "$GRADUS" data info set
grep -Eq "^  \(none\) +3 #" stdout || fail "the samples without a task are not counted"
grep -Eq "^ +0 +1 #" stdout || fail "the sample without picture is missing from the histogram"
grep -Eq "^ +16\.\. +1 #" stdout || fail "a picture of 20 pixels is missing from the histogram"
expect_code 0 '"picture_sides"' "$GRADUS" data info set --json
expect_json stdout
expect_code 0 "" "$GRADUS" data info set --brief
! grep -q "picture_sides" stdout || fail "a brief report has histograms"

# The same samples in smaller shards are the same data; other pictures are not.
expect_code 0 "" "$GRADUS" data import --from llava src/source.json --out cut --shard-bytes 1
expect_code 0 "^shards 3$" "$GRADUS" data info cut
grep -qF "$(cat digest)" stdout || fail "cutting into shards changed the digest"
expect_code 0 "" "$GRADUS" data import --from llava src/source.json --out small --max-side 8 --encode 80
expect_code 0 "image 0: 8 x 5 pixels" "$GRADUS" data show small --index 0

expect_code 0 "^source two$" "$GRADUS" data show set --index 1 --out two.webp
grep -q "chequered banner" stdout || fail "the conversation is missing"
[ "$(head -c 4 two.webp)" = RIFF ] || fail "two.webp is no WebP file"
expect_code 0 "^task $" "$GRADUS" data show set 0 --out one.png
head -c 4 one.png | grep -q PNG || fail "one.png is no PNG file"
cp one.png again.source.png
echo '[{"id": "again", "image": "again.source.png", "conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]}]' >again.json
expect_code 0 "" "$GRADUS" data import --from llava again.json --out again
"$GRADUS" data show again 0 --out again.png >/dev/null
cmp one.png again.png || fail "a PNG that was written has other pixels"
expect_code 0 "^index 1$" "$GRADUS" data show set two
expect_code 0 "^source two$" "$GRADUS" data show set "$("$GRADUS" data show set 1 | sed -n 's/^id //p')"
expect_code 0 '"value": "A chequered' "$GRADUS" data show set two --json
expect_json stdout
expect_code 0 "38;2;" "$GRADUS" data show set two --preview
[ "$(grep -c "38;2;" stdout)" = 4 ] || fail "7 rows of pixels are not 4 lines of blocks"
expect_usage "no sample has the source .four." "$GRADUS" data show set four
expect_usage "no sample has the content id" "$GRADUS" data show set 00000000000000000000000000000000
expect_usage "which sample" "$GRADUS" data show set
expect_usage "not more than one" "$GRADUS" data show set two --index 1
expect_usage "not more than one" "$GRADUS" data show set --source two --index 1
expect_usage "one.png is there already" "$GRADUS" data show set two --out one.png
cmp one.png again.png || fail "a picture was overwritten"
expect_usage "into each other" "$GRADUS" data show set two --json --preview
expect_usage "would overwrite what is read" "$GRADUS" data show set two --out set/two.png
expect_code 74 "" "$GRADUS" data show set two --out nowhere/two.png
expect_usage "ends in .png" "$GRADUS" data show set --index 0 --out a.jpg
expect_usage "expected 0 to 2 .the data set has 3 samples., got 3" "$GRADUS" data show set --index 3
expect_usage "expected 0 to 2 .the data set has 3 samples., got -1" "$GRADUS" data show set -1
expect_code 0 "^picture_sides .pixels of the longer side.$" "$GRADUS" data info set
expect_usage "has 0 pictures" "$GRADUS" data show set --index 2 --out x.webp

# An id of the source that is a number is no index, with --source.
cat >numbers.json <<END
[{"id": 2, "conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "two"}]},
 {"id": "1", "conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "one"}]},
 {"id": "00000000000000000000000000000007", "conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "long"}]}]
END
expect_code 0 "^samples 3$" "$GRADUS" data import --from llava numbers.json --out numbers
expect_code 0 "^index 0$" "$GRADUS" data show numbers --source 2
expect_code 0 '"value": "one"' "$GRADUS" data show numbers --source 1 --json
expect_code 0 "^index 1$" "$GRADUS" data show numbers 1
expect_code 0 "^index 2$" "$GRADUS" data show numbers --source 00000000000000000000000000000007
expect_usage 'numbers: no sample has the source "0"' "$GRADUS" data show numbers --source 0

# Pictures as WebP files stay as they are, byte for byte.
mkdir webp
cp two.webp webp/
echo '{"id": "w", "image": "two.webp", "conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]}' >webp/source.jsonl
expect_code 0 "" "$GRADUS" data import --from llava webp/source.jsonl --out kept
expect_code 0 "" "$GRADUS" data show kept --index 0 --out kept.webp
cmp kept.webp two.webp || fail "--encode keep changed a WebP file"

# Bad records.
make_source bad
head -c 60 bad/a.png >bad/torn && mv bad/torn bad/a.png
expect_code 65 "reject" "$GRADUS" data import --from llava bad/source.json --out refused
[ ! -e refused/manifest.json ] || fail "a refused import left a data set"
expect_code 0 "^samples 2$" "$GRADUS" data import --from llava bad/source.json --out most --max-rejects 1
grep -Eq "bad record(s were| was) left out" stderr || fail "no warning about a reject"
grep -q '"one"' most/rejects.jsonl || fail "the reject is not named"
expect_code 66 "nowhere" "$GRADUS" data import --from llava nowhere.json --out x
expect_code 66 "no such folder of images" "$GRADUS" data import --from llava src/source.json --images nowhere --out x
[ ! -e x ] || fail "an import without source left $(ls -A x)"
echo '{"not": "a list"}' >map.json
expect_code 65 "map.json" "$GRADUS" data import --from llava map.json --out y
expect_code 66 "nowhere" "$GRADUS" data info nowhere
expect_code 66 "manifest" "$GRADUS" data info src
echo text >file
expect_code 74 "file" "$GRADUS" data import --from llava src/source.json --out file/set

mkfifo pipe.jsonl
expect_code 74 "pipe.jsonl: is a pipe" timeout 20 "$GRADUS" data import --from llava pipe.jsonl --out piped

# A disk that is full, wherever the writing has come to: one line with the file and the system's reason, nothing that could be taken
# for a shard, and with more disk the same command comes to the same bytes.
limited() {
    trap '' XFSZ
    ulimit -f "$1"
    shift
    exec "$@"
}
expect_code 0 "" "$GRADUS" data import --from llava src/source.json --out whole
most=$(($(stat -c %s whole/shard-00000.h5) / 1024))
for ((kib = 1; kib <= most; kib++)); do
    code=0
    (limited $kib "$GRADUS" data import --from llava src/source.json --out full) >stdout 2>stderr </dev/null || code=$?
    [ $code = 74 ] || fail "exit $code, expected 74, with $kib KiB of disk: $(cat stderr)"
    grep -Ev '^(counting records|encoding records|writing shards)' stderr | grep -vc "going on with an import" >lines
    [ "$(cat lines)" = 1 ] || fail "more than a line about a full disk: $(cat stderr)"
    grep -Eq "full/\.work/[^ ]*: .*File too large" stderr || fail "no file and reason: $(cat stderr)"
    [ -z "$(ls full 2>/dev/null)" ] || fail "a failed import left files: $(ls -A full)"
done
[ -d full/.work ] || fail "what was done before the disk was full is lost"
expect_code 0 "^samples 3$" "$GRADUS" data import --from llava src/source.json --out full
grep -q "going on with an import" stderr || fail "the import did not go on"
diff -r whole full || fail "an import that went on after a full disk has other files"
rm -r full

# Damage is found and named, on any number of ranks; what is not damaged is counted.
expect_code 0 "^damaged 0$" "$GRADUS" data verify set
grep -q "^sound 3$" stdout || fail "not all samples are sound"
expect_code 0 "^sound 3$" mpirun -n 2 "$GRADUS" data verify cut
# Too few descriptors are no damage.
expect_code 1 "cannot open it: Too many open files" bash -c 'ulimit -n 5; exec "$0" data verify cut' "$GRADUS"
cp -r cut damaged
shard=damaged/shard-00001.h5
at=$(LC_ALL=C grep -obUaP "RIFF" "$shard" | head -1 | cut -d: -f1)
printf 'X' | dd of="$shard" bs=1 seek=$((at + 20)) conv=notrunc 2>/dev/null
for ranks in 1 2 4; do
    expect_code 65 "^damaged 1$" mpirun -n $ranks "$GRADUS" data verify damaged
    grep -q "^sound 2$" stdout || fail "wrong count of sound samples on $ranks ranks"
    grep -q "^fault at sample 1 (1 sample): damaged/shard-00001.h5: sample 0 (\"two\"" stdout || fail "the damaged sample is not named: $(cat stdout)"
    grep -q "1 of 3 samples is damaged, 1 fault:" stderr || fail "no verdict"
done
expect_code 65 '"damaged": 1' "$GRADUS" data verify damaged --json
sed '/^gradus:/d' stdout >verdict.json
expect_json verdict.json
at=$(LC_ALL=C grep -obUa "one" damaged/shard-00000.h5 | head -1 | cut -d: -f1)
printf 'X' | dd of=damaged/shard-00000.h5 bs=1 seek="$at" conv=notrunc 2>/dev/null
expect_code 65 "digest of its headers and index tables" "$GRADUS" data verify damaged
expect_code 65 "index tables" "$GRADUS" data info damaged
cp -r set other
sed -i 's/"digest": "[0-9a-f]\{4\}/"digest": "0000/' other/manifest.json
expect_code 65 "digest of its content ids" "$GRADUS" data verify other
expect_code 66 "nowhere" mpirun -n 2 "$GRADUS" data verify nowhere

echo "data: all as expected"
