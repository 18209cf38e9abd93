"""Compares gr_image_resize, gr_image_decode and gr_tiles_plan with Pillow and InternVL's rule on random input, and the
speed of resizing with Pillow's in the same run. Needs numpy and Pillow; with Pillow 13 or newer, which may take the height
first, its two passes are asked for one by one.
usage: check_resize.py [IMAGES]"""

import ctypes
import io
import sys
import time

import numpy
import PIL
from PIL import Image, ImageFile

import native
from native_image import GrImage, decode, resized, library, tile_grid, tile_rule

ImageFile.MAXBLOCK = 1 << 24  # progressive encoding wants one buffer
FILTERS = ((0, Image.BICUBIC), (1, Image.BILINEAR))
WIDTH_FIRST = int(PIL.__version__.split(".")[0]) < 13


def random_image(rng, mode, width, height):
    bands = len(Image.new(mode, (1, 1)).getbands())
    noise = rng.integers(0, 256, (height, width, bands), numpy.uint8)
    y, x = numpy.mgrid[0:height, 0:width]
    smooth = (127 + 120 * numpy.sin(x / 7 + y / 5)).astype(numpy.uint8)[:, :, None]
    data = noise if rng.random() < 0.5 else numpy.broadcast_to(smooth, noise.shape)
    return Image.fromarray(numpy.ascontiguousarray(data.squeeze(2) if bands == 1 else data), mode)


def formats(image, rng):
    yield "PNG", dict(), image
    if image.mode in ("RGB", "L", "CMYK"):
        for subsampling in (0, 1, 2):
            yield "JPEG", dict(quality=int(rng.integers(20, 100)), subsampling=subsampling,
                               progressive=bool(rng.integers(2))), image
    if image.mode in ("RGB", "RGBA"):
        yield "WEBP", dict(quality=int(rng.integers(20, 100))), image
        yield "WEBP", dict(lossless=True), image


def check_random(count):
    rng = numpy.random.default_rng(1)
    decoded, resizes = {}, 0
    for trial in range(count):
        width, height, w, h = (int(v) for v in rng.integers(1, 700 if trial % 4 == 0 else 90, 4))
        mode = ("RGB", "L", "RGBA", "CMYK", "LA")[trial % 5]
        image = random_image(rng, mode, width, height)
        for kind, options, source in formats(image, rng):
            if kind == "PNG" and mode == "CMYK":
                continue
            data = io.BytesIO()
            source.save(data, kind, **options)
            got = decode(data.getvalue(), 0)
            want = numpy.asarray(Image.open(io.BytesIO(data.getvalue())).convert("RGB"))
            same = got.array().shape == want.shape and bool((got.array() == want).all())
            worst = 0 if same else int(abs(got.array().astype(int) - want).max())
            tally = decoded.setdefault((kind, mode, str(options.get("subsampling", options.get("lossless")))), [0, 0, 0])
            tally[0] += 1
            tally[1] += same
            tally[2] = max(tally[2], worst)
            for ours, theirs in FILTERS:
                small = resized(got, ours, w, h)
                reference = Image.fromarray(got.array())
                if not WIDTH_FIRST:
                    reference = reference.resize((w, height), theirs)
                reference = reference.resize((w, h), theirs)
                assert (small.array() == numpy.asarray(reference)).all(), ("resize", ours, width, height, w, h)
                library.gr_mem_free(small.rgb)
                resizes += 1
            library.gr_mem_free(got.rgb)
    print(f"Pillow {PIL.__version__}: {resizes} of {resizes} random resizes with its bits")
    for key, (n, same, worst) in sorted(decoded.items()):
        print(f"decode {key}: {same} of {n} with Pillow's pixels, worst difference {worst}")


def check_tiles(count):
    rng = numpy.random.default_rng(2)
    for _ in range(count):
        width, height = (int(v) for v in rng.integers(1, 4000, 2))
        if rng.random() < 0.3:  # ratios that tie
            width, height = 20 * int(rng.integers(1, 100)), 20 * int(rng.integers(1, 100))
        most = int(rng.integers(1, 49))
        assert tile_grid(width, height, most) == tile_rule(width, height, most), (width, height, most)
    print(f"{count} of {count} random tilings as InternVL's rule")


def seconds(function, repeat=7):
    best = 1e9
    for _ in range(repeat):
        start = time.perf_counter()
        for _ in range(10):
            function()
        best = min(best, (time.perf_counter() - start) / 10)
    return best


def check_speed():
    rng = numpy.random.default_rng(3)
    for (width, height), (w, h) in (((640, 480), (448, 448)), ((1280, 960), (448, 448)), ((4000, 3000), (1792, 1344)),
                                    ((224, 224), (448, 448))):
        pixels = rng.integers(0, 256, (height, width, 3), numpy.uint8)
        image = Image.fromarray(pixels)
        mine = GrImage(width, height, pixels.ctypes.data)

        def ours():
            library.gr_mem_free(resized(mine, 0, w, h).rgb)

        fast, theirs = seconds(ours), seconds(lambda: image.resize((w, h), Image.BICUBIC))
        print(f"bicubic {width}x{height} -> {w}x{h}: {1e3 * fast:.2f} ms, Pillow {1e3 * theirs:.2f} ms, "
              f"{theirs / fast:.1f} times as fast")


count = int(sys.argv[1]) if len(sys.argv) > 1 else 200
check_random(count)
check_tiles(50 * count)
check_speed()
