"""Makes tests/fixtures/images: small pictures and, beside each, the pixels they must decode to (NAME.rgb, and
NAME.white.rgb over white where there is alpha, NAME.upright.rgb with EXIF orientation applied). Needs numpy and Pillow.
Usage: make_image_fixtures.py [png] [codecs] [more] [exif] [xmp]; default: all. PNG files are written here by hand,
because Pillow writes neither interlaced files nor 16 bits per colour."""

import io
import os
import struct
import sys
import zlib

import numpy
from PIL import Image, ImageOps

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


def more_jpegs():
    """What libjpeg leaves to the Adobe marker: its last byte says whether four components are CMYK or YCCK (Pillow writes
    CMYK only, so the byte is changed), three YCbCr or RGB."""
    cmyk = bytearray(saved(Image.fromarray(smooth(4)).convert("CMYK"), "JPEG", quality=85))
    at = cmyk.index(b"Adobe") + 11
    assert cmyk[at] == 0
    cmyk[at] = 2
    decoded = Image.open(io.BytesIO(cmyk))
    put("ycck.jpg", bytes(cmyk), numpy.asarray(decoded.convert("RGB")))
    codec("adobe_rgb.jpg", Image.fromarray(smooth(5)), "JPEG", quality=85, keep_rgb=True)
    alpha = noise(1, 8, 31).astype(numpy.uint8)
    rgba = Image.fromarray(numpy.concatenate([smooth(6), alpha], 2))
    data = saved(rgba, "WEBP", quality=80)
    read = numpy.asarray(Image.open(io.BytesIO(data)))
    put("lossy_alpha.webp", data, read[:, :, :3], read[:, :, 3])


def with_exif(name, kind, orientation, byte_order, **options):
    """The EXIF block is written by hand in both byte orders, with another entry in front."""
    endian = "<" if byte_order == b"II" else ">"
    exif = byte_order + struct.pack(endian + "HIH", 42, 8, 2)
    exif += struct.pack(endian + "HHIHH", 0x0103, 3, 1, 6, 0) + struct.pack(endian + "HHIHH", 0x0112, 3, 1, orientation, 0)
    exif += struct.pack(endian + "I", 0)
    data = saved(Image.fromarray(smooth(7)), kind, exif=b"Exif\0\0" + exif, **options)
    image = Image.open(io.BytesIO(data))
    assert image.getexif()[0x0112] == orientation
    put(name, data, numpy.asarray(image.convert("RGB")))
    upright = ImageOps.exif_transpose(image).convert("RGB")
    open(os.path.join(OUT, name + ".upright.rgb"), "wb").write(numpy.asarray(upright).tobytes())


def xmps():
    """Orientation in XMP alone, in both spellings."""
    from PIL.PngImagePlugin import PngInfo
    attribute = '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:OrientationX="3" tiff:Orientation="%d"/></x:xmpmeta>'
    element = "<x:xmpmeta><tiff:Orientation>%d</tiff:Orientation></x:xmpmeta>"
    text = PngInfo()
    text.add_itxt("XML:com.adobe.xmp", element % 5)
    for name, kind, orientation, options in (("xmp6.jpg", "JPEG", 6, dict(quality=60, xmp=(attribute % 6).encode())),
                                             ("xmp5.png", "PNG", 5, dict(pnginfo=text)),
                                             ("xmp3.webp", "WEBP", 3, dict(lossless=True, xmp=(attribute % 3).encode()))):
        data = saved(Image.fromarray(smooth(7)), kind, **options)
        image = Image.open(io.BytesIO(data))
        assert image.getexif()[0x0112] == orientation
        put(name, data, numpy.asarray(image.convert("RGB")))
        upright = ImageOps.exif_transpose(image).convert("RGB")
        open(os.path.join(OUT, name + ".upright.rgb"), "wb").write(numpy.asarray(upright).tobytes())


def exifs():
    for orientation in range(1, 9):
        with_exif(f"exif{orientation}.jpg", "JPEG", orientation, b"II" if orientation % 2 else b"MM", quality=60)
    with_exif("exif6.png", "PNG", 6, b"MM")
    with_exif("exif8.webp", "WEBP", 8, b"II", lossless=True)


os.makedirs(OUT, exist_ok=True)
wanted = sys.argv[1:] or ["png", "codecs", "more", "exif", "xmp"]
if "png" in wanted:
    pngs()
if "codecs" in wanted:
    jpegs_and_webps()
if "more" in wanted:
    more_jpegs()
if "exif" in wanted:
    exifs()
if "xmp" in wanted:
    xmps()
