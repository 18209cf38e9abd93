#!/usr/bin/env python3
"""Compares Gradus with Hugging Face transformers, as it comes, without foreign model code.

Not run by CI. What it needs comes from PyPI:

    python3 -m venv /tmp/reference && /tmp/reference/bin/pip install torch transformers safetensors numpy

Then, for a model directory M that `gradus model init` or a training run wrote:

    gradus model export M --out EV --part vision --layout transformers
    gradus model export M --out EL --part language
    gradus debug step --model M --batch B.safetensors --out O.safetensors --image-token ID
    /tmp/reference/bin/python tests/reference/check_transformers.py --batch B.safetensors \\
        --output O.safetensors --vision EV --language EL --connector M --image-token ID

B holds `pixel_values` [images, 3, S, S] and/or `input_ids`, `labels` [T] (and `cu_seqlens`), O what
`debug step` made of them. --vision compares `vision_features`, --language compares `logits` and
`loss`; either may be left out. When the batch has both pictures and text, the pictures' rows (those whose id
is ID) come from the connector in M, which is 6 tensors and written out below. Each figure must agree to --tolerance
times the largest number of the reference; the exit status is 1 if one does not.
"""

import argparse
import glob
import sys

import torch
from safetensors.torch import load_file
from transformers import AutoModel, AutoModelForCausalLM, AutoTokenizer

failures = []


def report(what, got, want, tolerance):
    """Prints how far apart two tensors are and remembers a failure."""
    if tuple(got.shape) != tuple(want.shape):
        print(f"{what}: shape {tuple(got.shape)}, expected {tuple(want.shape)}: FAIL")
        failures.append(what)
        return
    largest = want.abs().max().item() if want.numel() else 0.0
    worst = (got.double() - want.double()).abs().max().item() if want.numel() else 0.0
    ok = worst <= tolerance * largest  # false for NaN
    print(f"{what}: worst {worst:.3e} of max {largest:.3e} = {worst / max(largest, 1e-30):.3e}, "
          f"allowed {tolerance:.0e}: {'ok' if ok else 'FAIL'}")
    if not ok:
        failures.append(what)


def open_plain(model_class, directory):
    """Loads a model in fp32; every tensor of the files is used and none is made up."""
    model, info = model_class.from_pretrained(directory, dtype=torch.float32, output_loading_info=True,
                                              attn_implementation="eager", local_files_only=True)
    for key, value in info.items():
        print(f"{directory}: {key}: {value if value else 'none'}")
        if value:
            failures.append(f"{directory} {key}")
    return model.eval()


def check_generation(directory):
    """The language export says what ends a text, the same in all its files, and its tokenizer opens."""
    model = AutoModelForCausalLM.from_pretrained(directory, dtype="auto", local_files_only=True)
    print(f"{directory}: weights {model.dtype}, ends with {model.generation_config.eos_token_id}")
    if str(model.dtype) != str(model.config.dtype):
        failures.append(f"{directory} dtype")
    if glob.glob(f"{directory}/tokenizer.json"):
        tokenizer = AutoTokenizer.from_pretrained(directory, local_files_only=True)
        ends = model.generation_config.eos_token_id
        if tokenizer.eos_token_id not in (ends if isinstance(ends, list) else [ends]):
            print(f"{directory}: the tokenizer ends with {tokenizer.eos_token_id}: FAIL")
            failures.append(f"{directory} eos_token_id")
        if tokenizer.chat_template:
            print(repr(tokenizer.apply_chat_template([{"role": "user", "content": "Hello"}], tokenize=False,
                                                     add_generation_prompt=True)))


def connect(directory, features):
    """Pixel shuffle and MLP: [images, N, C] -> [images, N / 4, width]."""
    weights = {}
    for path in sorted(glob.glob(f"{directory}/*.safetensors")):
        weights.update({k: v.float() for k, v in load_file(path).items() if k.startswith("mlp1.")})
    images, tokens, width = features.shape
    grid = round(tokens**0.5)
    x = features.reshape(images, grid // 2, 2, grid // 2, 2, width)
    x = x.permute(0, 1, 3, 2, 4, 5).reshape(images, tokens // 4, 4 * width)
    x = torch.nn.functional.layer_norm(x, (4 * width,), weights["mlp1.0.weight"], weights["mlp1.0.bias"], 1e-5)
    x = torch.nn.functional.linear(x, weights["mlp1.1.weight"], weights["mlp1.1.bias"])
    x = torch.nn.functional.gelu(x)
    return torch.nn.functional.linear(x, weights["mlp1.3.weight"], weights["mlp1.3.bias"])


def language_logits(model, batch, rows, image_token):
    """Logits [T, V] of the packed sequences, each run alone."""
    ids = batch["input_ids"].long()
    embeddings = model.get_input_embeddings()(ids)
    if rows is not None:
        embeddings[ids == image_token] = rows.reshape(-1, rows.shape[-1])
    borders = batch.get("cu_seqlens", torch.tensor([0, len(ids)])).tolist()
    parts = [model(inputs_embeds=embeddings[None, a:b]).logits[0] for a, b in zip(borders, borders[1:]) if b > a]
    return torch.cat(parts), borders


def mean_loss(logits, labels, borders):
    """Mean over all target tokens; label t is predicted at t - 1 of the same sequence."""
    total, count = 0.0, 0
    for a, b in zip(borders, borders[1:]):
        targets = labels[a + 1:b].long()
        total += torch.nn.functional.cross_entropy(logits[a:max(b - 1, a)].double(), targets, ignore_index=-100,
                                                   reduction="sum").item()
        count += int((targets != -100).sum())
    return torch.tensor([total / count if count else 0.0])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", required=True)
    parser.add_argument("--output", required=True)
    parser.add_argument("--vision", help="vision export in the transformers layout")
    parser.add_argument("--language", help="language export")
    parser.add_argument("--connector", help="full model directory that has mlp1.*")
    parser.add_argument("--image-token", type=int, help="id of the picture's rows in input_ids")
    parser.add_argument("--tolerance", type=float, default=1e-4)
    args = parser.parse_args()
    if not args.vision and not args.language:
        parser.error("nothing to compare: give --vision, --language or both")
    if args.connector and (not args.vision or args.image_token is None):
        parser.error("--connector needs --vision and --image-token")
    batch, output = load_file(args.batch), load_file(args.output)
    rows = None
    with torch.no_grad():
        if args.vision:
            model = open_plain(AutoModel, args.vision)
            features = model(pixel_values=batch["pixel_values"]).last_hidden_state
            if model.config.model_type == "internvl_vision":
                features = features[:, 1:]  # without the class token
            report("vision_features", output["vision_features"], features, args.tolerance)
            if args.connector:
                rows = connect(args.connector, features)
        if args.language:
            model = open_plain(AutoModelForCausalLM, args.language)
            check_generation(args.language)
            logits, borders = language_logits(model, batch, rows, args.image_token)
            report("logits", output["logits"], logits, args.tolerance)
            if "labels" in batch and "loss" in output:
                report("loss", output["loss"], mean_loss(logits, batch["labels"], borders), args.tolerance)
    if failures:
        print("differs: " + ", ".join(failures), file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
