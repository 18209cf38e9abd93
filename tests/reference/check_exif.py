"""Compares the orientation that gr_image_decode applies with Pillow's on random EXIF blocks in JPEG, PNG and WebP: every type of
TIFF and none, one value, several and none, inside the entry and behind the directory, whole and cut. Needs numpy and Pillow 11
(of two entries later versions take the first, Pillow 11 the last; and a value out of the file they skip).
usage: check_exif.py [BLOCKS]"""

import io
import random
import struct
import sys
import warnings

import numpy
import PIL
from PIL import Image, ImageOps

from native_image import UPRIGHT, decode, library

warnings.simplefilter("ignore")
ORIENTATION = 0x0112
SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 14: 2, 0: 4, 18: 8}
PICTURE = Image.fromarray(numpy.arange(18, dtype=numpy.uint8).reshape(2, 3, 3) * 14)
METHODS = {2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
           5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE, 8: Image.Transpose.ROTATE_90}
FORMATS = {"JPEG": dict(quality=95), "PNG": {}, "WEBP": dict(lossless=True)}


def packed(order, kind, value):
    """One value; texts and bytes as the digit."""
    if kind in (5, 10):
        scale = random.choice((1, 2, 7, -3 if kind == 10 else 3, 0 if random.random() < 0.1 else 1))
        return struct.pack(order + ("2i" if kind == 10 else "2I"), value * scale & 0x7FFFFFFF if kind == 5 else value * scale, scale)
    if kind in (11, 12):
        return struct.pack(order + ("f" if kind == 11 else "d"), value + random.choice((0, 0, 0, 0.5, float("nan"))))
    if kind == 2:
        return str(value).encode()
    form = {1: "b", 6: "b", 7: "b", 3: "h", 8: "h", 14: "h", 4: "i", 9: "i", 13: "i", 0: "i", 16: "q", 18: "q"}[kind]
    return struct.pack(order + form, value)


def block():
    """A header and a directory of one to three entries."""
    order, mark = random.choice((("<", b"II"), (">", b"MM")))
    magic = random.choice((b"*\0", b"\0*")) if random.random() < 0.1 else (b"*\0" if order == "<" else b"\0*")
    count = random.randint(1, 3)
    behind = 8 + 2 + 12 * count + 4
    entries, data = b"", b""
    for _ in range(count):
        kind = random.choice(list(SIZES))
        values = random.choice((0, 1, 1, 1, 1, 2, 3))
        raw = b"".join(packed(order, kind, random.choice((0, 1, 2, 3, 4, 5, 6, 7, 8, 9, -6))) for _ in range(values))
        raw = raw[: values * SIZES[kind]]
        inside = raw.ljust(4, b"\0")
        if len(raw) > 4:
            inside = struct.pack(order + "I", behind + len(data))
            data += raw
        tag = ORIENTATION if random.random() < 0.7 else random.choice((0x0103, 0x010F, 0x9000))
        entries += struct.pack(order + "HHI", tag, kind, values) + inside
    whole = mark + magic + struct.pack(order + "IH", 8, count) + entries + struct.pack(order + "I", 0) + data
    if random.random() < 0.1:
        whole = whole[: random.randint(8, len(whole))]
    return b"Exif\0\0" * random.choice((1, 1, 1, 2)) + whole


def upright(data):
    """The pixels as they lie, and after exif_transpose, whose last step, writing the block again, fails for some types."""
    image = Image.open(data).convert("RGB")
    try:
        turned = ImageOps.exif_transpose(image)
    except (AttributeError, TypeError, ValueError, struct.error):
        turned = image.transpose(METHODS[image.getexif()[ORIENTATION]])
    return numpy.asarray(image), numpy.asarray(turned)


def main():
    blocks = int(sys.argv[1]) if len(sys.argv) > 1 else 10000
    random.seed(1)
    same, turned = 0, 0
    for i in range(blocks):
        exif = block()
        for kind, options in FORMATS.items():
            data = io.BytesIO()
            PICTURE.save(data, kind, exif=exif, **options)
            lies, want = upright(data)
            image = decode(data.getvalue(), UPRIGHT)
            got = image.array()
            library.gr_mem_free(image.rgb)
            equal = got.shape == want.shape and bool((got == want).all())
            same += equal
            turned += not numpy.array_equal(want, lies)
            if not equal:
                print(f"differs: block {i}, {kind}: {exif.hex()}", flush=True)
    print(f"Pillow {PIL.__version__}: {same} of {3 * blocks} alike, {turned} of them turned")
    return same != 3 * blocks


sys.exit(main())
