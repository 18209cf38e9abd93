# The demonstration with drawn problems; sourced by run-demo.sh, which sets `gradus` and `say`. The recipes are configs/recipes/.
train() { mpirun -n 2 "$gradus" train "configs/recipes/$1.yaml" --run "curriculum/$2"; }
draw() { # NAME OPTION...: a data set of drawn problems, unless it is there
    local name=$1
    shift
    [ -e "curriculum/$name/manifest.json" ] || mpirun -n 2 "$gradus" data synth --out "curriculum/$name" --size 56 --grid 8 "$@"
}

say "Drawn problems, and the same in words"
draw words --in-words --count 20000 --seed 1
draw words-other --in-words --count 8000 --seed 2 --split test
draw captions --task coarse,fine=2,ocr=2 --count 40000 --seed 3
draw finer --task fine=3,ocr=3,coarse,count --count 24000 --seed 4
draw all --count 36000 --seed 5
draw unseen --task coarse,fine,ocr,count --count 800 --seed 6             # pictures that were never trained on
draw other --task coarse,fine,ocr,count --count 1000 --seed 7 --split test # of combinations that never were, too
if [ ! -e curriculum/tokenizer/tokenizer.json ]; then
    rm -rf curriculum/tokenizer
    "$gradus" tokenizer train --data curriculum/words --vocabulary 512 --out curriculum/tokenizer
fi

say "Pretraining 1 of 2: a small language model, on text alone"
train language-pretraining language
say "Pretraining 2 of 2: a small vision encoder, by captioning with a throw-away decoder"
train vision-pretraining vision
say "Three stages: connector; vision encoder and connector; everything"
train demo stages

say "Right answers about pictures that were never trained on, after each stage"
mkdir -p curriculum/answers
scores() { # CHECKPOINT SET: the file of its scores, made unless it is there
    local file=curriculum/answers/${1##*/}-$2
    [ -e "$file.json" ] || {
        rm -f "$file.jsonl"
        mpirun -n 2 "$gradus" eval "$1" --suite "curriculum/$2" --out "$file.jsonl" --json >"$file.part" && mv "$file.part" "$file.json"
    }
}
for set in unseen other; do
    files=()
    for checkpoint in curriculum/stages/checkpoints/*; do
        scores "$checkpoint" $set
        files+=("curriculum/answers/${checkpoint##*/}-$set.json")
    done
    python3 - $set "${files[@]}" <<'PY'
import json, sys
names = {"unseen": "of kinds that were trained on", "other": "of combinations that were never trained on"}
runs = [{s["task"]: s for s in json.load(open(f))["scores"]} for f in sys.argv[2:]]
print("%-44s %s   guessing" % ("pictures " + names[sys.argv[1]], "".join("   stage %d" % (i + 1) for i in range(len(runs)))))
for task in ("coarse", "fine", "ocr", "count"):
    print("  %-42s %s %8.1f %%" % (task, "".join("%8.1f %%" % (100 * r[task]["accuracy"]) for r in runs), 100 * runs[0][task]["chance"]))
PY
done

say "What it says about five of them"
for index in 0 1 2 3 6; do
    sample=$("$gradus" data show curriculum/unseen $index)
    [ ! -t 1 ] || "$gradus" data show curriculum/unseen $index --preview | grep -v '^[a-z{]' || true
    rm -f curriculum/answers/$index.webp
    "$gradus" data show curriculum/unseen $index --out curriculum/answers/$index.webp >/dev/null
    question=$(tail -n 1 <<<"$sample" | python3 -c 'import json, sys; print(json.load(sys.stdin)["conversations"][0]["value"].replace("<image>", "").strip())')
    expected=$(tail -n 1 <<<"$sample" | python3 -c 'import json, sys; print(json.load(sys.stdin)["conversations"][1]["value"])')
    answer=$("$gradus" generate curriculum/stages/final --image curriculum/answers/$index.webp --prompt "$question" --max-new 40)
    printf 'curriculum/answers/%s.webp: %s\n    it is:        %s\n    gradus says:  %s\n' $index "$question" "$expected" "$answer"
done

say "The report, and the refined vision encoder for other programs"
"$gradus" report curriculum/stages --out curriculum/report.html --predictions 24
if [ ! -e curriculum/refined-encoder/config.json ]; then
    rm -rf curriculum/refined-encoder
    "$gradus" model export curriculum/stages/final --out curriculum/refined-encoder --layout transformers
fi
"$gradus" model info curriculum/refined-encoder
say "Done: curriculum/report.html shows the run, curriculum/refined-encoder is the vision encoder"
