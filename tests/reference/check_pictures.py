#!/usr/bin/env python3
"""Compares `gradus debug pictures` with transformers' own (Pillow) image processors on random pictures of odd sizes.

Each processor is saved by transformers, beside a small config.json; then, for each picture, the bytes before normalisation must
be the same, and the numbers after it within 1e-6. Tiles are compared with GotOcr2's crop_to_patches, and with InternVL's rule
written down in native_image.py; directories of transformers' own InternVL with what its InternVLProcessor makes. Not run by CI. Needs transformers, torch, numpy, and Pillow below 13 (13 resizes in
another order of the axes).
Usage: check_pictures.py GRADUS [PICTURES]     GRADUS the program, PICTURES how many (default 60)
"""

import json
import os
import subprocess
import sys
import tempfile

import numpy
import PIL
import transformers
from PIL import Image
from safetensors.numpy import load_file

from native_image import tile_rule

SIDE = 56
CONFIG = {"model_type": "aimv2", "hidden_size": 8, "intermediate_size": 12, "num_hidden_layers": 1, "num_attention_heads": 2,
          "image_size": SIDE, "patch_size": 14}
SQUARE = {"height": SIDE, "width": SIDE}
EDGE = {"size": {"shortest_edge": SIDE}, "crop_size": SQUARE}
PROCESSORS = [
    ("CLIP", EDGE), ("CLIP", {"size": {"shortest_edge": SIDE + 9}, "crop_size": SQUARE}), ("CLIP", dict(EDGE, resample=2)),
    ("CLIP", {"size": SQUARE, "do_center_crop": False, "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}),
    ("CLIP", {"size": SQUARE, "crop_size": SQUARE}), ("Bit", EDGE), ("Siglip", {"size": SQUARE}),
    ("Siglip", {"size": SQUARE, "resample": 2}), ("ViT", {"size": SQUARE}),
    ("Siglip", {"size": SQUARE, "rescale_factor": 1 / 127.5, "image_mean": [1, 1, 1], "image_std": [1, 1, 1]}),
    ("Siglip", {"size": SQUARE, "do_normalize": False}), ("Siglip", {"size": SQUARE, "do_rescale": False}),
    ("GotOcr2", {"size": SQUARE}), ("GotOcr2", {"size": SQUARE, "crop_to_patches": True, "max_patches": 12}),
    ("GotOcr2", {"size": SQUARE, "crop_to_patches": True, "min_patches": 2, "max_patches": 6, "resample": 2}),
]


LANGUAGE = {"model_type": "qwen2", "vocab_size": 11, "hidden_size": 6, "intermediate_size": 10, "num_hidden_layers": 1,
            "num_attention_heads": 1, "num_key_value_heads": 1, "rms_norm_eps": 1e-6, "rope_theta": 1e6,
            "max_position_embeddings": 77, "tie_word_embeddings": True}
TRANSFORMERS = {"model_type": "internvl", "text_config": LANGUAGE, "vision_config": {
    "model_type": "internvl_vision", "hidden_size": 8, "intermediate_size": 12, "num_hidden_layers": 1, "num_attention_heads": 2,
    "image_size": [SIDE, SIDE], "patch_size": [14, 14]}}


def processor(name, settings, raw):
    cls = getattr(transformers, name + "ImageProcessorPil", None) or getattr(transformers, name + "ImageProcessor")
    return cls(**dict(settings, do_rescale=False, do_normalize=False) if raw else settings)


def ours(gradus, folder, files):
    with tempfile.TemporaryDirectory() as other:  # nothing is written into a model that is read
        out = os.path.join(other, "out.safetensors")
        command = [gradus, "debug", "pictures", "--model", folder, "--out", out, "--alpha", "drop", "--exif", "ignore"]
        subprocess.run(command + sum((["--image", f] for f in files), []), check=True)
        tensors = load_file(out)
    return tensors["pixel_values"], tensors["tiles"]


def internvl_processor(settings):
    """transformers' own InternVL around an image processor, with a tokenizer of its marks alone."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    marks = {"start_image_token": "<img>", "end_image_token": "</img>", "context_image_token": "<IMG_CONTEXT>",
             "video_token": "<video>"}
    words = {w: i for i, w in enumerate(["[UNK]"] + list(marks.values()))}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="[UNK]", extra_special_tokens=marks)
    return transformers.InternVLProcessor(processor("GotOcr2", settings, False), fast, transformers.InternVLVideoProcessor(),
                                          image_seq_length=4)


def check_internvl_processor(gradus, files, pictures):
    """Directories as transformers saves them now, and as they are published: settings in a file of their own."""
    for nested in (True, False):
        for settings in ({"crop_to_patches": False, "max_patches": 7}, {"crop_to_patches": True, "min_patches": 2, "max_patches": 4},
                         {"max_patches": 1}):
            settings = dict(settings, size=SQUARE)
            with tempfile.TemporaryDirectory() as folder:
                p = internvl_processor(settings)
                (p if nested else p.image_processor).save_pretrained(folder)
                write_model(folder, TRANSFORMERS, {})
                got, tiles = ours(gradus, folder, files)
            want = [p(images=[image], text="<IMG_CONTEXT>", return_tensors="np")["pixel_values"] for image in pictures]
            off = numpy.abs(got - numpy.concatenate(want)).max()
            if tiles.tolist() != [len(w) for w in want] or off > 1e-6:
                sys.exit("InternVLProcessor %s: other tiles, or pixels that differ by up to %g" % (settings, off))
            print("InternVLProcessor %s, %s: the same %d tiles" % (settings, "nested" if nested else "apart", len(got)))


def write_model(folder, config, files):
    for name, content in dict(files, **{"config.json": config}).items():
        with open(os.path.join(folder, name), "w") as f:
            json.dump(content, f)


def check_processors(gradus, files, pictures):
    worst = 0
    for name, settings in PROCESSORS:
        for raw in (True, False):
            with tempfile.TemporaryDirectory() as folder:
                p = processor(name, settings, raw)
                p.save_pretrained(folder)
                with open(os.path.join(folder, "config.json"), "w") as f:
                    json.dump(CONFIG, f)
                got, tiles = ours(gradus, folder, files)
                want = [numpy.asarray(p(image, return_tensors="np")["pixel_values"]) for image in pictures]
            counts = [len(w) for w in want]
            if counts != tiles.tolist():
                sys.exit("%s %s: tiles %s, transformers has %s" % (name, settings, tiles.tolist(), counts))
            want = numpy.concatenate(want).astype(numpy.float64)
            off = numpy.abs(got - want).max()
            if raw and off > 0:
                sys.exit("%s %s: pixels differ by up to %g" % (name, settings, off))
            scale = max(1.0, numpy.abs(want).max())
            worst = max(worst, 0 if raw else off / scale)
        print("%-8s %s: the same pixels" % (name, settings))
    print("worst difference after normalisation: %.2g" % worst)
    return worst <= 1e-6


def internvl(image, settings):
    """The 8-bit squares of InternVL's dynamic_preprocess and build_transform."""
    if settings.get("pad2square"):
        side = max(image.size)
        square = Image.new("RGB", (side, side), tuple(int(255 * m) for m in (0.485, 0.456, 0.406)))
        square.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
        return [square.resize((SIDE, SIDE), Image.BICUBIC)]
    columns, rows = tile_rule(image.width, image.height, settings["max_dynamic_patch"], SIDE)
    whole = image.resize((columns * SIDE, rows * SIDE))
    tiles = [whole.crop((x * SIDE, y * SIDE, (x + 1) * SIDE, (y + 1) * SIDE)) for y in range(rows) for x in range(columns)]
    return tiles + ([image.resize((SIDE, SIDE))] if settings.get("use_thumbnail") and len(tiles) > 1 else [])


def check_internvl(gradus, files, pictures):
    full = {"model_type": "internvl_chat", "vision_config": CONFIG, "llm_config": LANGUAGE, "force_image_size": SIDE,
            "select_layer": -1, "ps_version": "v2"}
    clip = {"feature_extractor_type": "CLIPFeatureExtractor", "size": 448, "crop_size": 448, "do_center_crop": True,
            "resample": 3, "do_rescale": False, "do_normalize": False}
    for settings in ({"dynamic_image_size": True, "max_dynamic_patch": 12, "use_thumbnail": True},
                     {"dynamic_image_size": True, "max_dynamic_patch": 6}, {"dynamic_image_size": False, "pad2square": True}):
        with tempfile.TemporaryDirectory() as folder:
            # Numbers as they come, but the padding's colour is that of the mean: so the mean is given, and taken off again.
            beside = dict(clip, do_normalize=True, image_mean=[0.485, 0.456, 0.406], image_std=[1, 1, 1])
            write_model(folder, dict(full, **settings), {"preprocessor_config.json": beside})
            got, tiles = ours(gradus, folder, files)
        got = numpy.rint(got + numpy.array([0.485, 0.456, 0.406], numpy.float32)[:, None, None])
        want = [[numpy.asarray(t).transpose(2, 0, 1) for t in internvl(image, settings)] for image in pictures]
        if tiles.tolist() != [len(w) for w in want] or not (got == numpy.array(sum(want, []))).all():
            sys.exit("InternVL %s: other tiles or pixels" % settings)
        print("InternVL %s: the same %d tiles" % (settings, len(got)))


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__.strip())
    gradus, count = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 60
    random = numpy.random.default_rng(1)
    with tempfile.TemporaryDirectory() as folder:
        files, pictures = [], []
        for n in range(count):
            sides = random.integers(1, 400, 2) if n % 3 else random.integers(30, 90, 2)
            pixels = random.integers(0, 256, (sides[0], sides[1], 3), numpy.uint8)
            # Transformers guesses where the channels are; a side of 1 or 3 pixels misleads it.
            if min(sides) <= 4:
                pixels = random.integers(0, 256, (61, 7, 3), numpy.uint8)
            files.append(os.path.join(folder, "%d.png" % n))
            Image.fromarray(pixels).save(files[-1])
            pictures.append(Image.fromarray(pixels))
        print("Pillow %s, transformers %s, %d pictures" % (PIL.__version__, transformers.__version__, count))
        good = check_processors(gradus, files, pictures)
        check_internvl(gradus, files, pictures)
        check_internvl_processor(gradus, files, pictures)
    sys.exit(0 if good else 1)


main()
