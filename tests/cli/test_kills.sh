#!/usr/bin/env bash
# Twenty kills of ranks and launchers, at named places and at random instants, also while a run takes itself up again: each ends in the bytes
# of the run that was never killed. heavy/kills.sh does it for hours, and at every place.
. "$(dirname "$0")/lib.sh"
. "$here/kill_support.sh"
make_kill_run 10

fired=0
# hit FAULT RANKS...: all of these in turn must strike.
hit() {
    while [ $# -gt 0 ]; do
        strike "$1" "$2" || fail "$what: nothing was hit"
        fired=$((fired + 1))
        shift 2
    done
}

begin_case "a run that begins"
hit run.locked:1 2 file.synced:1 1 run.prepared:1:0 1 step.begun:1:2 3 append.written:4 1
tear digests.jsonl
tear metrics.jsonl
tear ledger.jsonl
resume 4
begin_case "sums over the ranks, beside the computation"
beside
hit reduce.posted:9:1 2 reduce.added:21:0 3 gather.posted:14:2 3 gather.done:8:1:launcher 2
resume 1
in_turn
begin_case "files"
hit entry.removed:3 1 folder.synced:13 2 piece.written:8:1 2
resume 3
begin_case "checkpoints"
hit save.share_written:3:1 2 save.folder_synced:2 1 save.renamed:3:0:launcher 3 run.chosen:1:1 2 save.linked:2 1
resume 2
begin_case "any instant"
RANDOM=${GR_TEST_SEED:-$$}
echo "instants: GR_TEST_SEED=${GR_TEST_SEED:-$$}"
for victim in 1 launcher all; do
    for ((misses = 0; misses < 10; misses++)); do
        ! strike "0.$((RANDOM % 3 + 2))$RANDOM@$victim" 2 || break
        resume 2 # it was over before, which must be as good an end as any
        begin_case "any instant"
    done
    [ $misses -lt 10 ] || fail "$what: nothing was hit in ten runs"
    fired=$((fired + 1))
done
resume 2
expect_code 0 "" "$GRADUS" verify run
echo "$fired kills: $(sort -n lost | tail -n 1) updates lost at most; $(sort -n recovery | awk '{ t[NR] = $1 } END { print t[int((NR + 1) / 2)] " s median, " t[NR] " s at most" }') from a fault to a new step"
