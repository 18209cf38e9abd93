"""Compares gr_image_decode and gr_image_resize with Pillow on random images. Needs numpy and Pillow."""

import ctypes
import io

import sys

import numpy
from PIL import Image, ImageFile

import native


class GrImage(ctypes.Structure):
    _fields_ = [("width", ctypes.c_int64), ("height", ctypes.c_int64), ("rgb", ctypes.c_void_p)]

    def array(self):
        raw = ctypes.string_at(self.rgb, self.width * self.height * 3)
        return numpy.frombuffer(raw, numpy.uint8).reshape(self.height, self.width, 3)


ImageFile.MAXBLOCK = 1 << 24  # progressive encoding wants one buffer
library = native.build("src/formats/image*.c")


def random_image(rng, mode, width, height):
    bands = len(Image.new(mode, (1, 1)).getbands())
    noise = rng.integers(0, 256, (height, width, bands), numpy.uint8)
    y, x = numpy.mgrid[0:height, 0:width]
    smooth = (127 + 120 * numpy.sin(x / 7 + y / 5)).astype(numpy.uint8)[:, :, None]
    data = noise if rng.random() < 0.5 else numpy.broadcast_to(smooth, noise.shape)
    return Image.fromarray(numpy.ascontiguousarray(data.squeeze(2) if bands == 1 else data), mode)


def decode(data):
    out = GrImage()
    native.check(library, library.gr_image_decode(b"x", data, ctypes.c_size_t(len(data)), False, ctypes.byref(out)))
    return out


def resized(image, width, height):
    out = GrImage()
    native.check(library, library.gr_image_resize(ctypes.byref(image), ctypes.c_int64(width), ctypes.c_int64(height),
                                                  ctypes.byref(out)))
    return out


def formats(image, rng):
    yield "PNG", dict(), image
    if image.mode in ("RGB", "L", "CMYK"):
        for subsampling in (0, 1, 2):
            yield "JPEG", dict(quality=int(rng.integers(20, 100)), subsampling=subsampling,
                               progressive=bool(rng.integers(2))), image
    if image.mode in ("RGB", "RGBA"):
        yield "WEBP", dict(quality=int(rng.integers(20, 100))), image
        yield "WEBP", dict(lossless=True), image


def main(count):
    rng = numpy.random.default_rng(1)

    decoded = {}
    for trial in range(count):
        width, height, w, h = (int(v) for v in rng.integers(1, 700 if trial % 4 == 0 else 90, 4))
        mode = ("RGB", "L", "RGBA", "CMYK", "LA")[trial % 5]
        image = random_image(rng, mode, width, height)
        for kind, options, source in formats(image, rng):
            if kind == "PNG" and mode == "CMYK":
                continue
            data = io.BytesIO()
            source.save(data, kind, **options)
            got = decode(data.getvalue())
            want = numpy.asarray(Image.open(io.BytesIO(data.getvalue())).convert("RGB"))
            same = got.array().shape == want.shape and bool((got.array() == want).all())
            worst = 0 if same else int(abs(got.array().astype(int) - want).max())
            tally = decoded.setdefault((kind, mode, str(options.get("subsampling", options.get("lossless")))), [0, 0, 0])
            tally[0] += 1
            tally[1] += same
            tally[2] = max(tally[2], worst)
            small = resized(got, w, h)
            # Pillow 13 sometimes takes the height first; earlier versions, and the models' own preprocessing, never did.
            reference = Image.fromarray(got.array()).resize((w, height), Image.BICUBIC).resize((w, h), Image.BICUBIC)
            assert (small.array() == numpy.asarray(reference)).all(), ("resize", width, height, w, h)
            library.gr_mem_free(got.rgb)
            library.gr_mem_free(small.rgb)
    print(f"{count} images: every resize has Pillow's bits")
    for key, (n, same, worst) in sorted(decoded.items()):
        print(f"decode {key}: {same} of {n} with Pillow's pixels, worst difference {worst}")


main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
