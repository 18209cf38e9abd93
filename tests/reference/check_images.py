"""Decodes every PNG, JPEG and WebP file below folders with gr_image_decode and with Pillow, as it lies and with EXIF
orientation applied, and prints how many have the same pixels. Needs numpy and Pillow. Real pictures by the thousand:
unpack Debian packages such as tuxpaint-stamps-default, gimp-help-en or openclipart-png with dpkg-deb -x.
usage: check_images.py FOLDER..."""

import os
import sys
import warnings

import numpy
from PIL import Image, ImageOps

from native_image import UPRIGHT, decode, library

warnings.simplefilter("ignore")
Image.MAX_IMAGE_PIXELS = None


def pillow(path, upright):
    image = Image.open(path)
    if image.format not in ("PNG", "JPEG", "WEBP") or getattr(image, "is_animated", False):
        return None
    image.load()
    kind = image.format, image.mode
    if upright:
        image = ImageOps.exif_transpose(image)
    return kind, numpy.asarray(image.convert("RGB"))


def compare(path, tally):
    data = open(path, "rb").read()
    for how, name in ((0, "as it lies"), (UPRIGHT, "upright")):
        try:
            expected = pillow(path, how == UPRIGHT)
        except Exception as problem:  # whatever Pillow refuses
            expected = str(problem)
        if expected is None:
            return
        try:
            got = decode(data, how)
        except ValueError as problem:
            if isinstance(expected, str):
                continue
            print(f"refused: {path}: {problem}")
            tally.setdefault((*expected[0], name), [0, 0, 0, 0])[3] += 1
            continue
        if isinstance(expected, str):
            print(f"only Pillow refuses: {path}: {expected}")
            library.gr_mem_free(got.rgb)
            continue
        kind, want = expected
        count = tally.setdefault((*kind, name), [0, 0, 0, 0])
        array = got.array()
        same = array.shape == want.shape and bool((array == want).all())
        count[0] += 1
        count[1] += same
        if not same:
            worst = int(abs(array.astype(int) - want).max()) if array.shape == want.shape else 999
            if worst > count[2]:
                print(f"differs by {worst}: {path}")
            count[2] = max(count[2], worst)
        library.gr_mem_free(got.rgb)


tally = {}
for folder in sys.argv[1:]:
    for where, _, names in sorted(os.walk(folder)):
        for name in sorted(names):
            if name.lower().endswith((".png", ".jpg", ".jpeg", ".webp")) and os.path.isfile(os.path.join(where, name)):
                compare(os.path.join(where, name), tally)
for (kind, mode, how), (n, same, worst, refused) in sorted(tally.items()):
    print(f"{kind} {mode} {how}: {same} of {n} with Pillow's pixels, worst difference {worst}, refused {refused}")
print(f"{sum(c[1] for c in tally.values())} of {sum(c[0] + c[3] for c in tally.values())} comparisons equal")
