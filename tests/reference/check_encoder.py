#!/usr/bin/env python3
"""Opens an exported vision encoder with transformers' own class and compares features with `gradus debug step`.

Not run by CI. Needs torch, transformers, safetensors from PyPI.
Usage: check_encoder.py GRADUS ENCODER     GRADUS the program, ENCODER a directory that
                                           `gradus model export --layout transformers` wrote
"""

import pathlib
import subprocess
import sys
import tempfile

import torch
from safetensors.torch import load_file, save_file
from transformers import Aimv2VisionModel

LIMIT = 1e-5


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__.strip())
    gradus, encoder = sys.argv[1:]
    model, loading = Aimv2VisionModel.from_pretrained(encoder, output_loading_info=True)
    if loading["missing_keys"] or loading["unexpected_keys"]:
        sys.exit("check_encoder.py: not the tensors that transformers expects: %s" % loading)
    torch.manual_seed(0)
    pixels = torch.randn(2, 3, model.config.image_size, model.config.image_size)
    with tempfile.TemporaryDirectory() as folder:
        batch, out = pathlib.Path(folder, "batch.safetensors"), pathlib.Path(folder, "out.safetensors")
        save_file({"pixel_values": pixels}, batch)
        subprocess.run([gradus, "debug", "step", "--model", encoder, "--batch", batch, "--out", out], check=True)
        got = load_file(out)["vision_features"]
    with torch.no_grad():
        want = model.double()(pixels.double()).last_hidden_state
    error = ((got.double() - want).abs().max() / want.abs().max()).item()
    print("features %s, worst error %.1e of the largest value (limit %.0e)" % (tuple(got.shape), error, LIMIT))
    return not error < LIMIT  # true for NaN too


if __name__ == "__main__":
    sys.exit(main())
