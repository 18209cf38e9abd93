# A run that is killed, started again on any number of ranks, and must end as the one that was never killed; sourced after lib.sh, by
# cli/test_kills.sh and heavy/kills.sh. Leaves files of figures: lost (updates computed again, by fault), recovery (seconds from a
# fault to the first new step), gone (seconds from a fault until no process was left), missed (faults that did not fire), hung (launchers
# that did not notice that their ranks were dead).

export OMP_NUM_THREADS=1 OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_mpi_yield_when_idle=1 \
    OMPI_MCA_hwloc_base_binding_policy=none OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_odls_base_sigkill_timeout=0
# What a killed launcher leaves behind: the shared memory of its ranks, its own folder.
shared=$(mktemp -d /dev/shm/gradus-kills.XXXXXX 2>/dev/null || mktemp -d)
export OMPI_MCA_btl_vader_backing_directory=$shared OMPI_MCA_orte_tmpdir_base=$PWD/mpi
mkdir -p mpi
job= ranks=0 what="the run that is never killed" calm=calm settings=
kill_on_exit() {
    [ -z "$job" ] || kill -TERM "$job" 2>/dev/null || true # passed on to the launcher
    [ -z "$job" ] || kill -KILL $(cat pid.* launcher 2>/dev/null) 2>/dev/null || true
    rm -rf "$shared"
}
trap kill_on_exit EXIT
trap 'exit 143' TERM INT

# make_kill_run STEPS: a recipe with all that a run can write: two stages and a border, a sample that is dropped, held-out data, parts
# that do not train, old checkpoints that go and stay. Passes over the 60 samples are whole. Then the runs on one rank that are never killed: ./calm, and
# ./calm-overlap (`beside`).
make_kill_run() {
    local i
    make_conversations src 59
    sed -i '$ s/]$//' src/many.json
    printf ',{"id": "long", "conversations": [{"from": "human", "value": "Say"}, {"from": "gpt", "value": "' >>src/many.json
    for ((i = 0; i < 200; i++)); do printf 'zebra number %d, ' $i; done >>src/many.json
    echo '"}]}]' >>src/many.json
    expect_code 0 "samples 60" "$GRADUS" data import --from llava src/many.json --images src --out data
    make_data held
    expect_code 0 "ids 280" "$GRADUS" tokenizer train --data data --vocabulary 280 --out tokenizer
    sed 's/hidden_size: 16/hidden_size: 64/; s/intermediate_size: 24/intermediate_size: 128/' "$here/tiny.yaml" >model.yaml
    expect_code 0 "" "$GRADUS" model init --config model.yaml --seed 7 --out model
    cat >recipe.yaml <<END
seed: 5
lanes: 8
model: {vision: model, connector: model, language: model}
tokenizer: tokenizer
checkpoints: {every: 4, keep: 2, keep_every: 8}
digests: {every: 1}
stages:
  - {name: first, trains: [connector, language], data: [{path: data}], bad_samples: drop, global_batch: 12, window: 2, sequence_length: 160,
     steps: 10, learning_rate: 1.0e-3, warmup_steps: 2, weight_decay: 0.1}
  - {name: second, trains: [vision, connector, language], data: [{path: data}], bad_samples: drop, global_batch: 12, sequence_length: 160,
     validation: [{path: held}], validate_every: 10,
     steps: $1, learning_rate: {vision: 1.0e-3, connector: 2.0e-3, language: 3.0e-3}, warmup_steps: 2, weight_decay: 0.1}
END
    updates=$((10 + $1))
    expect_code 0 "complete: $updates steps" "$GRADUS" train recipe.yaml --run calm
    expect_whole calm
    beside
    expect_code 0 "complete: $updates steps" "$GRADUS" train recipe.yaml --run calm-overlap $settings
    measures calm-overlap | cmp -s - <(measures calm) || fail "recording fewer digests changed the metrics"
    in_turn
    : >lost
    : >recovery
    : >gone
    : >missed
    : >hung
}

# From here on ranks move gradients and parameters beside the computation; in steps whose digests are recorded they never do, so those of
# each third step are.
beside() {
    calm=calm-overlap settings="--set messages.overlap=always --set digests.every=3"
}
# As at the beginning.
in_turn() {
    calm=calm settings=
}

# metrics.jsonl without times and without the line about the machine.
measures() {
    untimed "$1" | sed '/"kernel"/d'
}

# names RUN: what its folder holds; the name of TensorBoard's file counts the starts, and that of the start before is there, empty.
names() {
    find "$1" -mindepth 1 -maxdepth 1 ! \( -name 'events.out.tfevents.*' -size 0 \) -printf '%f\n' | sort | sed 's/^\(events[.]out[.]tfevents[.]\)[0-9]*[.]gradus$/\1gradus/'
}

