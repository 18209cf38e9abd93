#!/usr/bin/env python3
"""Compares `gradus debug step` with torch: features, logits, loss and the gradient of every parameter.

The encoder and the language model are transformers' own classes, opened from what `gradus model export` writes;
the connector is written out here. fp64 on the reference's side. Not run by CI. Needs torch, transformers, safetensors.
Usage: check_debug_step.py GRADUS (the program)
"""

import pathlib
import subprocess
import sys
import tempfile

import torch
from safetensors.torch import load_file, save_file
from transformers import Aimv2VisionModel, Qwen2ForCausalLM

HERE = pathlib.Path(__file__).resolve().parent
IMAGE, TOKENS, BORDERS = 300, 40, [0, 13, 14, 40]
LIMIT = 2e-6


def make_batch():
    torch.manual_seed(0)
    ids = torch.randint(0, 256, (TOKENS,))
    ids[2:6] = IMAGE
    ids[20:28] = IMAGE
    labels = torch.where(torch.rand(TOKENS) < 0.5, torch.randint(0, 256, (TOKENS,)), torch.tensor(-100))
    labels[0], labels[14] = 7, 9  # behind a border: never predicted
    return {"input_ids": ids, "labels": labels, "pixel_values": torch.randn(3, 3, 16, 16),
            "cu_seqlens": torch.tensor(BORDERS, dtype=torch.int32)}


def connector(features, w):
    x = features.reshape(3, 2, 2, 2, 2, 16).permute(0, 1, 3, 2, 4, 5).reshape(12, 64)
    x = torch.nn.functional.layer_norm(x, (64,), w["mlp1.0.weight"], w["mlp1.0.bias"], 1e-5)
    x = torch.nn.functional.gelu(x @ w["mlp1.1.weight"].T + w["mlp1.1.bias"])
    return x @ w["mlp1.3.weight"].T + w["mlp1.3.bias"]


def language(model, embedded, labels):
    logits, loss, targets = [], 0, 0
    for a, b in zip(BORDERS, BORDERS[1:]):
        part = model(inputs_embeds=embedded[a:b][None]).logits[0]
        logits.append(part)
        want = labels[a + 1 : b]
        loss = loss + torch.nn.functional.cross_entropy(part[:-1], want, ignore_index=-100, reduction="sum")
        targets += (want >= 0).sum()
    return torch.cat(logits), loss / targets


def our_vision_gradients(got, blocks=2):
    """Ours under transformers' names: the packed qkv cut in three, the table without its leading 1."""
    pairs = {"norm_1": "rms_norm1", "norm_2": "rms_norm2", "attn.proj": "attention.out_proj",
             "mlp.fc1": "ffn.gate_proj", "mlp.fc3": "ffn.up_proj", "mlp.fc2": "ffn.down_proj"}
    p = "grad.vision_model."
    out = {"embeddings.patch_embed.weight": got[p + "preprocessor.patchifier.proj.weight"],
           "embeddings.patch_embed.bias": got[p + "preprocessor.patchifier.proj.bias"],
           "embeddings.rms_norm.weight": got[p + "preprocessor.patchifier.norm.weight"],
           "embeddings.position_embedding.weight": got[p + "preprocessor.pos_embed"][0],
           "rms_norm.weight": got[p + "trunk.post_trunk_norm.weight"]}
    for i in range(blocks):
        for ours, theirs in pairs.items():
            out[f"encoder.layers.{i}.{theirs}.weight"] = got[f"{p}trunk.blocks.{i}.{ours}.weight"]
        for name, part in zip("qkv", got[f"{p}trunk.blocks.{i}.attn.qkv.weight"].chunk(3)):
            out[f"encoder.layers.{i}.attention.{name}_proj.weight"] = part
    return out


def main(gradus):
    worst, compared = {}, 0

    def compare(kind, name, got, want):
        nonlocal compared
        error = ((got.double() - want).norm() / want.norm()).item()
        worst[kind] = max(worst.get(kind, (0, "")), (error, name))
        compared += 1

    with tempfile.TemporaryDirectory() as folder:
        d = pathlib.Path(folder)
        run = lambda *words: subprocess.run([gradus, *map(str, words)], check=True)
        run("model", "init", "--config", HERE.parent / "cli/tiny.yaml", "--seed", 3, "--out", d / "model")
        run("model", "export", d / "model", "--out", d / "vision", "--layout", "transformers")
        run("model", "export", d / "model", "--out", d / "text", "--part", "language")
        batch = make_batch()
        save_file(batch, d / "batch.safetensors")
        run("debug", "step", "--model", d / "model", "--batch", d / "batch.safetensors", "--out", d / "out.safetensors",
            "--image-token", IMAGE)
        got = load_file(d / "out.safetensors")
        vision = Aimv2VisionModel.from_pretrained(d / "vision", attn_implementation="eager").double()
        text = Qwen2ForCausalLM.from_pretrained(d / "text", attn_implementation="eager").double()
        middle = {k: w.double().requires_grad_() for k, w in load_file(d / "model/model-connector.safetensors").items()}

    features = vision(batch["pixel_values"].double()).last_hidden_state
    embedded = text.get_input_embeddings()(batch["input_ids"]).clone()
    embedded[batch["input_ids"] == IMAGE] = connector(features, middle)
    logits, loss = language(text, embedded, batch["labels"])
    loss.backward()

    compare("features", "", got["vision_features"], features)
    compare("logits", "", got["logits"], logits)
    compare("loss", "", got["loss"], loss[None])
    for name, w in middle.items():
        compare("connector", name, got["grad." + name], w.grad)
    for name, w in text.named_parameters():
        compare("language", name, got["grad.language_model." + name], w.grad)
    ours = our_vision_gradients(got)
    for name, w in vision.named_parameters():
        compare("vision", name, ours[name], w.grad)
    for kind, (error, name) in worst.items():
        print(f"{kind:10} worst relative error {error:.1e} {name}")
    print(f"{compared} tensors compared")
    sys.exit(max(error for error, _ in worst.values()) > LIMIT)


main(sys.argv[1])
