#!/usr/bin/env python3
"""Opens checkpoints of training runs with libraries that are not ours. The safetensors package reads the optimizer's state and the weights:
names, shapes, types, finite numbers, v >= 0; lengths and digests are the manifest's. transformers opens the tokenizer, and both parts as
`gradus model export` takes them out, each with every weight of the checkpoint, to the bit, and none made up.

usage: check_checkpoint.py GRADUS CHECKPOINT...   (needs safetensors, numpy, xxhash, torch, transformers)
"""

import json
import pathlib
import struct
import subprocess
import sys
import tempfile

import numpy
import torch
import transformers
import xxhash
from safetensors import safe_open


def tensors(path):
    with safe_open(path, framework="numpy") as f:
        return {name: f.get_tensor(name) for name in f.keys()}


def digest(path, cuts, block):
    data = path.read_bytes()
    ends = [c for c in cuts] + [len(data)]
    at, blocks = 0, b""
    for end in ends:
        for begin in range(at, end, block):
            one = xxhash.xxh3_128_intdigest(data[begin : min(begin + block, end)])
            blocks += struct.pack("<QQ", one >> 64, one & (1 << 64) - 1)
        at = end
    return xxhash.xxh3_128_hexdigest(blocks)


def check_state(folder):
    weights = {}
    for path in sorted(folder.glob("model-*.safetensors")):
        weights.update(tensors(path))
    state = tensors(folder / "gradus/optimizer.safetensors")
    first = {n[len("exp_avg.") :]: t for n, t in state.items() if n.startswith("exp_avg.")}
    second = {n[len("exp_avg_sq.") :]: t for n, t in state.items() if n.startswith("exp_avg_sq.")}
    assert first and first.keys() == second.keys() and len(first) + len(second) == len(state), "names"
    for name in first:
        for t in (first[name], second[name]):
            assert t.dtype == numpy.float32 and t.shape == weights[name].shape, (name, t.dtype, t.shape)
            assert numpy.isfinite(t).all(), name
        assert (second[name] >= 0).all(), name
    assert any((t != 0).any() for t in first.values()), "all moments are zero"
    manifest = json.loads((folder / "gradus/manifest.json").read_text())
    for name, entry in manifest["files"].items():
        path = folder / name
        assert path.stat().st_size == entry["bytes"], (name, path.stat().st_size, entry)
        got = digest(path, entry["cuts"], manifest["block"])
        assert got == entry["digest"], (name, got, entry["digest"])
    print(f"{folder}: {len(first)} parameters with both moments, {len(manifest['files'])} digests")


def numbers(weights):
    """All of them, sorted: names and fused matrices differ between layouts; check_models.py checks which goes where."""
    return numpy.sort(numpy.concatenate([t.ravel() for t in weights]).view(numpy.uint32))


def check_part(gradus, folder, part, model_class, layout, stored):
    with tempfile.TemporaryDirectory() as work:
        out = f"{work}/{part}"
        subprocess.run([gradus, "model", "export", folder, "--out", out, "--part", part, *layout], check=True, stdout=subprocess.DEVNULL)
        model, info = model_class.from_pretrained(out, dtype=torch.float32, output_loading_info=True, local_files_only=True)
    assert not any(info.values()), (part, info)
    opened = [p.detach().numpy() for p in model.parameters()]
    want = [t.astype(numpy.float32) for t in tensors(stored).values()]
    assert numpy.array_equal(numbers(opened), numbers(want)), f"{part}: weights differ"
    return f"{type(model).__name__} of {len(opened)} tensors"


def check_opens(gradus, folder):
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
    vision = check_part(gradus, folder, "vision", transformers.AutoModel, ["--layout", "transformers"], folder / "model-vision.safetensors")
    language = check_part(gradus, folder, "language", transformers.AutoModelForCausalLM, [], folder / "model-language.safetensors")
    print(f"{folder}: transformers opens {vision}, {language}, a tokenizer of {len(tokenizer)} tokens")


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    for argument in sys.argv[2:]:
        check_state(pathlib.Path(argument))
        check_opens(sys.argv[1], pathlib.Path(argument))
