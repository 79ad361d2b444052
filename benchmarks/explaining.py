"""Faithfulness of explanations: how much the similarity drops when the marked quarter is covered.

    python benchmarks/explaining.py DATA [--pairs 100] [--extractor lookalike,color,...]

DATA holds corel1k/ and grocery/ (a manifest.csv with `label` each). Pairs are drawn by a fixed seed, half of
them from each set. "faithful" is the share of pairs where covering the marks costs more than covering the
same shape elsewhere does on average; "beaten" is the share of those other places that cost less.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from lookalike.evaluation.labels import read_labelled
from lookalike.explain.explainer import Explainer

ALL = "lookalike,color,histogram,shape,pixels,phash,dhash,keypoints,keypoints-orb"


def pairs(folder: Path, count: int) -> list[tuple[Path, Path]]:
    chance = np.random.default_rng(0)
    by_label: dict[str, list[Path]] = {}
    for row in read_labelled(folder):
        by_label.setdefault(row.label, []).append(row.path)
    labels = sorted(label for label, paths in by_label.items() if len(paths) > 1)
    chosen = []
    for number in range(count):
        paths = by_label[labels[number % len(labels)]]
        one, two = chance.choice(len(paths), 2, replace=False)
        chosen.append((paths[one], paths[two]))
    return chosen


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--pairs", type=int, default=100)
    parser.add_argument("--extractor", dest="extractors", default=ALL)
    options = parser.parse_args()
    chosen = [
        pair
        for name in ("corel1k", "grocery")
        for pair in pairs(options.data / name, options.pairs // 2)
    ]
    print(f"{'':24}{'faithful':>9}{'beaten':>8}{'marked':>9}{'others':>9}{'seconds':>9}")
    with Explainer() as explainer:
        for name in options.extractors.split(","):
            started = time.process_time()
            found = [explainer.match(one, two, extractor=name).faithfulness for one, two in chosen]
            seconds = (time.process_time() - started) / len(chosen)
            print(
                f"{name.rpartition('/')[2]:24}"
                f"{np.mean([each.faithful for each in found]):9.1%}"
                f"{np.mean([each.win_rate for each in found]):8.1%}"
                f"{np.mean([each.marked_drop for each in found]):9.3f}"
                f"{np.mean([each.other_drop for each in found]):9.3f}"
                f"{seconds:9.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
