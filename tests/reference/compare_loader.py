#!/usr/bin/env python3
"""The loader beside a PyTorch DataLoader with WebDataset and Pillow, on the same pictures, in turns in one run.

usage: compare_loader.py GRADUS DATA MODEL TOKENIZER [--samples N] [--workers W] [--rounds R]

DATA is a data set; its first N samples are written as WebDataset tars (the same WebP bytes, the conversations as JSON). Each
round runs `gradus bench data` with W threads and then one pass of the DataLoader with W worker processes, which stay from round to round:
Pillow decodes and resizes bicubically to the model's size, and batches are bytes, as ours are (neither normalises; we also encode the
text, which the other does not). Both have gone over the data once before, and read from files that the system has in memory. Rates are pictures per second of wall clock and of processor time (all threads; all processes). The script fails below
1.5 times.

needs: torch, webdataset, pillow, h5py, numpy
"""
import argparse, io, json, os, resource, statistics, subprocess, sys, tarfile, tempfile, time

import h5py
import numpy as np
import torch
import webdataset as wds
from PIL import Image

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
            pictures.append(torch.from_numpy(np.asarray(image).copy()))
        return json.loads(sample["json"]), pictures


def collate(samples):
    pictures = [p for _, ps in samples for p in ps]
    return [t for t, _ in samples], torch.stack(pictures) if pictures else None


def cpu_seconds(workers):
    """Of this process and of the workers, which live on."""
    own = resource.getrusage(resource.RUSAGE_SELF)
    seconds = own.ru_utime + own.ru_stime
    for worker in workers:
        fields = open(f"/proc/{worker.pid}/stat").read().rsplit(")", 1)[1].split()
        seconds += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return seconds


def make_torch(tars, side, workers, batch):
    dataset = wds.WebDataset(tars, shardshuffle=False, empty_check=False).map(Prepare(side))
    return torch.utils.data.DataLoader(dataset, batch_size=batch, num_workers=workers, collate_fn=collate, prefetch_factor=2,
                                       persistent_workers=True)


def run_torch(loader):
    """Pictures, wall seconds, processor seconds of a pass; of the first, which starts the workers, no processor seconds."""
    workers = loader._iterator._workers if loader._iterator is not None else []
    wall, cpu, count = time.perf_counter(), cpu_seconds(workers), 0
    for _, pixels in loader:
        count += 0 if pixels is None else len(pixels)
    return count, time.perf_counter() - wall, cpu_seconds(workers) - cpu


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
        loader = make_torch(tars, o.side, o.workers, o.batch)
        for r in range(o.rounds + 1):
            by_wall, by_cpu = run_gradus(o, "wall"), run_gradus(o, "cpu")
            pictures, seconds, processor = run_torch(loader)
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
