#!/usr/bin/env python3
"""Compares `gradus debug step --precision bf16` with PyTorch's own bf16, which is torch.autocast on the CPU: how far is each
from fp32 torch, on the same fp32 weights and batch? The models are those of check_models.py (every architecture, grouped
queries, packed and text-only rows, several pictures), their widths multiplied by WIDER so that an error is an average over many
roundings and not the luck of a few.

    python tests/reference/check_bf16.py GRADUS [--count 24] [--draws 16] [--seed 1]

GRADUS is the program. Needs torch, transformers, safetensors; not run by CI.

Errors: ||g - fp32|| / ||fp32|| of the gradient of a part, and of every tensor of it; logits by their largest difference over
the largest logit; loss relative. Both sides round the same weights and then each its own way, so in one draw of weights and
batch either may be lucky: a configuration is a pair of architectures with its kind of head, each of its draws has sizes, weights and batch of
its own, and errors are compared by the geometric mean over them of ours / autocast's, "ratio".
Fails unless

- in every configuration the ratio of each part's gradient and that of the logits is at most 1;
- the median ratio of all tensors is at most 1, and so is the ratio of every kind of tensor (a name without its block's number)
  over all configurations that have it; no tensor's own ratio is above TENSOR, as one tensor's may be a handful of numbers;
- the root mean square of the loss's error over all draws is at most autocast's. A single loss's error may vanish by chance on
  either side, which makes a ratio of two meaningless; of one configuration's root mean squares it may be LOSS at most.
"""

import argparse
import collections
import math
import pathlib
import re
import statistics
import sys
import tempfile

import torch
from transformers.utils import logging

import check_models as models

WIDER, TENSOR, LOSS = 8, 1.6, 2.5


def widened(config):
    for part, keys in config.items():
        for key in ("hidden_size", "intermediate_size", "head_dim", "vocab_size"):
            if part != "connector" and key in keys:
                keys[key] *= WIDER
    return config


