#!/usr/bin/env python3
"""TensorBoard's own reader over the event file of a run: every value is the fp32 of what metrics.jsonl has, no step comes twice and none is
missing, after a stop, after a kill, and in readers and servers (with TensorBoard's fast loader and without) that had read the file before the
kill and read on after it.

usage: check_tensorboard.py GRADUS   (needs tensorboard, numpy)
"""

import atexit
import json
import os
import pathlib
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request

import numpy
from tensorboard.backend.event_processing import event_accumulator, plugin_event_accumulator

HERE = pathlib.Path(__file__).parent
RECIPE = """
lanes: 2
model: {vision: model, connector: model, language: model}
tokenizer: tokenizer
checkpoints: {every: 20}
stages:
  - {name: first, trains: [connector], data: [{path: data}], validation: [{path: held}], validate_every: 7, global_batch: 4,
     sequence_length: 512, steps: 30, learning_rate: 1.0e-2, warmup_steps: 3}
  - {name: second, trains: [vision, connector, language], data: [{path: data}], validation: [{path: held}], validate_every: 25,
     global_batch: 4, sequence_length: 512, steps: STEPS, learning_rate: {vision: 1.0e-4, connector: 2.0e-4, language: 3.0e-4}}
"""


def expected(run):
    """Tag -> [(step, fp32)], from metrics.jsonl."""
    out, stages = {}, []
    for line in (run / "metrics.jsonl").read_text().splitlines():
        m = json.loads(line)
        if "stage" not in m:
            continue
        if m["stage"] not in stages:
            stages.append(m["stage"])
        if "validation_loss" in m:
            values = {"loss/validation/" + m["stage"]: m["validation_loss"]}
        else:
            values = {"stage": len(stages), "loss/training": m["loss"], "gradient_norm": m["grad_norm"],
                      **{"learning_rate/" + part: rate for part, rate in m["learning_rate"].items()},
                      "speed/samples_per_second": m["samples"] / m["seconds"],
                      "speed/tokens_per_second": m["tokens"] / m["seconds"], "speed/share_of_peak": m["share_of_peak"],
                      "seconds/step": m["seconds"], "seconds/data_wait": m["data_wait"],
                      "seconds/communication": m["communication"], "seconds/saving": m["saving"],
                      "memory_gib": m["memory"] / 2**30}
        for tag, value in values.items():
            out.setdefault(tag, []).append((m["update"], numpy.float32(value)))
    return out


def check(accumulator, run, what):
    accumulator.Reload()
    want, got = expected(run), {}
    if isinstance(accumulator, event_accumulator.EventAccumulator):
        for tag in accumulator.Tags()["scalars"]:
            got[tag] = [(e.step, numpy.float32(e.value)) for e in accumulator.Scalars(tag)]
    else:  # what the web page is served from
        for tag in accumulator.Tags()["tensors"]:
            got[tag] = [(e.step, numpy.float32(e.tensor_proto.float_val[0])) for e in accumulator.Tensors(tag)]
    assert got.keys() == want.keys(), (what, {k: got.get(k, "missing") for k in got.keys() ^ want.keys()}, run.glob("*"))
    count = 0
    for tag, values in want.items():
        assert [s for s, _ in got[tag]] == [s for s, _ in values], (what, tag, [s for s, _ in got[tag]], "steps")
        assert len({s for s, _ in values}) == len(values), (what, tag, "a step stands there twice")
        for (_, a), (_, b) in zip(got[tag], values):
            assert struct.pack("<f", a) == struct.pack("<f", b), (what, tag, a, b)
        count += len(values)
    print(f"{what}: {len(want)} tags, {count} values as in metrics.jsonl, bit for bit; steps up to {want['loss/training'][-1][0]}")


class Server:
    """The program `tensorboard` itself, asked as its web page asks it."""

    def __init__(self, load_fast):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        self.name = f"tensorboard --load_fast={load_fast}"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tensorboard.main", "--logdir", ".", "--port", str(self.port), "--load_fast", load_fast, "--reload_interval", "1"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        atexit.register(self.process.terminate)

    def get(self, plugin, **query):
        url = f"http://127.0.0.1:{self.port}/data/plugin/scalars/{plugin}?{urllib.parse.urlencode(query)}"
        return json.load(urllib.request.urlopen(url))

    def wait_for(self, run, seconds=60):
        want, end = expected(run), time.time() + seconds
        while True:
            try:
                tags = self.get("tags")["run"]
                got = {tag: [(step, numpy.float32(value)) for _, step, value in self.get("scalars", run="run", tag=tag)] for tag in tags}
                if got == want:
                    break
            except (OSError, KeyError):
                got = {}
            assert time.time() < end, (self.name, {t: (len(got.get(t, [])), len(v)) for t, v in want.items()})
            time.sleep(0.5)
        print(f"{self.name}: {len(want)} tags, {sum(map(len, want.values()))} values as in metrics.jsonl")


def steps_done(run):
    path = run / "metrics.jsonl"
    return path.read_text().count('"loss"') if path.exists() else 0


def main():
    gradus = os.path.realpath(sys.argv[1])
    with tempfile.TemporaryDirectory() as d:
        os.chdir(d)
        command = lambda *words: subprocess.run([gradus, *words], check=True, capture_output=True)
        for name, count, seed in ("data", "200", "1"), ("held", "10", "2"):
            command("data", "synth", "--count", count, "--seed", seed, "--out", name)
        command("tokenizer", "train", "--data", "data", "--vocabulary", "400", "--out", "tokenizer")
        command("model", "init", "--config", str(HERE / "../../configs/demo/model.yaml"), "--seed", "1", "--tokenizer",
                "tokenizer", "--out", "model")
        pathlib.Path("recipe.yaml").write_text(RECIPE.replace("STEPS", "40"))
        run = pathlib.Path("run")
        train = [gradus, "train", "recipe.yaml", "--run", "run"]
        fresh = lambda: [event_accumulator.EventAccumulator("run", {"scalars": 0}),
                         plugin_event_accumulator.EventAccumulator("run", {"tensors": 0})]
        assert subprocess.run([*train, "--stop-after", "25"], capture_output=True).returncode == 75
        readers = fresh()
        servers = [Server("false"), Server("true")]
        for server in servers:
            server.wait_for(run)
        for reader in readers:
            check(reader, run, "stopped")
        for goal in (45, 63):  # behind the border; behind a checkpoint of the second stage
            job = subprocess.Popen(train, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            while steps_done(run) < goal:
                assert job.poll() is None, "it ended by itself"
                for reader in readers:
                    reader.Reload()  # reads while the run writes
                time.sleep(0.01)
            job.send_signal(signal.SIGKILL)
            job.wait()
            if goal == 45:
                for reader in readers:
                    reader.Reload()
                for server in servers:
                    server.wait_for(run)
            print(f"killed at step {steps_done(run)}")
        assert subprocess.run(train, capture_output=True).returncode == 0
        for reader in readers:
            check(reader, run, "a reader that was there all the time")
        for server in servers:
            server.wait_for(run)
            server.process.terminate()
            server.process.wait()
        for reader in fresh():
            check(reader, run, "a new reader")
        assert len([p for p in run.glob("events.out.tfevents.*") if p.stat().st_size > 0]) == 1, "more than one file"


main()
