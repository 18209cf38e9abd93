#!/usr/bin/env python3
"""Compares `gradus debug step` with torch and transformers on random models: features, logits, loss and the gradient of
every parameter that trains; and that `model export` of both parts opens in transformers, which is where the reference's
weights come from. Every architecture, odd numbers of heads, grouped queries up to 7:1, widths that are no multiple
of 16, several pictures (of another size than the stored positions, not square), packed and text-only rows, every set of
parts that trains, tied and untied heads, select_layer, both orders of the pixel shuffle, recomputation.

    python tests/reference/check_models.py GRADUS [--count 36] [--seed 1] [--only N]

GRADUS is the program. Needs torch, transformers, safetensors; not run by CI. The reference computes in double.
Limits, in fp32: loss 1e-5 relative, logits and features 1e-4 of their largest, gradients 1e-4 in ||g - ref|| / ||ref||.
"""

import argparse
import json
import pathlib
import random
import subprocess
import sys
import tempfile

import torch
from safetensors.torch import load_file, save_file

from transformers.utils import logging

import reference_model as ref

PARTS = ["vision", "connector", "language"]
LOSS, SCALED, GRADIENT = 1e-5, 1e-4, 1e-4


def random_config(r, n):
    """A model description. Kinds and training parts go round, the rest is drawn."""
    vision_kind = ["aimv2", "intern_vit_6b", "siglip_vision_model"][n % 3]
    language_kind = ["qwen2", "qwen3", "llama"][n // 3 % 3]
    patch, heads, size = r.choice([2, 3, 4, 7]), r.choice([1, 2, 3, 5]), r.choice([3, 4, 6, 10])
    blocks = r.choice([1, 2, 3])
    vision = {"model_type": vision_kind, "patch_size": patch, "image_size": patch * r.choice([2, 4, 6]),
              "hidden_size": heads * size, "num_attention_heads": heads, "intermediate_size": r.choice([7, 20, 33]),
              "num_hidden_layers": blocks}
    if vision_kind == "intern_vit_6b":
        vision.update(norm_type=r.choice(["layer_norm", "rms_norm"]), qkv_bias=r.random() < 0.7,
                      qk_normalization=r.random() < 0.5)
    kv, group = r.choice([(1, 7), (2, 1), (1, 3), (3, 2), (2, 7), (1, 1), (5, 1)])
    head_dim = r.choice([2, 4, 6, 10])
    width = kv * group * head_dim if r.random() < 0.5 else r.choice([9, 22, 31])
    if language_kind == "llama":
        width = kv * group * r.choice([2, 3, 5])  # transformers insists
    language = {"model_type": language_kind, "vocab_size": r.choice([37, 64, 131]), "hidden_size": width,
                "num_hidden_layers": r.choice([1, 2, 3]), "num_attention_heads": kv * group, "num_key_value_heads": kv,
                "head_dim": head_dim, "intermediate_size": r.choice([11, 24, 40]), "max_position_embeddings": 512,
                "rope_theta": r.choice([10000.0, 100000.0, 1000000.0]), "rms_norm_eps": r.choice([1e-5, 1e-6]),
                "tie_word_embeddings": n % 2 == 0}
    select = -r.randint(1, blocks) if n % 4 == 3 else -1
    connector = {"select_layer": select, "ps_version": "v1" if n % 5 == 4 else "v2"}
    if vision_kind != "intern_vit_6b" and r.random() < 0.3:
        connector["post_layernorm"] = r.random() < 0.5
    return {"vision": vision, "connector": connector, "language": language}


def to_yaml(config):
    """Flow mappings: JSON is YAML, but reals need a point and exponents a sign."""
    return "".join(f"{part}: {json.dumps(keys)}\n" for part, keys in config.items())


def fill(directory, generator):
    """Every weight random, norms around 1, so that no gradient is trivial."""
    for path in sorted(directory.glob("model-*.safetensors")):
        out = {}
        for name, t in load_file(path).items():
            value = torch.randn(t.shape, generator=generator)
            plain = t.dim() < 2 or name.endswith(("pos_embed", "embedding", "position_embedding.weight"))
            scale = 0.2 if plain else 1.2 / t[0].numel() ** 0.5
            norm = t.dim() == 1 and name.endswith("weight")
            out[name] = value * scale + (1 if norm else 0)
        save_file(out, path, metadata={"format": "pt"})


def random_batch(r, config, generator, n):
    """Sequences with 0 to 3 pictures each, one of them of text alone, perhaps an empty one."""
    v, l = config["vision"], config["language"]
    patch = v["patch_size"]
    grid = [v["image_size"] // patch] * 2
    if n % 3 == 1 or n % 7 == 0:
        grid = [r.choice([2, 4, 6, 8]), r.choice([2, 4, 6])]
    edge = r.randint(0, patch - 1) if v["model_type"] == "siglip_vision_model" else 0
    per_image, image = grid[0] * grid[1] // 4, l["vocab_size"] - 1
    ids, borders, images = [], [0], 0
    counts = [0] + [r.randint(0, 3) for _ in range(r.randint(1, 3))] + ([1] if n % 8 else [])
    if n % 8 == 0:
        counts = [0] * len(counts)
    r.shuffle(counts)
    for count in counts:
        text = lambda: [r.randrange(image) for _ in range(r.randint(1, 6))]
        ids += text()
        for _ in range(count):
            ids += [image] * per_image + text()
        images += count
        borders.append(len(ids))
        if r.random() < 0.2:
            borders.append(len(ids))
    while all(b - a < 2 for a, b in zip(borders, borders[1:])):  # no token is the second of a sequence: nothing to predict
        ids.append(r.randrange(image))
        borders[-1] = len(ids)
    ids = torch.tensor(ids)
    labels = torch.where(ids == image, ref.NO_LOSS, ids)
    labels[torch.rand(len(ids), generator=generator) < 0.3] = ref.NO_LOSS
    second = next(a + 1 for a, b in zip(borders, borders[1:]) if b - a > 1)
    labels[second] = r.randrange(image)  # the first token of a sequence is no target
    batch = {"input_ids": ids, "labels": labels, "cu_seqlens": torch.tensor(borders, dtype=torch.int32)}
    if images:
        batch["pixel_values"] = torch.randn((images, 3, grid[0] * patch + edge, grid[1] * patch + edge), generator=generator)
    return batch, image


def reference(config, batch, image, vision, language, connector):
    """Features, logits and mean loss, with the loss's backward done."""
    features, rows = None, None
    if "pixel_values" in batch:
        c = config["connector"]
        features, grid = ref.vision_features(config["vision"]["model_type"], vision, batch["pixel_values"].to(vision.dtype),
                                             config["vision"]["patch_size"], c["select_layer"], c.get("post_layernorm"))
        rows = ref.connect(features, grid, connector, c["ps_version"] == "v1")
    logits, loss, targets = ref.language_run(language, batch["input_ids"], batch["labels"], batch["cu_seqlens"].tolist(),
                                             image, rows)
    loss = loss / targets
    loss.backward()
    return features, logits, loss


def gradients(config, vision, language, connector):
    out = ref.vision_tensors(config["vision"]["model_type"], {n: p.grad for n, p in vision.named_parameters()})
    out.update({n: p.grad for n, p in connector.items()})
    out.update({"language_model." + n: p.grad for n, p in language.named_parameters()})
    return out


def part_of(name):
    return "vision" if name.startswith("vision_model.") else "connector" if name.startswith("mlp1.") else "language"


class Tally:
    def __init__(self):
        self.worst, self.count, self.failures = {}, 0, []

    def add(self, kind, what, error, limit):
        self.count += 1
        if error > self.worst.get(kind, (-1, ""))[0]:
            self.worst[kind] = (error, what)
        if not error <= limit:
            self.failures.append(f"{what}: {kind} {error:.2e}, allowed {limit:.0e}")


def compare(tally, case, train, got, features, logits, loss, grads):
    tally.add("loss", case, abs(got["loss"].item() - loss.item()) / abs(loss.item()), LOSS)
    tally.add("logits", case, ((got["logits"] - logits).abs().max() / logits.abs().max()).item(), SCALED)
    if features is not None:
        tally.add("features", case, ((got["vision_features"] - features).abs().max() / features.abs().max()).item(), SCALED)
    want_names = {n for n in grads if part_of(n) in train}
    if {n[5:] for n in got if n.startswith("grad.")} != want_names:
        tally.failures.append(f"{case}: other gradients than those of {train}")
        return
    # A bias of keys without rotation moves all scores of a query alike: its gradient is zero but for the rounding of the
    # softmax, which is judged against the part's largest gradient.
    largest = {p: max((g.norm().item() for n, g in grads.items() if part_of(n) == p and g is not None), default=0)
               for p in PARTS}
    for name in want_names:
        g, want = got["grad." + name].double(), grads[name]
        if want is None or want.norm() == 0:
            tally.add("zero gradient", f"{case} {name}", g.norm().item(), 0)
        elif part_of(name) == "vision" and name.endswith("k_proj.bias"):
            error = max(g.norm().item(), want.norm().item()) / largest["vision"]
            tally.add("vanishing gradient", f"{case} {name}", error, 1e-5)
        else:
            tally.add("gradient", f"{case} {name}", ((g - want).norm() / want.norm()).item(), GRADIENT)


def prepare(gradus, d, n, seed, change=lambda config: config):
    """Model n, changed, in d/model, its parts as transformers opens them in d/vision and d/language, a batch in
    d/batch.safetensors; returns the model's description, the parts that train, the batch and the image token."""
    r, generator = random.Random(seed * 1000 + n), torch.Generator().manual_seed(seed * 1000 + n)
    config = change(random_config(r, n))
    train = [p for i, p in enumerate(PARTS) if (n % 7 + 1) >> i & 1]
    (d / "model.yaml").write_text(to_yaml(config))
    run(gradus, "model", "init", "--config", d / "model.yaml", "--seed", 1, "--out", d / "model")
    fill(d / "model", generator)
    run(gradus, "model", "export", d / "model", "--out", d / "vision", "--layout", "transformers")
    run(gradus, "model", "export", d / "model", "--out", d / "language", "--part", "language")
    batch, image = random_batch(r, config, generator, n)
    save_file(batch, d / "batch.safetensors")
    return config, train, batch, image


def run(*words):
    subprocess.run([*map(str, words)], check=True, stderr=subprocess.DEVNULL)


def debug_step(gradus, d, image, train, *more):
    run(gradus, "debug", "step", "--model", d / "model", "--batch", d / "batch.safetensors", "--out", d / "out.safetensors",
        "--image-token", image, "--train", ",".join(train), *more)
    return load_file(d / "out.safetensors")


def open_parts(config, d, dtype):
    """Vision model, language model, and the connector's tensors, in a type of numbers."""
    return (ref.open_vision(config["vision"]["model_type"], d / "vision", dtype),
            ref.open_language(d / "language", config["language"]["model_type"], dtype),
            {k: w.to(dtype).requires_grad_() for k, w in load_file(d / "model/model-connector.safetensors").items()})


def case_name(config, n):
    v, l = config["vision"], config["language"]
    return (f"{n}: {v['model_type']} {v['num_attention_heads']}h + {l['model_type']} {l['num_attention_heads']}:"
            f"{l['num_key_value_heads']} {'tied' if l['tie_word_embeddings'] else 'untied'}")


def check(gradus, d, n, seed, tally):
    config, train, batch, image = prepare(gradus, d, n, seed)
    got = debug_step(gradus, d, image, train, *(["--recompute"] if n % 2 else []))
    parts = open_parts(config, d, torch.float64)
    case = case_name(config, n)
    features, logits, loss = reference(config, batch, image, *parts)
    compare(tally, case, train, got, features, logits, loss, gradients(config, *parts))
    pictures = tuple(batch["pixel_values"].shape) if "pixel_values" in batch else "none"
    print(f"{case}, trains {','.join(train)}, {len(batch['input_ids'])} tokens, pictures {pictures}, "
          f"layer {config['connector']['select_layer']}, {config['connector']['ps_version']}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("gradus")
    parser.add_argument("--count", type=int, default=36)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int)
    args = parser.parse_args()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    tally = Tally()
    for n in range(args.count) if args.only is None else [args.only]:
        with tempfile.TemporaryDirectory() as folder:
            check(args.gradus, pathlib.Path(folder), n, args.seed, tally)
    for kind, (error, what) in tally.worst.items():
        print(f"{kind:18} worst {error:.1e}  {what}")
    print(f"{args.count} models, {tally.count} comparisons, {len(tally.failures)} failures")
    for failure in tally.failures[:20]:
        print("FAIL " + failure)
    return 1 if tally.failures else 0


if __name__ == "__main__":
    sys.exit(main())
