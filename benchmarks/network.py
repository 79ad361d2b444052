"""Indexing with a network against ONNX Runtime alone on prepared pixels, on the same cores.

    python benchmarks/network.py FOLDER [MODEL] [--count 300] [--rounds 3]

MODEL is a folder in the layout of the Hugging Face hub, or "lookalike", the built-in network.

runtime   ONNX Runtime alone with its own settings (all cores, threads that spin), the batch size that
          is fastest here of 1, 8 and 32; the tensors are prepared
session   ONNX Runtime alone with Lookalike's settings: one thread per pass, one pass per core
index     everything: `Library.add` into a fresh library, minus the cost of starting (the time of a run
          over twenty images is subtracted)

They alternate. Prints images per second by the clock and by processor time (all processes), medians over the
rounds, and the ratios. On a busy machine only the processor time is meaningful.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnxruntime

from lookalike import Library
from lookalike.cpu import physical_cores
from lookalike.extractors import load
from lookalike.extractors.builtin import MODEL

START = 20  # images of the run that is subtracted

Spent = tuple[float, float]
"""Seconds by the clock and of processor time."""


def spent(work: Callable[[], object]) -> Spent:
    """Return the processor time of this process and of its ended children."""
    clock, processor = time.perf_counter(), sum(os.times()[:4])
    work()
    return time.perf_counter() - clock, sum(os.times()[:4]) - processor


def alone(graph: Path, count: int, *, batch: int, ours: bool) -> Spent:
    """Run ONNX Runtime on prepared tensors."""
    options = onnxruntime.SessionOptions()
    if ours:
        options.intra_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
    port = session.get_inputs()[0]
    shape = [batch, *(n if isinstance(n, int) else 224 for n in port.shape[1:])]
    rng = np.random.default_rng(0)
    whole = port.type == "tensor(uint8)"
    ready = rng.integers(0, 256, shape, np.uint8) if whole else rng.random(shape, np.float32)
    output = session.get_outputs()[-1].name

    def one(_: int) -> None:
        session.run([output], {port.name: ready})

    passes = range(-(-count // batch))
    one(0)
    if not ours:
        found = spent(lambda: list(map(one, passes)))
    else:
        with ThreadPoolExecutor(physical_cores()) as pool:
            found = spent(lambda: list(pool.map(one, passes)))
    share = count / (len(passes) * batch)
    return found[0] * share, found[1] * share


def index(name: str, folder: Path, scratch: Path) -> Spent:
    """Index into a fresh library; the network is loaded before, as for ONNX Runtime alone."""
    extractor = load(name)
    kept = Path(tempfile.mkdtemp(dir=scratch)) / "library"

    def work() -> None:
        with Library.create(folder, folder=kept) as library:
            library.add([folder], extractors=[extractor])

    return spent(work)


def copied(source: Path, count: int, into: Path) -> Path:
    """Copy `count` images into a folder, with different bytes, so that none is a known copy."""
    files = sorted(path for path in source.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg"))
    into.mkdir()
    for number in range(count):
        target = into / f"{number:06d}.jpg"
        shutil.copyfile(files[number % len(files)], target)
        with target.open("ab") as file:
            file.write(number.to_bytes(4, "big"))
    return into


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    shared = Path(os.environ.get("LOOKALIKE_SHARED", Path(__file__).parents[2] / "shared"))
    arguments.add_argument("folder", type=Path)
    model = shared / "models" / "mobilenet_v2_1.0_224"
    arguments.add_argument("model", nargs="?", default=str(model))
    arguments.add_argument("--count", type=int, default=300)
    arguments.add_argument("--rounds", type=int, default=3)
    given = arguments.parse_args()
    builtin = given.model == "lookalike"
    name = given.model if builtin else f"onnx:{given.model}"
    graph = MODEL if builtin else Path(given.model) / "onnx" / "model.onnx"
    rates: dict[str, list[tuple[float, float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        few = copied(given.folder, START, scratch / "few")
        many = copied(given.folder, given.count + START, scratch / "many")
        batch = min((1, 8, 32), key=lambda n: alone(graph, 64, batch=n, ours=False)[0])
        for _ in range(given.rounds):
            start, whole = index(name, few, scratch), index(name, many, scratch)
            measured = {
                f"runtime, batch {batch}": alone(graph, given.count, batch=batch, ours=False),
                "session": alone(graph, given.count, batch=4, ours=True),
                "index": (whole[0] - start[0], whole[1] - start[1]),
            }
            for way, (clock, processor) in measured.items():
                rates.setdefault(way, []).append((given.count / clock, given.count / processor))
    print(f"{'':18} images/s   of index    images/s of processor time   of index")
    medians = {
        way: [statistics.median(column) for column in zip(*found, strict=True)]
        for way, found in rates.items()
    }
    for way, (clock, processor) in medians.items():
        ours = medians["index"]
        print(
            f"{way:18} {clock:8.1f}   {ours[0] / clock:7.0%}   {processor:25.1f}   "
            f"{ours[1] / processor:7.0%}"
        )


if __name__ == "__main__":
    main()
