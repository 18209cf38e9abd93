"""Makes tests/fixtures/images: small pictures and, beside each, the pixels they must decode to (NAME.rgb, and
NAME.white.rgb over white where there is alpha). Needs numpy and Pillow. PNG files are written here by hand,
because Pillow writes neither interlaced files nor 16 bits per colour."""

import io
import os
import struct
import zlib

import numpy
from PIL import Image

OUT = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "fixtures", "images")
W, H = 11, 7
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def scanlines(pixels, depth):
    """Rows of samples [h, w, channels] as PNG bytes, filter 0."""
    out = b""
    for row in pixels:
        samples = row.reshape(-1)
        if depth == 16:
            out += b"\0" + samples.astype(">u2").tobytes()
        elif depth == 8:
            out += b"\0" + samples.astype("u1").tobytes()
        else:
            bits = "".join(format(int(v), f"0{depth}b") for v in samples)
            bits += "0" * (-len(bits) % 8)
            out += b"\0" + bytes(int(bits[i:i + 8], 2) for i in range(0, len(bits), 8))
    return out


def png(pixels, colour, depth, interlaced=False, extra=()):
    h, w = pixels.shape[:2]
    passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    if interlaced:
        parts = [pixels[y::dy, x::dx] for y, x, dy, dx in passes]
        data = b"".join(scanlines(p, depth) for p in parts if p.size)
    else:
        data = scanlines(pixels, depth)
    header = struct.pack(">IIBBBBB", w, h, depth, colour, 0, 0, int(interlaced))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"".join(chunk(k, d) for k, d in extra) +
            chunk(b"IDAT", zlib.compress(data, 9)) + chunk(b"IEND", b""))


def noise(channels, depth, seed):
    rng = numpy.random.default_rng(seed)
    return rng.integers(0, 1 << depth, (H, W, channels))


def smooth(seed):
    y, x = numpy.mgrid[0:H, 0:W]
    bands = [127 + 120 * numpy.sin(seed + c + x / 3 + y / (2 + c)) for c in range(3)]
    return numpy.stack(bands, 2).astype(numpy.uint8)


def over_white(rgb, alpha):
    return (rgb.astype(int) * alpha + 255 * (255 - alpha.astype(int)) + 127) // 255


def put(name, data, rgb, alpha=None, like_pillow=True):
    rgb = numpy.asarray(rgb)
    if like_pillow:
        assert (numpy.asarray(Image.open(io.BytesIO(data)).convert("RGB")) == rgb).all(), name
    stem = os.path.join(OUT, name)
    open(stem, "wb").write(data)
    open(stem + ".rgb", "wb").write(rgb.astype(numpy.uint8).tobytes())
    if alpha is not None:
        open(stem + ".white.rgb", "wb").write(over_white(rgb, alpha[:, :, None]).astype(numpy.uint8).tobytes())
    print(name, len(data))


def grey_rgb(grey):
    return numpy.repeat(grey.reshape(H, W, 1), 3, 2)


def pngs():
    for depth in (1, 2, 4, 8):
        g = noise(1, depth, depth)
        put(f"grey{depth}.png", png(g, 0, depth), grey_rgb(g * 255 // ((1 << depth) - 1)))
    g = noise(1, 16, 16)
    put("grey16.png", png(g, 0, 16), grey_rgb(g >> 8), like_pillow=False)  # Pillow clips these
    g = noise(1, 8, 21)
    put("grey_trns.png", png(g, 0, 8, extra=[(b"tRNS", struct.pack(">H", int(g[3, 4, 0])))]), grey_rgb(g),
        numpy.where(g == g[3, 4, 0], 0, 255)[:, :, 0])
    ga = noise(2, 8, 22)
    put("grey_alpha.png", png(ga, 4, 8), grey_rgb(ga[:, :, 0]), ga[:, :, 1])
    rgb = noise(3, 8, 23)
    put("rgb.png", png(rgb, 2, 8), rgb)
    put("rgb_interlaced.png", png(rgb, 2, 8, True), rgb)
    r16 = noise(3, 16, 24)
    put("rgb16.png", png(r16, 2, 16), r16 >> 8)
    trns = struct.pack(">HHH", *(int(v) for v in rgb[2, 5]))
    put("rgb_trns.png", png(rgb, 2, 8, extra=[(b"tRNS", trns)]), rgb,
        numpy.where((rgb == rgb[2, 5]).all(2), 0, 255))
    rgba = noise(4, 8, 25)
    put("rgba_interlaced.png", png(rgba, 6, 8, True), rgba[:, :, :3], rgba[:, :, 3])
    a16 = noise(4, 16, 26)
    put("rgba16.png", png(a16, 6, 16), a16[:, :, :3] >> 8, a16[:, :, 3] >> 8)
    palette = noise(3, 8, 27).reshape(-1, 3)[:16]
    plte = (b"PLTE", palette.astype("u1").tobytes())
    index = noise(1, 4, 28)
    put("palette.png", png(index, 3, 4, extra=[plte]), palette[index[:, :, 0]])
    alpha = numpy.array([0, 40, 128, 254] + [255] * 12)
    put("palette_trns.png", png(index, 3, 4, extra=[plte, (b"tRNS", bytes([0, 40, 128, 254]))]),
        palette[index[:, :, 0]], alpha[index[:, :, 0]])
    index = noise(1, 2, 29)
    put("palette_interlaced.png", png(index, 3, 2, True, [plte]), palette[index[:, :, 0]])


def saved(image, kind, **options):
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def codec(name, image, kind, alpha=None, **options):
    data = saved(image, kind, **options)
    put(name, data, numpy.asarray(Image.open(io.BytesIO(data)).convert("RGB")), alpha)


def jpegs_and_webps():
    rgb = Image.fromarray(smooth(1))
    codec("rgb420.jpg", rgb, "JPEG", quality=80)
    codec("rgb444_progressive.jpg", rgb, "JPEG", quality=90, subsampling=0, progressive=True)
    codec("grey.jpg", rgb.convert("L"), "JPEG", quality=85)
    codec("cmyk.jpg", rgb.convert("CMYK"), "JPEG", quality=85)
    codec("really_jpeg.png", rgb, "JPEG", quality=70, subsampling=1)
    codec("lossy.webp", rgb, "WEBP", quality=70)
    codec("lossless.webp", rgb, "WEBP", lossless=True)
    alpha = noise(1, 8, 30).astype(numpy.uint8)
    rgba = Image.fromarray(numpy.concatenate([smooth(2), alpha], 2))
    codec("lossless_alpha.webp", rgba, "WEBP", alpha[:, :, 0], lossless=True, exact=True)
    frames = [rgb, Image.fromarray(smooth(3))]
    open(os.path.join(OUT, "animated.webp"), "wb").write(saved(frames[0], "WEBP", save_all=True, append_images=frames[1:], lossless=True))


os.makedirs(OUT, exist_ok=True)
pngs()
jpegs_and_webps()
