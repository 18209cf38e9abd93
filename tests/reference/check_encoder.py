#!/usr/bin/env python3
"""Opens an exported vision encoder with transformers' own classes and compares features with `gradus debug step`, the
pixels of a picture with `gradus debug pictures` (which needs Pillow below 13), and the type of the weights with config.json.

Not run by CI. Needs torch, transformers, safetensors, numpy, pillow from PyPI.
Usage: check_encoder.py GRADUS ENCODER     GRADUS the program, ENCODER a directory that
                                           `gradus model export --layout transformers` wrote
"""

import json
import pathlib
import subprocess
import sys
import tempfile

import numpy
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import Aimv2VisionModel, CLIPImageProcessorPil

LIMIT = 1e-5


def check_pixels(gradus, encoder):
    picture = Image.fromarray(numpy.random.default_rng(1).integers(0, 256, (61, 97, 3), numpy.uint8))
    with tempfile.TemporaryDirectory() as folder:
        path, out = pathlib.Path(folder, "a.png"), pathlib.Path(folder, "out.safetensors")
        picture.save(path)
        subprocess.run([gradus, "debug", "pictures", "--model", encoder, "--image", path, "--tiles", "1", "--out", out],
                       check=True)
        got = load_file(out)["pixel_values"]
    want = CLIPImageProcessorPil.from_pretrained(encoder)(picture, return_tensors="pt")["pixel_values"]
    error = (got - want).abs().max().item()
    if got.shape != want.shape or not error <= 1e-6:
        sys.exit("check_encoder.py: pixels differ by %g" % error)
    print("pixels %s, worst difference %.1e" % (tuple(got.shape), error))


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__.strip())
    gradus, encoder = sys.argv[1:]
    model, loading = Aimv2VisionModel.from_pretrained(encoder, dtype=torch.float32, output_loading_info=True)
    if loading["missing_keys"] or loading["unexpected_keys"]:
        sys.exit("check_encoder.py: not the tensors that transformers expects: %s" % loading)
    stored = {str(t.dtype).split(".")[1] for t in load_file(pathlib.Path(encoder, "model.safetensors")).values()}
    said = json.loads(pathlib.Path(encoder, "config.json").read_text())["torch_dtype"]
    if stored != {said} or str(Aimv2VisionModel.from_pretrained(encoder, dtype="auto").dtype) != "torch." + said:
        sys.exit("check_encoder.py: weights are %s, config.json says %s" % (stored, said))
    print("weights %s" % said)
    check_pixels(gradus, encoder)
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
