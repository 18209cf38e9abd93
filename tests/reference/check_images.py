"""Decodes every PNG, JPEG and WebP file below folders with gr_image_decode and with Pillow, as it lies and, where its EXIF
orientation is not 1, turned, and prints how many have the same pixels. Needs numpy and Pillow. Real pictures by the
thousand: unpack Debian packages such as tuxpaint-stamps-default, gimp-help-en or openclipart-png with dpkg-deb -x.
usage: check_images.py [--most-pixels N] FOLDER..."""

import argparse
import ctypes
import os
import warnings

import numpy
from PIL import Image, ImageOps

from native_image import UPRIGHT, decode, library

warnings.simplefilter("ignore")
Image.MAX_IMAGE_PIXELS = None
ORIENTATION = 0x0112


class Tally:
    def __init__(self):
        self.counts = {}

    def add(self, key, got, want, path):
        """Pixels of one file; got None: refused."""
        count = self.counts.setdefault(key, [0, 0, 0, 0])
        count[0] += 1
        if got is None:
            count[3] += 1
        elif got.shape == want.shape and (got == want).all():
            count[1] += 1
        else:
            worst = int(abs(got.astype(int) - want).max()) if got.shape == want.shape else 999
            if worst > count[2]:
                print(f"differs by {worst}: {path}", flush=True)
                count[2] = worst


def pixels(data, how, path):
    try:
        image = decode(data, how)
    except ValueError as problem:
        print(f"refused: {path}: {problem}", flush=True)
        return None
    array = image.array()
    library.gr_mem_free(image.rgb)
    return array


def compare(path, most, tally):
    data = open(path, "rb").read()
    try:
        image = Image.open(path)
        if image.format not in ("PNG", "JPEG", "WEBP") or getattr(image, "is_animated", False):
            return "of another kind"
        if image.width * image.height > most:
            return "too large"
        image.load()
    except Exception:  # whatever Pillow refuses
        return "refused by Pillow"
    key = image.format, image.mode
    tally.add((*key, "as it lies"), pixels(data, 0, path), numpy.asarray(image.convert("RGB")), path)
    orientation = image.getexif().get(ORIENTATION, 1)
    ours = library.gr_image_orientation(data, ctypes.c_size_t(len(data)))
    if ours != orientation:
        print(f"orientation {ours}, Pillow {orientation}: {path}", flush=True)
    if orientation != 1:
        upright = ImageOps.exif_transpose(image).convert("RGB")
        tally.add((*key, "turned"), pixels(data, UPRIGHT, path), numpy.asarray(upright), path)
    return "compared"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("usage")[0])
    parser.add_argument("--most-pixels", type=int, default=1 << 28)  # GR_IMAGE_MAX_PIXELS
    parser.add_argument("folders", nargs="+")
    args = parser.parse_args()
    tally, files = Tally(), {}
    for folder in args.folders:
        for where, _, names in sorted(os.walk(folder)):
            for name in sorted(names):
                path = os.path.join(where, name)
                if name.lower().endswith((".png", ".jpg", ".jpeg", ".webp")) and os.path.isfile(path):
                    what = compare(path, args.most_pixels, tally)
                    files[what] = files.get(what, 0) + 1
    for (kind, mode, how), (n, same, worst, refused) in sorted(tally.counts.items()):
        print(f"{kind} {mode} {how}: {same} of {n} with Pillow's pixels, worst difference {worst}, refused {refused}")
    print(", ".join(f"{n} files {what}" for what, n in sorted(files.items())))
    print(f"{sum(c[1] for c in tally.counts.values())} of {sum(c[0] for c in tally.counts.values())} equal")


main()
