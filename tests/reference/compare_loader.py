#!/usr/bin/env python3
"""The loader beside a PyTorch DataLoader with WebDataset and Pillow, on the same pictures, in turns in one run.

usage: compare_loader.py GRADUS DATA MODEL TOKENIZER [--samples N] [--workers W] [--rounds R]

DATA is a data set; its first N samples are written as a WebDataset tar (the same WebP bytes, the conversations as JSON). Each
round runs `gradus bench data` with W threads and then one pass of the DataLoader with W worker processes: Pillow decodes,
resizes bicubically to the model's size and the pixels become normalised float tensors in batches. Both read from files that the system
has in memory. Rates are pictures per second of wall clock and of processor time (all threads; all processes). The script fails below
1.5 times.

needs: torch, webdataset, pillow, h5py, numpy
"""
import argparse, io, json, os, resource, statistics, subprocess, sys, tarfile, tempfile, time

import h5py
import numpy as np
import torch
import webdataset as wds
from PIL import Image

MEAN = torch.tensor([0.48145466, 0.4578275, 0.40821073]).view(3, 1, 1)
STD = torch.tensor([0.26862954, 0.26130258, 0.27577711]).view(3, 1, 1)


def write_tar(data, samples, path):
    shards = json.load(open(os.path.join(data, "manifest.json")))["shards"]
    count = 0
    with tarfile.open(path, "w") as tar:
        def add(name, content):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
        for entry in shards:
            with h5py.File(os.path.join(data, entry["name"])) as shard:
                text_at, image_of, image_at = (shard[k][:] for k in ("text_offsets", "sample_images", "image_offsets"))
                for n in range(entry["samples"]):
                    if count == samples:
                        return
                    add(f"{count:08d}.json", bytes(shard["text_bytes"][text_at[n]:text_at[n + 1]]))
                    for i in range(image_of[n], image_of[n + 1]):
                        add(f"{count:08d}.{i - image_of[n]}.webp", bytes(shard["image_bytes"][image_at[i]:image_at[i + 1]]))
                    count += 1
    if count < samples:
        sys.exit(f"{data} has only {count} samples")


class Prepare:
    def __init__(self, side):
        self.side = side

    def __call__(self, sample):
        torch.set_num_threads(1)
        pictures = []
        for key in sorted(k for k in sample if k.endswith("webp")):
            image = Image.open(io.BytesIO(sample[key])).convert("RGB").resize((self.side, self.side), Image.BICUBIC)
            pixels = torch.from_numpy(np.asarray(image).copy()).permute(2, 0, 1).float().div_(255)
            pictures.append(pixels.sub_(MEAN).div_(STD))
        return json.loads(sample["json"]), pictures


def collate(samples):
    pictures = [p for _, ps in samples for p in ps]
    return [t for t, _ in samples], torch.stack(pictures) if pictures else None


def cpu_seconds():
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def run_torch(tar, side, workers, batch):
    """Pictures, wall seconds, processor seconds of a pass. The workers' start is in it, as in every epoch of theirs."""
    dataset = wds.WebDataset(tar, shardshuffle=False, empty_check=False).map(Prepare(side))
    loader = torch.utils.data.DataLoader(dataset, batch_size=batch, num_workers=workers, collate_fn=collate, prefetch_factor=2)
    wall, cpu, count, begun = time.perf_counter(), cpu_seconds(), 0, None
    for _, pixels in loader:
        count += 0 if pixels is None else len(pixels)
    del loader
    return count, time.perf_counter() - wall, cpu_seconds() - cpu


def run_gradus(options, clock):
    out = subprocess.run([options.gradus, "bench", "data", "--data", options.data, "--model", options.model, "--tokenizer",
                          options.tokenizer, "--samples", str(options.samples), "--global-batch", str(options.batch), "--lanes", "4",
                          "--rounds", "1", "--threads", str(options.workers), "--clock", clock, "--json"],
                         check=True, capture_output=True, text=True).stdout
    return json.loads(out)


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("gradus", "data", "model", "tokenizer"):
        p.add_argument(name)
    p.add_argument("--samples", type=int, default=1024)
    p.add_argument("--batch", type=int, default=64)
    p.add_argument("--workers", type=int, default=2)
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--side", type=int, default=448, help="must be the model's")
    o = p.parse_args()
    wall, cpu, shares = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        # One tar a worker, so that each has its own to read.
        tars = [os.path.join(folder, f"{i:04d}.tar") for i in range(o.workers)]
        whole = os.path.join(folder, "whole.tar")
        write_tar(o.data, o.samples, whole)
        outs = [tarfile.open(t, "w") for t in tars]
        with tarfile.open(whole) as tar:
            for member in tar:
                outs[int(member.name[:8]) % o.workers].addfile(member, tar.extractfile(member))
        for t in outs:
            t.close()
        for r in range(o.rounds + 1):
            by_wall, by_cpu = run_gradus(o, "wall"), run_gradus(o, "cpu")
            pictures, seconds, processor = run_torch(tars, o.side, o.workers, o.batch)
            if pictures != by_wall["images"]:
                sys.exit(f"{pictures} pictures there, {by_wall['images']} here")
            if r == 0:
                continue  # warms up
            wall.append(seconds / by_wall["loader_seconds"])
            cpu.append(processor / by_cpu["loader_seconds"])
            shares.append(by_cpu["share"])
            print(f"round {r}: {pictures} pictures; wall: gradus {pictures / by_wall['loader_seconds']:.1f}/s, DataLoader "
                  f"{pictures / seconds:.1f}/s; processor time: gradus {pictures / by_cpu['loader_seconds']:.1f}/s, DataLoader "
                  f"{pictures / processor:.1f}/s; of decoding and resampling alone {100 * by_cpu['share']:.1f} %", flush=True)
    print(f"times as fast, medians: wall {statistics.median(wall):.2f}, processor time {statistics.median(cpu):.2f}; "
          f"{100 * statistics.median(shares):.1f} % of decoding and resampling alone")
    if statistics.median(cpu) < 1.5:
        sys.exit("FAIL: less than 1.5 times")


main()
