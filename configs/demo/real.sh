# The demonstration with real captioned pictures and text; sourced by run-demo.sh, which sets `gradus` and `say`.
train() { mpirun -n 2 "$gradus" train "configs/demo/$1.yaml" --run "demo/runs/$2"; }

say "Real captioned pictures and text"
configs/demo/fetch-data.sh demo/data
for name in pictures held-out captions text; do
    if [ ! -e demo/$name/manifest.json ]; then # a folder without manifest is no data set
        rm -rf demo/$name
        "$gradus" data import --from llava demo/data/$name.json --images demo/data/images \
            --out demo/$name --encode 90 --max-side 224
    fi
done
"$gradus" data info demo/pictures
if [ ! -e demo/tokenizer/tokenizer.json ]; then
    rm -rf demo/tokenizer
    "$gradus" tokenizer train --data demo/text demo/captions --vocabulary 2048 --out demo/tokenizer
fi

say "Pretraining 1 of 2: a small language model, on text"
train pretrain-language language
say "Pretraining 2 of 2: a small vision encoder, by captioning with a throw-away decoder"
train pretrain-vision vision
say "Three stages: connector; vision encoder and connector; everything"
train three-stages stages

say "Held-out caption loss (nats per token), before and after each stage"
python3 - demo/runs/stages/metrics.jsonl <<'PY'
import json, sys
losses = {}
for line in open(sys.argv[1]):
    m = json.loads(line)
    if "validation_loss" in m:
        losses.setdefault(m["stage"], []).append(m["validation_loss"])
for stage, l in losses.items():
    print("%-16s %.4f -> %.4f" % (stage, l[0], l[-1]))
sys.exit(any(l[-1] >= l[0] for l in losses.values()))
PY

say "Captions of five pictures that were never trained on"
turn() { # N: text of turn N of the conversation on standard input, the last line of data show
    tail -n 1 | python3 -c 'import json, sys
print(json.loads(sys.stdin.read())["conversations"][int(sys.argv[1])]["value"].replace("<image>", "").strip())' "$1"
}
mkdir -p demo/answers
for index in 20 100 180 260 340; do
    picture=demo/answers/$index.webp
    rm -f "$picture"
    sample=$("$gradus" data show demo/held-out --index $index --out "$picture")
    answer=$("$gradus" generate demo/runs/stages/final --image "$picture" \
        --prompt "$(turn 0 <<<"$sample")" --max-new 40)
    printf '%s\n    people wrote: %s\n    gradus says:  %s\n' "$picture" "$(turn 1 <<<"$sample")" "$answer"
done

say "What the runs recorded, on one page"
"$gradus" report demo/runs/stages --predictions 24 --out demo/report.html

say "The refined vision encoder, for other programs"
if [ ! -e demo/refined-encoder/config.json ]; then
    rm -rf demo/refined-encoder
    "$gradus" model export demo/runs/stages/final --out demo/refined-encoder --layout transformers
fi
"$gradus" model info demo/refined-encoder
if python3 -c 'import torch, transformers, safetensors' 2>/dev/null; then
    python3 tests/reference/check_encoder.py "$gradus" demo/refined-encoder
else
    echo "To open it with transformers' Aimv2VisionModel and compare features (needs torch and transformers):"
    echo "    python3 tests/reference/check_encoder.py build/gradus demo/refined-encoder"
fi
say "Done: the refined vision encoder is demo/refined-encoder"
