#!/usr/bin/env python3
"""Compares the number of parameters of every file in configs/models with transformers' classes, built without memory.

    python tests/reference/check_counts.py GRADUS

Needs torch, transformers and pyyaml; not run by CI."""

import json
import pathlib
import subprocess
import sys

import torch
import yaml
from transformers import (Aimv2VisionConfig, Aimv2VisionModel, InternVLVisionConfig, InternVLVisionModel,
                          SiglipVisionConfig, SiglipVisionModel)

from reference_model import LANGUAGES

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "configs/models"


def vision(keys):
    keys = dict(keys)
    kind = keys.pop("model_type")
    if kind == "aimv2":
        return Aimv2VisionModel(Aimv2VisionConfig(**keys, use_head=False))
    if kind == "intern_vit_6b":
        keys["attention_bias"], keys["use_qk_norm"] = keys.pop("qkv_bias"), keys.pop("qk_normalization")
        return InternVLVisionModel(InternVLVisionConfig(**keys))
    return SiglipVisionModel(SiglipVisionConfig(**keys, vision_use_head=False))


def count(part, keys):
    with torch.device("meta"):
        if part == "vision":
            model = vision(keys)
        else:
            keys = dict(keys)
            config, model_class = LANGUAGES[keys.pop("model_type")]
            model = model_class(config(**keys))
    return sum(p.numel() for p in model.parameters())


def main(gradus):
    wrong = 0
    for path in sorted(FOLDER.glob("*.yaml")):
        ours = json.loads(subprocess.run([gradus, "model", "info", path, "--json"], check=True, capture_output=True).stdout)
        for part, keys in yaml.safe_load(path.read_text()).items():
            if part != "connector":
                want, got = count(part, keys), ours["parts"][part]["parameters"]
                wrong += got != want
                print(f"{path.stem:28} {part:8} {got:13,} {'ok' if got == want else f'FAIL, transformers has {want:,}'}")
    sys.exit(wrong > 0)


main(sys.argv[1])
