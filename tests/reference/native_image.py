"""The image functions of the house for the scripts beside this one, and InternVL's tiling rule as a list walk."""

import ctypes

import numpy

import native

library = native.build("src/formats/image*.c")


class GrImage(ctypes.Structure):
    _fields_ = [("width", ctypes.c_int64), ("height", ctypes.c_int64), ("rgb", ctypes.c_void_p)]

    def array(self):
        raw = ctypes.string_at(self.rgb, self.width * self.height * 3)
        return numpy.frombuffer(raw, numpy.uint8).reshape(self.height, self.width, 3)


class TileRules(ctypes.Structure):
    _fields_ = [("side", ctypes.c_int64), ("fewest", ctypes.c_int64), ("most", ctypes.c_int64), ("thumbnail", ctypes.c_bool),
                ("second_scale", ctypes.c_bool), ("filter", ctypes.c_int)]


OVER_WHITE, UPRIGHT = 1, 2


def decode(data, how):
    out = GrImage()
    native.check(library, library.gr_image_decode(b"x", data, ctypes.c_size_t(len(data)), ctypes.c_uint(how), ctypes.byref(out)))
    return out


def resized(image, kind, width, height):
    out = GrImage()
    native.check(library, library.gr_image_resize(ctypes.byref(image), ctypes.c_int(kind), ctypes.c_int64(width),
                                                  ctypes.c_int64(height), ctypes.byref(out)))
    return out


def tile_grid(width, height, most, side=448):
    plan = (ctypes.c_int64 * 6)()
    rules = TileRules(side, 1, most, True, False, 0)
    native.check(library, library.gr_tiles_plan(ctypes.byref(rules), ctypes.c_int64(width), ctypes.c_int64(height), plan))
    return plan[0], plan[1]


def tile_rule(width, height, most, side=448):
    """Candidates sorted by area; nearer wins; exactly as near wins when the picture has more than half their pixels."""
    candidates = sorted({(i, j) for i in range(1, most + 1) for j in range(1, most + 1) if i * j <= most},
                        key=lambda c: (c[0] * c[1], c))
    best, nearest = (1, 1), float("inf")
    for i, j in candidates:
        distance = abs(width / height - i / j)
        if distance < nearest:
            nearest, best = distance, (i, j)
        elif distance == nearest and width * height > 0.5 * side * side * i * j:
            best = (i, j)
    return best