def torch_step(config, d, batch, image, autocast):
    """Loss, logits and gradients in double, of fp32 weights and activations or of autocast's."""
    parts = models.open_parts(config, d, torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
        _, logits, loss = models.reference(config, batch, image, *parts)
    grads = {n: g.double() for n, g in models.gradients(config, *parts).items() if g is not None}
    return loss.double().item(), logits.detach().double(), grads


def gradus_step(gradus, d, image, train):
    got = models.debug_step(gradus, d, image, train, "--precision", "bf16")
    grads = {n[5:]: g.double() for n, g in got.items() if n.startswith("grad.")}
    return got["loss"].double().item(), got["logits"].double(), grads


def errors(step, want, train):
    """What -> error against `want`: "loss", "logits", the parts, and every tensor that has a gradient."""
    loss, logits, grads = want
    out = {"loss": abs(step[0] - loss) / abs(loss),
           "logits": ((step[1] - logits).abs().max() / logits.abs().max()).item()}
    for part in train:
        names = [n for n in grads if models.part_of(n) == part]
        assert set(names) <= set(step[2])
        error = {n: (step[2][n] - grads[n]).norm().item() for n in names}
        norm = {n: grads[n].norm().item() for n in names}
        assert all(norm[n] > 0 or error[n] == 0 for n in names)
        if any(norm.values()):  # else no target stands behind a picture
            out[part] = math.hypot(*error.values()) / math.hypot(*norm.values())
        out.update({n: error[n] / norm[n] for n in names if norm[n] > 0})
    return out


def draw(gradus, n, seed):
    """The configuration's name, and what -> (our error, autocast's)."""
    with tempfile.TemporaryDirectory() as folder:
        d = pathlib.Path(folder)
        config, _, batch, image = models.prepare(gradus, d, n, seed, widened)
        train = models.PARTS if "pixel_values" in batch else ["language"]
        want = torch_step(config, d, batch, image, False)
        ours = errors(gradus_step(gradus, d, image, train), want, train)
        autocast = errors(torch_step(config, d, batch, image, True), want, train)
        tied = "tied" if config["language"]["tie_word_embeddings"] else "untied"
        name = f"{n}: {config['vision']['model_type']} + {config['language']['model_type']} {tied}"
        return name, {what: (ours[what], autocast[what]) for what in ours}


def square_mean(values):
    return math.sqrt(statistics.fmean(v * v for v in values))


def log_ratio(pair):
    """Where both are 0 (an unused row of a table) neither is worse."""
    tiny = 1e-30
    return math.log((pair[0] + tiny) / (pair[1] + tiny))


def ratio(pairs):
    return math.exp(statistics.fmean(log_ratio(p) for p in pairs))


class Verdict:
    def __init__(self):
        self.failures = []

    def limit(self, what, got, most):
        if not got <= most:
            self.failures.append(f"{what}: {got:.2f}, allowed {most:g}")


def judge_configuration(verdict, name, pairs):
    """Prints the configuration's line; returns the ratios of its tensors."""
    line, tensors = [], {}
    for what, of in pairs.items():
        ours, autocast = (square_mean(p[i] for p in of) for i in (0, 1))
        if what == "loss":
            verdict.limit(f"{name} loss", ours / autocast, LOSS)
            line.append(f"loss {ours:.1e}/{autocast:.1e}")
        elif what in ["logits", *models.PARTS]:
            verdict.limit(f"{name} {what}", ratio(of), 1)
            line.append(f"{what} {ours:.1e}/{autocast:.1e}={ratio(of):.2f}")
        else:
            verdict.limit(f"{name} {what}", ratio(of), TENSOR)
            tensors[what] = ratio(of)
    print(f"{name}: " + ", ".join(line), flush=True)
    return tensors


def judge_tensors(verdict, all_pairs, tensors):
    kinds = collections.defaultdict(list)
    for pairs in all_pairs:
        for what, of in pairs.items():
            if what not in ["loss", "logits", *models.PARTS]:
                kinds[re.sub(r"\.\d+\.", ".#.", what)] += of
    worst = sorted(((ratio(of), kind) for kind, of in kinds.items()), reverse=True)
    for value, kind in worst:
        verdict.limit(kind, value, 1)
    verdict.limit("median of all tensors", statistics.median(tensors), 1)
    print(f"tensors: {len(tensors)}, median ratio {statistics.median(tensors):.2f}, {sum(t > 1 for t in tensors)} above 1, "
          f"worst {max(tensors):.2f}; kinds: {len(kinds)}, worst " + ", ".join(f"{v:.2f} {k}" for v, k in worst[:3]))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("gradus")
    parser.add_argument("--count", type=int, default=24)
    parser.add_argument("--draws", type=int, default=16)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    verdict, everything, tensors = Verdict(), [], []
    print("error against fp32, ours/autocast's (root mean square of the draws) = ratio")
    for n in range(args.count):
        pairs = collections.defaultdict(list)
        for seed in range(args.seed, args.seed + args.draws):
            name, found = draw(args.gradus, n, seed)
            for what, pair in found.items():
                pairs[what].append(pair)
        tensors += judge_configuration(verdict, name, pairs).values()
        everything.append(pairs)
    judge_tensors(verdict, everything, tensors)
    losses = [pair for pairs in everything for pair in pairs["loss"]]
    ours, autocast = (square_mean(p[i] for p in losses) for i in (0, 1))
    verdict.limit("loss of all draws", ours / autocast, 1)
    print(f"loss of all {len(losses)} draws: {ours:.2e}/{autocast:.2e}={ours / autocast:.2f}")
    print(f"{args.count} configurations of {args.draws} draws, {len(verdict.failures)} failures")
    for failure in verdict.failures[:20]:
        print("FAIL " + failure)
    return 1 if verdict.failures else 0


if __name__ == "__main__":
    sys.exit(main())
