#!/usr/bin/env python3
"""Trains a tiny model for 50 steps with `gradus train` and with torch, and compares the losses: AdamW with decoupled decay (none
on norms and biases), clipping, warm-up and cosine, from conversations and pictures to the loss, for three pairs of an
encoder and a language model.

    python tests/reference/check_training.py GRADUS

A step uses all samples, so their order does not matter. Needs torch, transformers, safetensors, tokenizers and pillow; not
run by CI. The reference computes in double. Limit: 1e-4 relative at every step."""

import json
import math
import pathlib
import subprocess
import sys
import tempfile

import torch
from PIL import Image
from safetensors.torch import load_file
from tokenizers import Tokenizer
from transformers.utils import logging

import reference_model as ref

STEPS, WARMUP, RATE, DECAY, CLIP, LIMIT = 50, 5, 3e-3, 0.1, 1.0, 1e-4
SIZE = dict(image_size=16, patch_size=4, hidden_size=16, num_attention_heads=2, intermediate_size=24, num_hidden_layers=2)
TEXT = dict(vocab_size=300, hidden_size=24, num_hidden_layers=2, num_attention_heads=6, num_key_value_heads=2,
            intermediate_size=40, max_position_embeddings=512, rope_theta=1000000.0)
PAIRS = [("aimv2", {}, "qwen2", True),
         ("intern_vit_6b", dict(norm_type="layer_norm", qkv_bias=True, qk_normalization=True), "qwen3", False),
         ("siglip_vision_model", {}, "llama", True)]
PARTS = ["vision", "connector", "language"]
QUESTIONS = [("What is it?", "A ramp of colours, the banner of the bandana.", 1), ("And this?", "A chequered banner.", 1),
             ("What colour has the banner?", "It has the colour of the bandana.", 0),
             ("Which is darker?", "The second one, by a hair.", 2), ("Say a word.", "Banana band.", 0)]


def make_data(d):
    generator = torch.Generator().manual_seed(3)
    pixels, records = [], []
    for n, (question, answer, count) in enumerate(QUESTIONS):
        names = []
        for i in range(count):
            picture = torch.randint(0, 256, (16, 16, 3), generator=generator, dtype=torch.uint8)
            Image.fromarray(picture.numpy()).save(d / f"{n}-{i}.png")
            names.append(f"{n}-{i}.png")
            pixels.append(picture.permute(2, 0, 1).double() / 255)
        record = {"id": str(n), "conversations": [{"from": "human", "value": "<image>\n" * count + question},
                                                  {"from": "gpt", "value": answer}]}
        records.append(dict(record, image=names) if names else record)
    (d / "records.json").write_text(json.dumps(records))
    return torch.stack(pixels)


def encode(tokenizer, image_tokens):
    """Ids and labels of all samples end to end, and the borders between them."""
    token, ids, labels, borders = tokenizer.token_to_id, [], [], [0]
    for question, answer, count in QUESTIONS:
        text = lambda t: tokenizer.encode(t, add_special_tokens=False).ids
        head = [token("<|im_start|>")] + text("user\n")
        for i in range(count):
            head += [token("<img>")] + [token("<IMG_CONTEXT>")] * image_tokens + [token("</img>")]
            head += text("\n" + question if i == count - 1 else "\n")
        head += text(question) if count == 0 else []
        head += [token("<|im_end|>")] + text("\n") + [token("<|im_start|>")] + text("assistant\n")
        tail = text(answer) + [token("<|im_end|>")]
        ids += head + tail + text("\n")
        labels += [ref.NO_LOSS] * len(head) + tail + [ref.NO_LOSS] * len(text("\n"))
        borders.append(len(ids))
    return torch.tensor(ids), torch.tensor(labels), borders


def recipe(d, vision, more, language, tied):
    settings = {"vision": dict(SIZE, model_type=vision, **more), "connector": {},
                "language": dict(TEXT, model_type=language, tie_word_embeddings=tied,
                                 **({"head_dim": 6} if language == "qwen3" else {}))}
    (d / "model.yaml").write_text("".join(f"{part}: {json.dumps(keys)}\n" for part, keys in settings.items()))
    stage = {"name": "all", "trains": PARTS, "data": [{"path": str(d / "data")}], "global_batch": len(QUESTIONS),
             "sequence_length": 256, "steps": STEPS, "learning_rate": RATE, "warmup_steps": WARMUP, "weight_decay": DECAY,
             "clip": CLIP}
    model = str(d / "model")
    (d / "recipe.yaml").write_text(json.dumps({
        "seed": 1, "lanes": 2, "model": {p: model for p in PARTS}, "tokenizer": str(d / "tokenizer"), "stages": [stage]}))





