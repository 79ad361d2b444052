"""Near pairs of 64-bit codes, against comparing all pairs."""

from __future__ import annotations

import numpy as np
import pytest

from lookalike.vectors.hamming import Codes, distances, near_pairs, pack


def by_comparing_all(queries: Codes, codes: Codes, radius: int) -> set[tuple[int, int]]:
    return {
        (i, j)
        for i, one in enumerate(queries.tolist())
        for j, other in enumerate(codes.tolist())
        if (one ^ other).bit_count() <= radius
    }


def some_codes(seed: int, count: int) -> Codes:
    """Return codes, half of them random, half close to one of them."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 2**63, count, dtype=np.uint64) * np.uint64(2)
    near = rng.integers(0, 2**12, count // 2, dtype=np.uint64)
    codes[: count // 2] = codes[0] ^ near
    return np.unique(codes)


@pytest.mark.parametrize("radius", [0, 1, 4, 7, 11])
def test_the_same_pairs_are_found_as_by_comparing_all(radius: int) -> None:
    queries, codes = some_codes(1, 120), some_codes(1, 150)
    found = [
        pair
        for ours, theirs in near_pairs(queries, codes, radius)
        for pair in zip(ours.tolist(), theirs.tolist(), strict=True)
    ]
    assert len(found) == len(set(found))
    assert set(found) == by_comparing_all(queries, codes, radius)


def test_thousands_of_codes_that_share_bands_give_the_same_pairs() -> None:
    """More than 2,048 codes share one, two and three of the four bands."""
    rng = np.random.default_rng(2)
    bands = rng.integers(0, 2**16, (4, 5200), dtype=np.uint64)
    bands[0, :5000] = bands[1, :4600] = 7
    bands[1, 4600:5000] = rng.integers(0, 2, 400)
    bands[2, :2300] = 1
    bands[3, 2300:4000] = 9  # 1,700² pairs are compared in two blocks
    codes = np.unique(bands[0] | bands[1] << 16 | bands[2] << 32 | bands[3] << 48)
    pairs = [one * len(codes) + other for one, other in near_pairs(codes, codes, 5)]
    found = np.sort(np.concatenate(pairs))
    assert (np.diff(found) > 0).all()
    assert np.array_equal(found, np.flatnonzero(distances(codes[:, None], codes) <= 5))


def test_packed_hashes_keep_their_distances() -> None:
    signs = np.where(np.random.default_rng(3).random((5, 64)) > 0.5, 1.0, -1.0)
    codes, there = pack(signs)
    assert there.all()
    differing = (signs[:, None] != signs).sum(axis=2)
    assert (distances(codes[:, None], codes) == differing).all()


def test_a_flat_and_a_missing_image_have_no_hash() -> None:
    signs = np.ones((3, 64))
    signs[1], signs[2] = 0.0, np.nan
    assert pack(signs)[1].tolist() == [True, False, False]


def test_a_radius_that_is_too_large_is_refused() -> None:
    codes = np.zeros(1, np.uint64)
    with pytest.raises(ValueError, match="the largest is 15"):
        next(near_pairs(codes, codes, 16))
