#!/usr/bin/env python3
"""Opens the optimizer's state and the weights of checkpoints with the safetensors package and checks them against each
other and against the manifest: names, shapes, types, finite numbers, v >= 0, lengths and digests.

usage: check_optimizer.py CHECKPOINT...   (needs safetensors, numpy, xxhash)
"""

import json
import pathlib
import struct
import sys

import numpy
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


def check(folder):
    folder = pathlib.Path(folder)
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


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    for argument in sys.argv[1:]:
        check(argument)
