#!/usr/bin/env bash
# R1 to R3, R5, R6: a run of 40 small steps that is killed (SIGKILL), started again on another number of ranks, perhaps killed again while it takes
# itself up, until it is done. It must end in the bytes of the run on one rank that was never killed: checkpoints, model, digests of every
# step, ledger, metrics; and its own books must show that no sample was lost or read twice. cli/test_kills.sh is its short form.
# usage: kills.sh GRADUS FOLDER COUNT [SEED]   COUNT random cases, each one to three kills; the case of seed S again: COUNT 1, SEED S
#        kills.sh GRADUS FOLDER every [SEED]   every failpoint, on the first and the last rank, at its first, middle and last passage: in a run on one
#                                              rank, in one on three (in two ways), and in one on two that was killed before
# A third of the random cases moves gradients beside the computation, half of these in bf16. Half of the kills come at random instants, half at random failpoints;
# they strike a rank, all ranks, the launcher, or all of these. A kill that hit nothing (the run was over before) counts as a miss, and a case without a hit
# counts for nothing. A quarter of the kills leaves a torn line behind.
set -euo pipefail
[ $# -ge 3 ] || { sed -n '2,10s/^# //p' "$0" >&2; exit 2; }
GRADUS=$(realpath "$1") count=$3 seed=${4:-1}
. "$(dirname "${BASH_SOURCE[0]}")/../cli/lib.sh" "$2"
. "$here/kill_support.sh"
make_kill_run 30
counts=(1 2 3 4 5 8)
ways=(in_turn beside)

# The same in bf16, with fp32 master weights.
in_bf16() {
    beside
    calm=calm-bf16 settings+=" --set precision=bf16"
}
if grep -q avx512_bf16 /proc/cpuinfo && "$GRADUS" bench step --model "$here/tiny.yaml" --images 0 --tokens 8 --rounds 1 --precision bf16 >/dev/null 2>&1; then
    in_bf16
    expect_code 0 "complete: $updates steps" "$GRADUS" train recipe.yaml --run $calm $settings
    ways+=(in_bf16)
else
    echo "notice: no run is in bf16: no AVX512_BF16 or no oneDNN here"
fi

# The passages of every place on every rank, and the seconds of a run that is not killed.
declare -A seconds
for how in ${ways[*]}; do
    $how
    for on in ${counts[*]}; do
        begin_case "$on ranks, never killed, $how"
        launch "$on" "count:counts-$on-$how"
        ended
        seconds[$on-$how]=$(awk -v a="$started" -v b="$over" 'BEGIN { print b - a }')
        expect_calm "$what"
    done
done

# random N: R is a number from 0 to N - 1 (splitmix64, so that neighbouring seeds have nothing in common).
random() {
    local z
    state=$((state + 0x9E3779B97F4A7C15))
    z=$(((state ^ (state >> 30 & 0x3FFFFFFFF)) * 0xBF58476D1CE4E5B9))
    z=$(((z ^ (z >> 27 & 0x1FFFFFFFFF)) * 0x94D049BB133111EB))
    z=$((z ^ (z >> 31 & 0x1FFFFFFFF)))
    R=$(((z & 0x7FFFFFFFFFFFFFFF) % $1))
}

random_ranks() {
    random ${#counts[*]}
    on=${counts[R]}
}

# random_fault KILLS: a fault for a run on $on ranks that was killed so often before.
random_fault() {
    local rank victim name passages
    random "$on"
    rank=$R
    random 2
    if [ "$R" = 0 ]; then
        random 8
        case $R in
        0) victim=launcher ;;
        1) victim=ranks ;;
        2) victim=all ;;
        *) victim=$rank ;;
        esac
        [ "$on" != 1 ] || victim=0
        random 1000 # a run that was killed has less to do
        fault=$(awk -v r="$R" -v s="${seconds[$on-$how]}" -v k="$1" 'BEGIN { printf "%.3f", r / 1000 * s * (k > 0 ? 0.7 : 1) }')@$victim
        return
    fi
    mapfile -t places < <(awk '$2 > 0 { print $1, $2 }' "counts-$on-$how.$rank")
    random ${#places[*]}
    name=${places[R]% *} passages=${places[R]#* }
    [ "$1" = 0 ] || passages=$(((passages + 3) / 4))
    random "$passages"
    fault=$name:$((R + 1)):$rank
    random 5
    [ "$R" != 0 ] || [ "$on" = 1 ] || fault=$fault:launcher
}

# The case of $state: true if a kill struck.
random_case() {
    local faults=() torn=() i kills=1 hits=0
    random $((2 * ${#ways[*]}))
    how=${ways[R % 2 ? R / 2 : 0]}
    $how
    random 6
    [ "$R" -lt 3 ] || kills=2
    [ "$R" != 5 ] || kills=3
    for ((i = 0; i < kills; i++)); do
        random_ranks
        random_fault $i
        faults+=("$fault" "$on")
        random 12
        case $R in
        0) torn+=(digests.jsonl) ;;
        1) torn+=(metrics.jsonl) ;;
        2) torn+=(ledger.jsonl) ;;
        *) torn+=("") ;;
        esac
    done
    random_ranks
    local last=$on
    for ((i = 0; i < 2 * kills; i += 2)); do
        on=${faults[i + 1]}
        if ! strike "${faults[i]}" "$on"; then
            [[ ${faults[i]} != *@* ]] || scale $on 0.9 # the machine is faster than it was
        else
            [[ ${faults[i]} != *@* ]] || scale $on 1.02
            hits=$((hits + 1))
            [ $hits = 1 ] || doubles=$((doubles + 1))
            [[ ${faults[i]} != *launcher* ]] || launchers=$((launchers + 1))
            [[ ${faults[i]} != *@ranks && ${faults[i]} != *@all ]] || everybody=$((everybody + 1))
            [[ ${faults[i]} != *@* ]] || instants=$((instants + 1))
            [ -z "${torn[i / 2]}" ] || tear "${torn[i / 2]}"
        fi
    done
    fired=$((fired + hits))
    if [ $hits = 0 ]; then
        expect_calm "$what" # the run was over before
        return 1
    fi
    resume "$last"
}

