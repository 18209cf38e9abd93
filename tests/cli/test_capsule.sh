#!/usr/bin/env bash
# RUN/capsule.json: with what a run was computed, an entry for each start.
. "$(dirname "$0")/lib.sh"
export OMP_NUM_THREADS=1

make_data data
expect_code 0 "ids 280" "$GRADUS" tokenizer train --data data --vocabulary 280 --out tokenizer
make_model model
cat >recipe.yaml <<END
lanes: 3
model: {vision: model, connector: model, language: model}
tokenizer: tokenizer
stages:
  - {name: all, trains: [connector], data: [{path: data}], global_batch: 3, sequence_length: 200, steps: 4, learning_rate: 1.0e-3}
END
starts() { grep -c '"utc"' run/capsule.json; }
# value KEY...: what stands under these keys of the last start, by python3; nothing without it.
value() {
    python3 -c 'import json, sys
node = json.load(open("run/capsule.json"))["starts"][-1]
for key in sys.argv[1:]: node = node[int(key) if isinstance(node, list) else key]
print(node)' "$@"
}

expect_code 75 "after step 1 of 4" env GR_MEM_FAIL_AT=0 OPENBLAS_DYNAMIC=1 OMP_SECRET_KEY=hidden OTHER=hidden SLURM_JOB_ID=17 SLURM_JOB_USER_TOKEN=hidden \
    "$GRADUS" train recipe.yaml --run run --stop-after 1
expect_json run/capsule.json
[ "$(starts)" = 1 ] || fail "one start, $(starts) entries"
for text in '"OPENBLAS_DYNAMIC": "1"' '"SLURM_JOB_ID": "17"' '"GR_MEM_FAIL_AT": "0"' '"--stop-after",' '"launcher": null' '"ranks": 1,' '"lanes": 3,' \
    '"version": "[0-9.]*"' '"compiler": "[A-Za-z]* [0-9]' '"flags": ".*-ffp-contract=off' 'OpenBLAS' 'HDF5' 'Open MPI' '"path": "data"' "\"name\": \"$(uname -n)\""; do
    grep -q -e "$text" run/capsule.json || fail "the capsule does not say $text: $(cat run/capsule.json)"
done
! grep -q hidden run/capsule.json || fail "the capsule tells too much: $(grep hidden run/capsule.json)"
if command -v python3 >/dev/null; then
    [ "$(value data 0 digest)" = "$("$GRADUS" data info data | sed -n 's/^digest *//p')" ] || fail "the data's digest: $(value data 0 digest)"
    [ "$(value digests recipe)" = "$(python3 -c 'import json; print(json.load(open("run/checkpoints/update-00000001/gradus/state.json"))["recipe"])')" ] ||
        fail "another recipe than the checkpoint's: $(value digests recipe)"
    [ "$(value update)" = 0 ] && [ "$(value precision)" = fp32 ] && [ "$(value folder)" = "$(pwd -P)" ] || fail "the start is another"
    value program commit | grep -Eq '^([0-9a-f]{40}(-dirty)?)?$' || fail "the sources' commit: $(value program commit)"
    if [ -e "$here/../../.git" ] && git -C "$here" rev-parse HEAD >/dev/null 2>&1; then
        [ -n "$(value program commit)" ] || fail "no word of the sources' commit"
    fi
fi

expect_code 75 "after step 2 of 4" on 2 recipe.yaml --run run --stop-after 1
[ "$(starts)" = 2 ] || fail "two starts, $(starts) entries"
if command -v python3 >/dev/null; then
    [ "$(value ranks)" = 2 ] && [ "$(value hosts 0 ranks)" = "[0, 1]" ] && [ "$(value update)" = 1 ] && [ "$(value launcher)" = mpirun ] ||
        fail "the second start: $(cat run/capsule.json)"
fi

# A kill while it is written leaves the old one; a start that got no further is no entry.
expect_code 137 "" env GR_FAILPOINT=file.written:3 bash -c '"$GRADUS" train recipe.yaml --run run'
[ "$(starts)" = 2 ] || fail "$(starts) entries after a kill"
# What is no capsule is not thrown away.
echo '{"starts": 3}' >run/capsule.json
expect_code 0 "capsule.json.*list.* it is kept as run/capsule.json.damaged" "$GRADUS" train recipe.yaml --run run
grep -q 3 run/capsule.json.damaged && [ "$(starts)" = 1 ] || fail "a damaged capsule was thrown away"

echo "capsule: all as expected"
