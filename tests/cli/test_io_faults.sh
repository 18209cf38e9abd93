#!/usr/bin/env bash
# A disk that is full or broken at some file call of a run: it goes on or stops with a message, and ends in the same bytes when it is
# taken up. A file that one rank alone sees damaged. tests/crash has each call of a save; heavy/io_faults.sh each of a run.
. "$(dirname "$0")/lib.sh"
. "$here/kill_support.sh"
. "$here/io_support.sh"
expect_all_seen
make_fault_run

go_on 1 0 ""
[ $code = 75 ] || fail "without a fault: exit $code: $(cat log)"
# Up to the run's end, when it gives up its lock; behind that the report looks at what is there (the last fault is among those).
run_calls() { awk '{ line[NR] = $0 } /\/run\/lock$/ { last = NR } END { for (i = 1; i <= last; i++) print line[i] }' calls; }
all=$(wc -l <calls) calls=$(run_calls | wc -l)
[ "$calls" -gt 500 ] && [ "$all" -gt "$calls" ] || fail "$calls of $all calls are the run's"
hows=(EIO ENOSPC+ EDQUOT EIO EINTR short ENOSPC)
for ((i = 0; i < ${#hows[@]}; i++)); do
    fails_at 1 0 $((calls * (2 * i + 1) / (2 * ${#hows[@]}))) "${hows[$i]}" || fail "$what: there is no such call"
done
# A call of each kind, wherever it is: a save's sync, the rename, a line of metrics, the list of checkpoints.
for kind in fsync rename "write .*metrics" readdir; do
    go_on 1 0 ""
    fails_at 1 0 "$(run_calls | grep "^[0-9]* $kind" | sed -n '$ s/ .*//p')" EIO || fail "$what: there is no such call"
done
fails_at 1 0 $(((calls + all) / 2)) EIO || fail "$what: there is no such call"
fails_at 2 1 30 EIO || fail "$what: there is no such call"
[ $struck -ge 10 ] && [ $stopped -ge 4 ] || fail "of $tried faults $struck struck and $stopped stopped the run"

# One rank sees the newest checkpoint damaged, or cannot read it: all go back to the same one, and say which rank it was.
newest=$(ls base/checkpoints | tail -n 1) older=$(ls base/checkpoints | tail -n 2 | head -n 1)
for fault in "GR_IO_FLIP=$newest/gradus/optimizer.safetensors:30000" "GR_IO_FLIP=$newest/model-vision.safetensors:2000" GR_IO_FAIL=4:EIO; do
    rm -rf run calls
    cp -a base run
    expect_code 0 "$newest is passed over: rank 1 on $(uname -n): run/checkpoints/$newest/" \
        mpirun -n 3 env LD_PRELOAD="$shim" GR_IO_WATCH=run GR_IO_RANK=1 "$fault" "$GRADUS" train recipe.yaml --run run
    grep -q "going on from run/checkpoints/$older: " stderr || fail "$fault: not from $older: $(cat stderr)"
    [ "$(grep -c "passed over" stderr)" = 1 ] || fail "$fault: said more than once: $(cat stderr)"
    expect_calm "$fault on rank 1"
done
# None is left that rank 2 can read: nothing begins anew.
expect_code 65 "all [0-9] checkpoints are damaged, so the run cannot go on" \
    mpirun -n 3 env LD_PRELOAD="$shim" GR_IO_WATCH=base GR_IO_RANK=2 GR_IO_FLIP=/config.json:50 "$GRADUS" train recipe.yaml --run base
echo "io_faults: $struck calls failed, $stopped of them stopped the run"
