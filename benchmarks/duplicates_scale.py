"""Duplicates among a million hashes: time, memory, and recall of the planted ones.

    python benchmarks/duplicates_scale.py [--codes 1000000]

The codes resemble real ones: 1 % of the images are copies (up to 6 bits apart), 2 % are clustered around a
few codes (blank pages, skies) and 0.5 % share a single code; the 64 bits are set with unequal probabilities,
and neighbouring bits are correlated.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Iterator

import numpy as np

from lookalike.duplicates.candidates import nearest_pairs
from lookalike.vectors.hamming import Codes, distances, near_pairs, pack

RADIUS = 7


def planted(count: int) -> tuple[Codes, np.ndarray]:
    """Return codes (count,), and the pairs of rows that are copies (p, 2)."""
    rng = np.random.default_rng(0)
    likely = rng.uniform(0.35, 0.65, 64)
    signs = np.empty((count, 64), np.float32)
    for start in range(0, count, 100_000):
        part = signs[start : start + 100_000]
        drawn = rng.random(part.shape, np.float32)
        # A quarter of the bits repeat their neighbour, as in images with large shapes.
        alike = rng.random(part.shape) < 0.25
        bits = drawn < likely
        bits[:, 1:] = np.where(alike[:, 1:], bits[:, :-1], bits[:, 1:])
        part[:] = np.where(bits, 1, -1)
    codes = pack(signs)[0]
    rows = rng.permutation(count)
    copies, crowd = rows[: count // 100], rows[count // 100 : 3 * count // 100]
    same = rows[-count // 200 :]
    originals = rows[count // 10 : count // 10 + len(copies)]
    codes[copies] = codes[originals] ^ flips(rng, len(copies), 6)
    codes[crowd] = rng.integers(0, 2**63, 8, dtype=np.uint64)[rng.integers(0, 8, len(crowd))]
    codes[crowd] ^= flips(rng, len(crowd), 5)
    codes[same] = codes[same[0]]
    return codes, np.column_stack([copies, originals])


def flips(rng: np.random.Generator, count: int, most: int) -> Codes:
    """Return masks (count,) of 1 to `most` bits each, drawn with replacement."""
    made = np.zeros(count, np.uint64)
    for _ in range(most):
        made |= np.uint64(1) << rng.integers(0, 64, count).astype(np.uint64)
    return made


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--codes", type=int, default=1_000_000)
    count = parser.parse_args().codes
    codes, copies = planted(count)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started, busy = time.perf_counter(), time.process_time()
    unique, back = np.unique(codes, return_inverse=True)
    met = 0

    def halves() -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        nonlocal met
        for one, other in near_pairs(unique, unique, RADIUS):
            half = one < other
            met += int(half.sum())
            one, other = one[half], other[half]
            yield one, other, distances(unique[one], unique[other])

    pairs = nearest_pairs(halves())
    seconds, busy = time.perf_counter() - started, time.process_time() - busy
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    known = np.sort(np.array(pairs) @ np.array([len(unique), 1]))
    ends = np.sort(back[copies], axis=1)
    near = distances(codes[copies[:, 0]], codes[copies[:, 1]]) <= RADIUS
    wanted = ends[near & (ends[:, 0] != ends[:, 1])]
    wanted = wanted[:, 0] * len(unique) + wanted[:, 1]
    at = np.searchsorted(known, wanted).clip(0, len(known) - 1)
    share = float((known[at] == wanted).mean())
    print(f"{count:,} codes, {len(unique):,} different, radius {RADIUS}, one orientation:")
    print(
        f"  {seconds:.1f} s ({busy:.1f} s of processor), {after >> 10} MiB at its peak, {before >> 10} before"
    )
    print(
        f"  {met:,} pairs, {len(pairs):,} kept; of {len(wanted):,} planted copies {share:.2%} found"
    )
    print(f"  each with each: {len(unique) * (len(unique) - 1) // 2:,} pairs")


if __name__ == "__main__":
    main()
