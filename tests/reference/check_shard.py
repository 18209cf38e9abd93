"""Compares a data set with the LLaVA file it was imported from, reading the shards with h5py. check_import.py does other forms.

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


def label(shard, name, n):
    return bytes(shard[name + "_bytes"][slice(*shard[name + "_offsets"][n : n + 2])]).decode()


def check_sample(shard, n, want):
    """want: source, task, conversation, pictures as arrays (height, width, 3)."""
    source, task, talk, pictures = want
    text = bytes(shard["text_bytes"][shard["text_offsets"][n] : shard["text_offsets"][n + 1]])
    assert label(shard, "source", n) == source, (label(shard, "source", n), source)
    assert label(shard, "task", n) == task, (label(shard, "task", n), task)
    assert json.loads(text) == talk, (text, talk)
    first, last = shard["sample_images"][n : n + 2]
    assert last - first == len(pictures), source
    content = link(bytes(16), struct.pack("<Q", len(pictures)))
    for i, pixels in zip(range(first, last), pictures):
        webp = bytes(shard["image_bytes"][shard["image_offsets"][i] : shard["image_offsets"][i + 1]])
        picture = Image.open(io.BytesIO(webp))
        assert picture.format == "WEBP" and list(picture.size) == list(shard["image_size"][i])
        assert numpy.array_equal(numpy.asarray(picture.convert("RGB")), pixels), source
        content = link(content, webp)
    content = link(content, text)
    assert content == struct.pack("<QQ", *shard["content_id"][n]), source
    return content


def check_dataset(folder, wanted):
    """Compares all of a data set with the iterable of what its samples should be; returns how many there are."""
    manifest = json.load(open(os.path.join(folder, "manifest.json")))
    assert manifest["schema"] == "gradus-dataset" and manifest["version"] == 3
    whole, done, wanted = bytes(16), 0, iter(wanted)
    for entry in manifest["shards"]:
        part = bytes(16)
        path = os.path.join(folder, entry["name"])
        assert os.path.getsize(path) == entry["bytes"]
        with h5py.File(path, "r") as shard:
            assert shard.attrs["schema"] == b"gradus-shard" and shard.attrs["version"] == 2
            assert all(set_.chunks is None for set_ in shard.values())
            for n in range(entry["samples"]):
                content = check_sample(shard, n, next(wanted))
                part, whole = link(part, content), link(whole, content)
                done += 1
        assert text_of(part) == entry["digest"]
    assert next(wanted, None) is None
    assert done == manifest["samples"] and text_of(whole) == manifest["digest"]
    return done


def llava_samples(source, images):
    last = ("", None)  # questions about one picture follow each other
    for record in json.load(open(source)):
        talk = {key: value for key, value in record.items() if key not in ("id", "image")}
        names = record.get("image") or []
        pictures = []
        for name in [names] if isinstance(names, str) else names:
            if name != last[0]:
                last = (name, over_white(os.path.join(images, name)))
            pictures.append(last[1])
        yield str(record["id"]), "", talk, pictures


def main():
    folder, source, images = sys.argv[1:4]
    print("%d samples agree with %s" % (check_dataset(folder, llava_samples(source, images)), source))


if __name__ == "__main__":
    main()