def factor(step):
    if step < WARMUP:
        return (step + 1) / WARMUP
    return (1 + math.cos(math.pi * (step - WARMUP) / max(STEPS - 1 - WARMUP, 1))) / 2


def train(d, kind, language_kind, pixels):
    """The reference's loss of every step, and at how many the gradient was clipped."""
    vision, language = ref.open_vision(kind, d / "vision"), ref.open_language(d / "language", language_kind)
    connector = {k: w.double().requires_grad_() for k, w in load_file(d / "model/model-connector.safetensors").items()}
    info = json.loads((d / "vision/preprocessor_config.json").read_text())
    shape = (1, 3, 1, 1)
    pixels = (pixels - torch.tensor(info["image_mean"]).double().reshape(shape)) / torch.tensor(info["image_std"]).double().reshape(shape)
    ids, labels, borders = encode(Tokenizer.from_file(str(d / "tokenizer/tokenizer.json")), 4)
    image = Tokenizer.from_file(str(d / "tokenizer/tokenizer.json")).token_to_id("<IMG_CONTEXT>")
    named = list(vision.named_parameters()) + list(language.named_parameters()) + list(connector.items())
    # Matrices and tables decay; transformers' tables of positions have two or three dimensions like ours.
    groups = [{"params": [p for n, p in named if p.dim() > 1], "weight_decay": DECAY},
              {"params": [p for n, p in named if p.dim() < 2], "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=RATE, betas=(0.9, 0.999), eps=1e-8)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
    losses, clipped = [], 0
    for _ in range(STEPS):
        features, grid = ref.vision_features(kind, vision, pixels, SIZE["patch_size"])
        _, loss, targets = ref.language_run(language, ids, labels, borders, image, ref.connect(features, grid, connector))
        losses.append((loss / targets).item())
        optimizer.zero_grad()
        (loss / targets).backward()
        norm = torch.nn.utils.clip_grad_norm_([p for _, p in named], CLIP)
        clipped += norm.item() > CLIP
        optimizer.step()
        schedule.step()
    return losses, clipped


def check(gradus, d, vision, more, language, tied):
    run = lambda *words: subprocess.run([gradus, *map(str, words)], check=True, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)
    pixels = make_data(d)
    recipe(d, vision, more, language, tied)
    run("data", "import", "--from", "llava", d / "records.json", "--images", d, "--out", d / "data", "--encode", "lossless")
    run("tokenizer", "train", "--data", d / "data", "--vocabulary", 280, "--out", d / "tokenizer")
    run("model", "init", "--config", d / "model.yaml", "--seed", 4, "--out", d / "model")
    run("model", "export", d / "model", "--out", d / "vision", "--layout", "transformers")
    run("model", "export", d / "model", "--out", d / "language", "--part", "language")
    run("train", d / "recipe.yaml", "--run", d / "run")
    lines = [json.loads(line) for line in (d / "run/metrics.jsonl").read_text().splitlines()]
    got = [line["loss"] for line in lines if "loss" in line]
    want, clipped = train(d, vision, language, pixels)
    assert len(got) == STEPS, f"{len(got)} losses in metrics.jsonl, expected {STEPS}"
    worst = max(abs(a - b) / abs(b) for a, b in zip(got, want))
    print(f"{vision} + {language}: loss {want[0]:.4f} -> {want[-1]:.4f} in {STEPS} steps, {clipped} of them clipped; "
          f"worst relative difference {worst:.1e}, allowed {LIMIT:.0e}: {'ok' if worst <= LIMIT else 'FAIL'}")
    return worst <= LIMIT


def main(gradus):
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    good = True
    for pair in PAIRS:
        with tempfile.TemporaryDirectory() as folder:
            good &= check(gradus, pathlib.Path(folder), *pair)
    sys.exit(0 if good else 1)


main(sys.argv[1])
