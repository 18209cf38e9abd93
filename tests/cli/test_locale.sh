#!/usr/bin/env bash
# The user's locale changes nothing: numbers keep the point when they are read and when they are written, results their bytes.
. "$(dirname "$0")/lib.sh"
export OMP_NUM_THREADS=1

make_tokenizer tok
make_model model 7
cat >recipe.yaml <<END
lanes: 2
model: {vision: model, connector: model, language: model}
tokenizer: tok
digests: {every: 1}
stages:
  - {name: all, trains: [vision, connector, language], data: [{path: tok.data, subset: [0.0, 1.0]}], validation: [{path: tok.data}],
     global_batch: 2, sequence_length: 160, steps: 3, learning_rate: 1.5e-3, weight_decay: 0.25, betas: [0.9, 0.95]}
END

# What commands print and write, in one folder's files; times are left out.
look() { # OUT
    mkdir "$1"
    "$GRADUS" model info model --json >"$1/info"
    "$GRADUS" model init --config "$here/tiny.yaml" --seed 1 --out "$1/model"
    "$GRADUS" data info tok.data >"$1/data"
    "$GRADUS" tokenizer encode --tokenizer tok "Größe 1.5, 世界" >"$1/ids"
    "$GRADUS" data check recipe.yaml --out "$1/check.json" >"$1/check" 2>"$1/check.log"
    sed -i '/^file /d' "$1/check"
    "$GRADUS" train recipe.yaml --check "$1/check.json" --run "$1/run" >"$1/train" 2>"$1/train.log"
    "$GRADUS" generate "$1/run/final" --prompt "What?" --max-new 4 >"$1/answer" 2>"$1/answer.log"
    "$GRADUS" train nowhere.yaml --dry-run 2>"$1/missing" || true
    "$GRADUS" train recipe.yaml --dry-run --set stages.all.weight_decay=0,25 2>"$1/comma" || true
    sed -i '/^model /d' "$1/train"
    sed -i -E 's/, *"seconds": ?[0-9].*//' "$1/run/metrics.jsonl"
    # Times and speeds are in all of these; what they write numbers with, test_decimal and test_report see.
    rm "$1/run/report.html" "$1/run/capsule.json" "$1"/run/events.out.tfevents.*
    rm -r "$1/run/checkpoints" "$1/run/lock" "$1"/*.log
}

LC_ALL=C look plain
grep -q '"loss": *[0-9]*\.[0-9]' plain/run/metrics.jsonl || fail "no loss with a point: $(cat plain/run/metrics.jsonl)"
grep -q "weight_decay" plain/comma || fail "a number with a comma was taken: $(cat plain/comma)"

# A German locale, where the system has one or can make one for us.
german=$(locale -a 2>/dev/null | grep -iE '^de_DE\.utf-?8$' | head -n 1) || true
if [ -z "$german" ] && command -v localedef >/dev/null && localedef -i de_DE -f UTF-8 ./de_DE.UTF-8 2>/dev/null; then
    export LOCPATH=$PWD
    german=de_DE.UTF-8
fi
[ -n "$german" ] || echo "notice: no German locale here: only others were tried"
for locale in C.UTF-8 $german; do
    LC_ALL=$locale look "in-$locale"
    diff -r plain "in-$locale" >differ || fail "another result under $locale: $(head -n 20 differ)"
done
if [ -n "$german" ]; then
    [ "$(LC_ALL=$german bash -c 'printf "%.1f" 1,5' 2>/dev/null)" = "1,5" ] || fail "$german has no comma: nothing was tried"
fi

echo "locale: all as expected"