# scale RANKS FACTOR: how long a run is thought to take, from which instants are drawn.
scale() {
    seconds[$1-$how]=$(awk -v s="${seconds[$1-$how]}" -v f="$2" 'BEGIN { print s * f }')
}

report() {
    sort -n "$1" | awk -v what="$2" '{ t[NR] = $1 } END { printf "%s: %d, median %s, 99 of 100 at most %s, worst %s\n", what, NR, t[int((NR + 1) / 2)], t[int(NR * 0.99 + 0.99)], t[NR] }'
}

fired=0 doubles=0 launchers=0 everybody=0 instants=0 cases=0
if [ "$count" != every ]; then
    echo "seeds from $seed on"
    while [ $cases -lt "$count" ]; do
        state=$seed
        begin_case "seed $seed"
        if random_case; then
            cases=$((cases + 1))
            [ $((cases % 50)) != 0 ] || echo "$cases cases: $fired kills, $(wc -l <missed) missed, the last of seed $seed"
        fi
        seed=$((seed + 1))
    done
    expect_code 0 "" "$GRADUS" verify run
    echo "$cases of $cases cases ended in the same bytes: $fired kills ($instants at instants, $((fired - instants)) at failpoints; $launchers of launchers, $everybody of all ranks," \
        "$doubles while a killed run went on), $(wc -l <missed) missed"
else
    # passages COUNTS RANK: "NAME K RANK" for the first, the middle and the last.
    passages() {
        awk -v rank="$2" '$2 > 0 { last = 0; split("1 " int(($2 + 1) / 2) " " $2, k); for (i = 1; i <= 3; i++) if (k[i] != last) { print $1 ":" k[i] ":" rank; last = k[i] } }' "$1.$2"
    }
    state=$seed
    # A run on two that goes on from update 16, to count its places.
    in_turn
    begin_case "a run that goes on"
    strike step.recorded:17:1 2
    cp -r run half
    resume 2
    { passages counts-1-in_turn 0 | sed 's/$/ 1 new in_turn/'
      for rank in 0 2; do
          passages counts-3-in_turn $rank | sed 's/$/ 3 new in_turn/'
          passages counts-3-beside $rank | grep '^reduce\|^gather\|^step' | sed 's/$/ 3 new beside/'
      done
      for rank in 0 1; do passages counts $rank | sed 's/$/ 2 half in_turn/'; done; } >all
    cut -d ' ' -f 1 counts.0 | while read -r name; do
        grep -q "^$name:" all || fail "no run passed the failpoint $name"
    done
    echo "$(wc -l <all) cases: $(cut -d : -f 1 all | sort -u | wc -l) failpoints; seed $seed"
    while read -r fault on begun how <&3; do
        $how
        begin_case "$fault on $on ranks ($begun, $how)"
        [ "$begun" = new ] || cp -r half run
        strike "$fault" "$on" || fail "$what: nothing was hit"
        random_ranks
        resume "$on"
        cases=$((cases + 1))
        [ $((cases % 50)) != 0 ] || echo "$cases cases"
    done 3<all
    echo "$cases of $cases cases ended in the same bytes"
fi
[ ! -s hung ] || echo "$(wc -l <hung) launchers did not notice that their ranks were dead, and were killed after 3 s; of these the times say nothing"
report lost "updates computed again after a fault (a checkpoint every 4)"
report gone "seconds from a fault until no process was left"
report recovery "seconds from a fault to the first new step"
[ ! -s missed ] || { echo "missed:" && cat missed; }
