"""Compares a data set with the LLaVA file it was imported from, reading the shards with h5py.

usage: check_shard.py DATASET SOURCE.json IMAGES

The data set must come from `gradus data import --encode lossless` without --max-side. Checks schema, order, captions, ids,
every pixel against Pillow (alpha over white), content ids and digests. Needs h5py, numpy, Pillow and libxxhash.
"""

import ctypes
import ctypes.util
import io
import json
import os
import struct
import sys

import h5py
import numpy
from PIL import Image


class Hash128(ctypes.Structure):
    _fields_ = [("low", ctypes.c_uint64), ("high", ctypes.c_uint64)]


xxhash = ctypes.CDLL(ctypes.util.find_library("xxhash"))
xxhash.XXH3_128bits.restype = Hash128
xxhash.XXH3_128bits.argtypes = [ctypes.c_char_p, ctypes.c_size_t]


def digest(data):
    value = xxhash.XXH3_128bits(data, len(data))
    return struct.pack("<QQ", value.high, value.low)


def link(so_far, data):
    return digest(so_far + struct.pack("<Q", len(data)) + digest(data))


def text_of(so_far):
    return "%016x%016x" % struct.unpack("<QQ", so_far)


def over_white(path):
    rgba = numpy.asarray(Image.open(path).convert("RGBA")).astype(numpy.uint32)
    alpha = rgba[:, :, 3:]
    return ((rgba[:, :, :3] * alpha + 255 * (255 - alpha) + 127) // 255).astype(numpy.uint8)


def check_sample(shard, n, record, images):
    text = bytes(shard["text_bytes"][shard["text_offsets"][n] : shard["text_offsets"][n + 1]])
    source = bytes(shard["source_bytes"][shard["source_offsets"][n] : shard["source_offsets"][n + 1]])
    assert source.decode() == str(record["id"]), (source, record["id"])
    want = {key: value for key, value in record.items() if key not in ("id", "image")}
    assert json.loads(text) == want, (text, want)
    names = record.get("image") or []
    names = [names] if isinstance(names, str) else names
    first, last = shard["sample_images"][n : n + 2]
    assert last - first == len(names)
    content = link(bytes(16), struct.pack("<Q", len(names)))
    for i, name in zip(range(first, last), names):
        webp = bytes(shard["image_bytes"][shard["image_offsets"][i] : shard["image_offsets"][i + 1]])
        picture = Image.open(io.BytesIO(webp))
        assert picture.format == "WEBP" and list(picture.size) == list(shard["image_size"][i])
        assert numpy.array_equal(numpy.asarray(picture.convert("RGB")), over_white(os.path.join(images, name))), name
        content = link(content, webp)
    content = link(content, text)
    assert content == struct.pack("<QQ", *shard["content_id"][n]), source
    return content


def main():
    folder, source, images = sys.argv[1:4]
    manifest = json.load(open(os.path.join(folder, "manifest.json")))
    records = json.load(open(source))
    whole, done = bytes(16), 0
    for entry in manifest["shards"]:
        part = bytes(16)
        path = os.path.join(folder, entry["name"])
        assert os.path.getsize(path) == entry["bytes"]
        with h5py.File(path, "r") as shard:
            assert shard.attrs["schema"] == b"gradus-shard" and shard.attrs["version"] == 2
            assert all(set_.chunks is None for set_ in shard.values())
            for n in range(entry["samples"]):
                content = check_sample(shard, n, records[done], images)
                part, whole = link(part, content), link(whole, content)
                done += 1
        assert text_of(part) == entry["digest"]
    assert done == len(records) == manifest["samples"] and text_of(whole) == manifest["digest"]
    print("%d samples in %d shards agree with %s" % (done, len(manifest["shards"]), source))


if __name__ == "__main__":
    main()
