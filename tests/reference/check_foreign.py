#!/usr/bin/env python3
"""Opens with Gradus what transformers itself wrote (save_pretrained: its names, its config.json with what differs from its
defaults), and compares: whole InternVL models with every kind of language model, each encoder, each language model, and
SigLIP with its text half.

    python tests/reference/check_foreign.py GRADUS

Needs torch, transformers, safetensors; not run by CI. Limit: 1e-5 of the largest value, in fp32."""

import pathlib
import subprocess
import sys
import tempfile

import torch
from safetensors.torch import load_file, save_file
from transformers import (Aimv2VisionConfig, Aimv2VisionModel, InternVLConfig, InternVLForConditionalGeneration,
                          InternVLVisionConfig, InternVLVisionModel, SiglipConfig, SiglipModel, SiglipTextConfig,
                          SiglipVisionConfig, SiglipVisionModel)
from transformers.utils import logging

from reference_model import LANGUAGES

LIMIT, IMAGE = 1e-5, 40
SIZES = dict(hidden_size=12, intermediate_size=20, num_hidden_layers=2, num_attention_heads=3, image_size=8, patch_size=2)
TEXT = dict(vocab_size=41, hidden_size=24, intermediate_size=20, num_hidden_layers=2, num_attention_heads=6,
            num_key_value_heads=2, max_position_embeddings=64, bos_token_id=1, eos_token_id=2, pad_token_id=None)
BATCH = {"input_ids": torch.tensor([1, 5, 40, 40, 40, 40, 7, 9, 11, 3]), "pixel_values": None,
         "labels": torch.tensor([-100, -100, -100, -100, -100, -100, 7, 9, 11, 3])}
worst = 0.0


def shake(model):
    """Random everywhere, so that nothing that is left out goes unnoticed."""
    torch.manual_seed(7)
    with torch.no_grad():
        for name, p in model.named_parameters():
            p.copy_(torch.randn(p.shape) * 0.3 + (1 if "norm" in name and name.endswith("weight") else 0))
    return model.eval()


def step(gradus, d, model, batch):
    model.save_pretrained(d / "model")
    save_file({k: v for k, v in batch.items() if v is not None}, d / "batch.safetensors")
    subprocess.run([gradus, "debug", "step", "--model", d / "model", "--batch", d / "batch.safetensors", "--out",
                    d / "out.safetensors", "--image-token", str(IMAGE)], check=True, stderr=subprocess.PIPE)
    return load_file(d / "out.safetensors")


def report(what, got, want):
    global worst
    error = ((got - want).abs().max() / want.abs().max()).item()
    worst = max(worst, error)
    print(f"{what:40} {error:.1e} {'ok' if error <= LIMIT else 'FAIL'}")


def pictures():
    return torch.randn((1, 3, 8, 8), generator=torch.Generator().manual_seed(2))


def check_whole(gradus, d, kind, tied):
    extra = {"head_dim": 4} if kind == "qwen3" else {}
    config = InternVLConfig(
        vision_config=InternVLVisionConfig(**SIZES, attention_bias=True, use_qk_norm=tied),
        text_config=LANGUAGES[kind][0](**TEXT, **extra, tie_word_embeddings=tied), image_token_id=IMAGE,
        image_seq_length=4, tie_word_embeddings=tied)
    model = shake(InternVLForConditionalGeneration(config))
    batch = dict(BATCH, pixel_values=pictures())
    got = step(gradus, d, model, batch)
    with torch.no_grad():
        want = model(input_ids=batch["input_ids"][None], pixel_values=batch["pixel_values"])
        inner = model.model.vision_tower(batch["pixel_values"]).last_hidden_state[:, 1:]
    report(f"internvl + {kind}, {'tied' if tied else 'untied'}: features", got["vision_features"], inner)
    report(f"internvl + {kind}, {'tied' if tied else 'untied'}: logits", got["logits"], want.logits[0])


def check_language(gradus, d, kind, tied):
    extra = {"head_dim": 4} if kind == "qwen3" else {}
    config_class, model_class = LANGUAGES[kind]
    model = shake(model_class(config_class(**TEXT, **extra, tie_word_embeddings=tied)))
    got = step(gradus, d, model, BATCH)
    with torch.no_grad():
        want = model(input_ids=BATCH["input_ids"][None])
    report(f"{kind}, {'tied' if tied else 'untied'}: logits", got["logits"], want.logits[0])


def check_vision(gradus, d, name, model, take):
    batch = {"pixel_values": pictures()}
    got = step(gradus, d, shake(model), batch)
    with torch.no_grad():
        report(f"{name}: features", got["vision_features"], take(model, batch["pixel_values"]))


def main(gradus):
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    last = lambda model, x: model(x).last_hidden_state
    siglip = SiglipVisionConfig(**SIZES)
    text = SiglipTextConfig(vocab_size=30, hidden_size=12, intermediate_size=20, num_hidden_layers=1, num_attention_heads=2,
                            projection_size=12, bos_token_id=1, eos_token_id=2, pad_token_id=0)
    checks = [lambda d, k=k, t=t: check_whole(gradus, d, k, t) for k in LANGUAGES for t in (True, False)]
    checks += [lambda d, k=k, t=t: check_language(gradus, d, k, t) for k in LANGUAGES for t in (True, False)]
    checks += [lambda d, n=n, m=m, t=t: check_vision(gradus, d, n, m, t) for n, m, t in (
        ("Aimv2VisionModel", Aimv2VisionModel(Aimv2VisionConfig(**SIZES, use_head=False)), last),
        ("InternVLVisionModel", InternVLVisionModel(InternVLVisionConfig(**SIZES)), lambda m, x: last(m, x)[:, 1:]),
        ("SiglipVisionModel with its head", SiglipVisionModel(siglip), last),
        ("SiglipModel with its text half", SiglipModel(SiglipConfig(text_config=text.to_dict(), vision_config=siglip.to_dict())),
         lambda m, x: last(m.vision_model, x)))]
    for check in checks:
        with tempfile.TemporaryDirectory() as folder:
            check(pathlib.Path(folder))
    sys.exit(worst > LIMIT)


main(sys.argv[1])
