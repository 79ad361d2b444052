"""Speed of a network by images per pass: ONNX Runtime alone, one thread per core.

    python benchmarks/passes.py [MODEL.onnx]... [--made]

--made also builds networks of random weights in the shapes of ResNet-18, ResNet-50 and ViT-B/32, which are
as fast as trained ones; this needs PyTorch and `onnx` (`pip install "lookalike[training]"`).
Prints images per second for 1, 2, 4 and 8 images per pass, best of three rounds.
"""

from __future__ import annotations

import argparse
import tempfile
import time
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from lookalike.cpu import physical_cores

SIZES = (1, 2, 4, 8)


def say(graph: Path) -> None:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    images = np.random.default_rng(0).random((max(SIZES), 3, 224, 224), np.float32)
    rates = dict.fromkeys(SIZES, 0.0)
    with ThreadPoolExecutor(physical_cores()) as threads:
        for _ in range(3):
            for size in SIZES:
                feeds = {name: images[:size]}
                passes = [feeds] * max(4, 32 // size)
                list(threads.map(lambda feeds: session.run(None, feeds), passes[:2]))
                started = time.perf_counter()
                list(threads.map(lambda feeds: session.run(None, feeds), passes))
                rate = len(passes) * size / (time.perf_counter() - started)
                rates[size] = max(rates[size], rate)
    found = ", ".join(f"{size}: {rate:.1f}" for size, rate in rates.items())
    print(
        f"{graph.stem:12} {graph.stat().st_size / 2**20:6.0f} MB   images/s by images per pass  {found}"
    )


def made(folder: Path) -> list[Path]:
    import torch
    from torch import nn

    def convolution(
        before: int, after: int, side: int, stride: int = 1, *, rectified: bool = True
    ) -> Any:
        layers = [nn.Conv2d(before, after, side, stride, side // 2)]
        return nn.Sequential(*layers, *([nn.ReLU()] if rectified else []))

    class Residual(nn.Module):  # type: ignore[misc]
        def __init__(self, before: int, width: int, after: int, stride: int) -> None:
            super().__init__()
            deep = after != width
            first = [convolution(before, width, 1), convolution(width, width, 3, stride)]
            last = convolution(width, after, 1 if deep else 3, rectified=False)
            plain = [convolution(before, width, 3, stride)]
            self.inside = nn.Sequential(*(first if deep else plain), last)
            same = before == after and stride == 1
            self.beside = (
                nn.Identity() if same else convolution(before, after, 1, stride, rectified=False)
            )

        def forward(self, x: Any) -> Any:
            return torch.relu(self.inside(x) + self.beside(x))

    def resnet(blocks: Sequence[int], times: int) -> Any:
        layers = [convolution(3, 64, 7, 2), nn.MaxPool2d(3, 2, 1)]
        before = 64
        for stage, count in enumerate(blocks):
            width = 64 << stage
            for block in range(count):
                stride = 2 if stage and not block else 1
                layers.append(Residual(before, width, width * times, stride))
                before = width * times
        return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())

    class Patches(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.cut = nn.Conv2d(3, 768, 32, 32)
            layer = nn.TransformerEncoderLayer(
                768, 12, 3072, activation="gelu", batch_first=True, norm_first=True
            )
            self.inside = nn.TransformerEncoder(layer, 12, enable_nested_tensor=False)
            for weights in self.inside.parameters():  # copies of one layer would be stored once
                nn.init.normal_(weights, std=0.02)

        def forward(self, x: Any) -> Any:
            return self.inside(self.cut(x).flatten(2).transpose(1, 2)).mean(1)

    networks = {
        "resnet-18": resnet((2, 2, 2, 2), 1),
        "resnet-50": resnet((3, 4, 6, 3), 4),
        "vit-b-32": Patches(),
    }
    files = []
    for name, network in networks.items():
        files.append(folder / f"{name}.onnx")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                network.eval(),
                (torch.zeros(2, 3, 224, 224),),
                str(files[-1]),
                input_names=["x"],
                dynamic_axes={"x": {0: "n"}},
                dynamo=False,
            )
    return files


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    arguments.add_argument("graphs", nargs="*", type=Path)
    arguments.add_argument("--made", action="store_true")
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for graph in [*given.graphs, *(made(Path(folder)) if given.made else [])]:
            say(graph)


if __name__ == "__main__":
    main()
