"""Filters with an ANN index: where exact search is cheaper, and the recall.

    python benchmarks/ann_filters.py LIBRARY [--extractor NAME]

For random shares of the images: milliseconds a query, top 10, by exact search and with the index, and the
recall of the latter. The library must have an index. Times are medians of the thread's CPU time.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from lookalike.library import Library
from lookalike.stores.local.ann import ann_search

SHARES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
QUERIES = 60


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("library", type=Path)
    parser.add_argument("--extractor")
    given = parser.parse_args()
    ann_search.EXACT_BYTES = 0
    with Library.open(given.library, read_only=True) as library, library.snapshot() as snapshot:
        spaces = [space for space in snapshot.spaces() if given.extractor in (None, space.name)]
        space = max(spaces, key=lambda space: space.bytes)
        everything = snapshot.sample(space.key, space.count)
        random = np.random.default_rng(0)
        queries = snapshot.vectors(space.key, random.choice(everything, QUERIES, replace=False))
        print(f"{'passes':>7} {'images':>9} {'MB':>7} {'exact':>11} {'index':>8}  recall")
        for share in SHARES:
            among = everything[random.random(len(everything)) < share]
            times: tuple[list[float], list[float]] = ([], [])
            correct = exact_count = 0
            for query in queries[:, None]:
                results = []
                for way, exact in enumerate((True, False)):
                    started = time.thread_time()
                    results.append(snapshot.search(space.key, query, 10, among=among, exact=exact))
                    times[way].append(time.thread_time() - started)
                exact_count += results[1].exact
                correct += len(np.intersect1d(results[0].ids, results[1].ids))
            size = len(among) * space.bytes / max(space.count, 1)
            print(
                f"{share:7.1%} {len(among):9,} {size / 1e6:7.1f} {np.median(times[0]) * 1e3:8.2f} ms "
                f"{np.median(times[1]) * 1e3:5.2f} ms  {correct / (10 * QUERIES):.3f}"
                + (f"  ({exact_count} fell back to exact)" if exact_count else "")
            )


if __name__ == "__main__":
    main()