# plotted RUN: TensorBoard's file, every checksum compared, without what depends on the machine.
plotted() {
    "$(dirname "$GRADUS")/tests/read_events" $(find "$1" -name 'events.out.tfevents.*' -size +0) >"events.$1" || fail "$1: TensorBoard's file is damaged"
    grep -E '^[0-9]+ (stage|loss/|gradient_norm|learning_rate/)' "events.$1"
}

# expect_whole RUN: its own books prove that each update was done once, in order, that each sample was read as often as the stage has passes over
# the data, and that the one that is dropped, and only that, is listed each time.
expect_whole() {
    awk -v updates=$updates '
        function value(key) { match($0, "\"" key "\": ?"); return substr($0, RSTART + RLENGTH) + 0 }
        { stage = $0; sub(/.*"stage": ?"/, "", stage); sub(/".*/, "", stage) }
        FILENAME ~ /digests/ && FNR > 1 {
            if (value("update") != FNR - 1) { print "line " FNR " of digests.jsonl is of update " value("update"); bad = 1 }
            done = value("update")
            rest = $0
            while (match(rest, /"samples": ?"[^"]*"/)) {
                count = split(substr(rest, RSTART, RLENGTH), sample, /[ "]/)
                for (i = 1; i <= count; i++) if (split(sample[i], part, ":") > 2) seen[stage, part[2]]++
                rest = substr(rest, RSTART + RLENGTH)
            }
        }
        FILENAME ~ /ledger/ && /"set": ?"data"/ { dropped[stage, value("index")]++ }
        END {
            passes["first"] = 2
            passes["second"] = (updates - 10) / 5
            for (stage in passes) for (i = 0; i < 60; i++) {
                if (seen[stage, i] != passes[stage]) { print "stage " stage ": sample " i " came " seen[stage, i] + 0 " times, expected " passes[stage]; bad = 1 }
                if (dropped[stage, i] != (i == 59 ? passes[stage] : 0)) { print "stage " stage ": sample " i " was listed as dropped " dropped[stage, i] + 0 " times"; bad = 1 }
            }
            if (done != updates) { print "digests end at update " done; bad = 1 }
            exit bad
        }' "$1/digests.jsonl" "$1/ledger.jsonl" >books || fail "$what: $1: $(cat books)"
}

# expect_calm WHAT: ./run ended as the run did that was never killed, in every byte that is not a time, and left nothing behind.
expect_calm() {
    what=$1
    local file
    for file in final checkpoints digests.jsonl ledger.jsonl; do
        diff -r "$calm/$file" "run/$file" >difference || fail "$1: run/$file differs: $(head -c 2000 difference)"
    done
    measures run | cmp -s <(measures $calm) - || fail "$1: other metrics: $(measures run | diff <(measures $calm) - | head -n 5)"
    plotted run | cmp -s <(plotted $calm) - || fail "$1: TensorBoard shows other values: $(plotted run | diff <(plotted $calm) - | head -n 5)"
    [ "$(names run)" = "$(names $calm)" ] || fail "$1: left behind: $(ls run)"
    [ -n "$settings" ] || expect_whole run
}

# launch RANKS [FAILPOINT]: ./run begins, or goes on; one rank has no launcher. The ranks' words are in log.RANK.
launch() {
    ranks=$1
    rm -rf pid.* log.* launcher mpi/* "$shared"/*
    export GR_FAILPOINT=${2:-}
    [ -n "$GR_FAILPOINT" ] || unset GR_FAILPOINT
    started=$EPOCHREALTIME
    local rank='echo $$ >pid.tmp$N; mv pid.tmp$N pid.$N; exec "$0" train recipe.yaml --run run "$@" >out.$N 2>log.$N'
    if [ "$ranks" = 1 ]; then
        N=0 timeout -s KILL 120 bash -c "$rank" "$GRADUS" $settings &
    else
        timeout -s KILL 120 mpirun -n "$ranks" bash -c "N=\$OMPI_COMM_WORLD_RANK; [ \$N != 0 ] || echo \$PPID >launcher; $rank" "$GRADUS" $settings >mpirun.log 2>&1 &
    fi
    job=$!
}

# ended: waits until the launcher has returned and no rank is left; $code is the launcher's, $over when this was.
ended() {
    local i last=0
    code=0
    for ((i = 0; i < 12000; i++)); do
        kill -0 "$job" 2>/dev/null || break
        nap 0.01
        if [ ! -s pid.0 ] || [ ! -s launcher ] || any_alive; then # in this order: a rank may begin at any moment
            last=$i
        fi
        [ $((i - last)) -lt 300 ] || { end_launcher; break; }
    done
    wait "$job" 2>/dev/null || code=$?
    for ((i = 0; i < 3000; i++)); do
        any_alive || break
        nap 0.01
    done
    ! any_alive || fail "$what: a rank lives on 30 s after its launcher: $(cat pid.* log.*)"
    over=$EPOCHREALTIME
    job=
    ! grep -q "passed over" log.0 2>/dev/null || fail "$what: a checkpoint was not whole: $(cat log.0)"
}

# end_launcher: mpirun 4.1 sometimes waits for ever for ranks that were killed while they started; all are gone for 3 s.
end_launcher() {
    kill -KILL "$(cat launcher)" 2>/dev/null || true
    echo "$what" >>hung
}

# any_alive: some rank runs (the name that the system keeps of a program has 15 letters).
program=$(basename "$GRADUS") program=${program:0:15}
any_alive() {
    local file pid stat
    for file in pid.*; do
        { read -r pid <"$file" && read -r stat <"/proc/$pid/stat"; } 2>/dev/null || continue
        [[ ! $stat =~ ^[0-9]+\ \(("$program"|bash)\)\ [^ZX] ]] || return 0
    done
    return 1
}

# nap SECONDS: sleep without a process of its own.
exec {quiet}<> <(:)
nap() {
    read -rt "$1" -u "$quiet" || true
}

# Waits for the file, unless the job is over before.
wait_for() {
    local i
    for ((i = 0; i < 1500 && ${#job}; i++)); do
        [ ! -s "$1" ] || return 0
        kill -0 "$job" 2>/dev/null || return 1
        nap 0.01
    done
    return 1
}

wait_for_ranks() {
    local rank
    for ((rank = 0; rank < ranks; rank++)); do
        wait_for pid.$rank || return 1
    done
}

updates_done() {
    local n
    n=$(grep -c '"loss"' run/metrics.jsonl 2>/dev/null) || true
    echo "${n:-0}"
}

# strike FAULT RANKS: starts the run and kills it. FAULT is a failpoint (NAME:K[:RANK[:ACTION]]), or SECONDS@VICTIM, the victim a rank, `ranks` (all of
# them), `launcher` or `all`. Returns 1 when nothing was hit: the run was over before.
strike() {
    local fault=$1 victim before=0 line
    what="${what%%, now *}, now $fault on $2 ranks"
    if [[ $fault == *@* ]]; then
        launch "$2"
        nap "${fault%@*}"
        victim=${fault#*@}
        struck=
        if { [ "$victim" != launcher ] && [ "$victim" != all ] || wait_for launcher; } && wait_for_ranks; then
            case $victim in
            launcher) victims=$(cat launcher) ;;
            all) victims=$(cat launcher pid.*) ;;
            ranks) victims=$(cat pid.*) ;;
            *) victims=$(cat "pid.$victim") ;;
            esac
            struck=$EPOCHREALTIME
            kill -KILL $victims 2>/dev/null || true
        fi
        ended
        [ $code != 0 ] || struck=
    else
        launch "$2" "$fault"
        ended
        line=$(cat log.* | grep -a "GR_FAILPOINT: rank" || true)
        struck=$(sed -n 's/.*, at \([0-9.]*\): .*/\1/p' <<<"$line")
        [ -z "$struck" ] || [ $code != 0 ] || fail "$what: the failpoint fired, and the launcher returned 0"
    fi
    if [ -z "$struck" ]; then
        [ $code = 0 ] || fail "$what: nothing was hit, and the run ended with $code: $(cat mpirun.log log.*)"
        echo "$what" >>missed
        return 1
    fi
    note_lost
    reached=$(updates_done)
    awk -v a="$struck" -v b="$over" 'BEGIN { printf "%.3f\n", b - a }' >>gone
}

# tear FILE: a kill in the middle of an append leaves the beginning of a line; here, of the last one once more.
tear() {
    local line
    [ -s "run/$1" ] || return 0
    line=$(tail -n 1 "run/$1")
    printf %s "${line:0:$((${#line} / 2))}" >>"run/$1"
}

# note_lost [FROM]: how many updates of before the last fault the job that just ended did, or has to do, again; FROM: where it began, if it
# does not say so itself.
note_lost() {
    local from
    from=$(sed -n 's/.*going on from .*: \([0-9]*\) of .*/\1/p' log.0 2>/dev/null)
    from=${from:-${1:-}}
    [ -z "$reached" ] || [ -z "$from" ] || echo "$((reached - from))" >>lost
}

# begin_case WHAT: a run that has not begun.
begin_case() {
    what=$1 reached=
    rm -rf run
}

# resume RANKS: goes on after a fault, to the end, and must end as the run did that was never killed.
resume() {
    what="${what%%, now *}, now resumed on $1 ranks"
    rm -f counts.*
    launch "$1" count:counts
    ended
    [ $code = 0 ] || fail "$what: exit $code: $(cat mpirun.log log.*)"
    note_lost 0
    awk -v a="$struck" '$1 == "step.measured" && $2 > 0 { printf "%.3f\n", $3 - a }' counts.0 >>recovery
    expect_calm "$what"
}
