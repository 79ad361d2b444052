"""Geometric verification: whether two images show the same object, from matching keypoints.

Every match of two keypoints proposes a similarity transform of the whole image (shift, rotation, scale),
because keypoints have a size and a direction; the transform that most other matches agree with is refined to
an affine map. That is RANSAC with every proposal tried instead of a random sample (Philbin et al., Object
Retrieval with Large Vocabularies and Fast Spatial Matching, CVPR 2007), so the result is deterministic.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lookalike.extractors.keypoints import Detector, Keypoints, unit_descriptors

# Matches that must agree. Of 4,906 images among the best 50 that were not the original, none has 10 and one
# has 9; of the originals none has fewer than 12 (`benchmarks/keypoints.py`).
MIN_INLIERS = 10

# The nearest keypoint must be clearly nearer than the second (Lowe 2004): distances for SIFT,
# Hamming distances for ORB.
_RATIO: dict[Detector, float] = {"sift": 0.8, "orb": 0.85}

# Matches that are tried as proposals; an image against itself has as many as keypoints.
_MAX_MATCHES = 300

# One pair of keypoints determines a transform only roughly: direction to some 10°, size to some 20 %. This is
# how far a match may lie from its predicted position, as a fraction of the candidate's longer side.
_ROUGH_DISTANCE = 0.06
_ROUGH_SCALE = np.log(1.6)
_ROUGH_ANGLE = np.radians(25)
_PROPOSALS = 8

# Tolerance of each round of refinement, as a fraction of the candidate's longer side. The last, 1 %, allows
# for what an affine map does not model: lens distortion, depth, perspective.
_TOLERANCES = (0.04, 0.02, 0.01, 0.01)

# Limits of plausible affine maps: one that scales by more, or has a larger ratio of the two singular values,
# comes from random matches.
_SCALES = (1 / 8, 8.0)
_MAX_ASPECT = 2.5


@dataclass(frozen=True, slots=True, eq=False)
class Match:
    """The match of a query and a candidate.

    inliers    number of matches at distinct positions that agree on one transform
    matches    number of matches that passed the ratio test
    box        matched area of the candidate: x, y, width, height as fractions of it
    transform  (2, 3) float64: query pixels (x, y, 1) → candidate pixels
    """

    inliers: int
    matches: int
    box: tuple[float, float, float, float]
    transform: NDArray[np.float64]

    @property
    def scale(self) -> float:
        """Candidate pixels per query pixel along each side, on average."""
        return float(np.sqrt(abs(np.linalg.det(self.transform[:, :2]))))

    @property
    def angle(self) -> float:
        """Rotation of the query to the candidate in degrees, clockwise as seen, -180 to 180."""
        x_axis = self.transform[:, 0]
        return float(np.degrees(np.arctan2(x_axis[1], x_axis[0])))


@dataclass(frozen=True, slots=True, eq=False)
class Verified:
    """A candidate after verification: its index in the list given, and its match if there is one."""

    index: int
    match: Match | None


def compare(
    query: Keypoints, candidate: Keypoints, *, min_inliers: int = MIN_INLIERS
) -> Match | None:
    """Return the match if a candidate shows what the query shows, else None.

    Cropped, rotated, scaled and partly covered images match; mirror images do not. Raises ValueError if the
    keypoints are from different detectors.
    """
    return _compare(query, unit_descriptors(query), candidate, min_inliers)


def correspondences(
    query: Keypoints, candidate: Keypoints
) -> tuple[NDArray[np.intp], NDArray[np.intp], bool]:
    """Return the indices of matching keypoints in query and candidate, best first, and whether they agree.

    Where too few agree on one transform, all that pass the ratio test are returned.
    """
    if min(len(query), len(candidate)) < 2:
        return np.empty(0, np.intp), np.empty(0, np.intp), False
    ours, theirs = _matches(
        unit_descriptors(query), unit_descriptors(candidate), _RATIO[query.detector]
    )
    found = _agreeing(query, candidate, ours, theirs, MIN_INLIERS)
    if found is None:
        return ours, theirs, False
    return ours[found[2]], theirs[found[2]], True


def rerank(query: Keypoints, candidates: Sequence[Keypoints]) -> list[Verified]:
    """Return the candidates: those that match first, by inliers, then the others in their order."""
    described = unit_descriptors(query)
    matches = [_compare(query, described, other, MIN_INLIERS) for other in candidates]
    verified = [Verified(index, match) for index, match in enumerate(matches)]
    return sorted(verified, key=lambda item: -item.match.inliers if item.match else 0)


def _compare(
    query: Keypoints, described: NDArray[np.float32], candidate: Keypoints, min_inliers: int
) -> Match | None:
    if query.detector != candidate.detector:
        raise ValueError(f"cannot compare {query.detector} and {candidate.detector} keypoints")
    if min(len(query), len(candidate)) < max(min_inliers, 2):
        return None
    ours, theirs = _matches(described, unit_descriptors(candidate), _RATIO[query.detector])
    found = _agreeing(query, candidate, ours, theirs, min_inliers)
    if found is None:
        return None
    count, transform, inliers = found
    goal = _Matched.of(candidate, theirs[inliers])
    box = _box(goal.points, goal.sizes, candidate)
    return Match(inliers=count, matches=len(ours), box=box, transform=transform)


def _agreeing(
    query: Keypoints,
    candidate: Keypoints,
    ours: NDArray[np.intp],
    theirs: NDArray[np.intp],
    min_inliers: int,
) -> tuple[int, NDArray[np.float64], NDArray[np.bool_]] | None:
    """Return how many matches agree, on which map (2, 3), and which they are; None if too few do."""
    if len(ours) < max(min_inliers, 2):
        return None
    start, goal = _Matched.of(query, ours), _Matched.of(candidate, theirs)
    unit = float(max(candidate.width, candidate.height))
    best: tuple[int, NDArray[np.float64], NDArray[np.bool_]] | None = None
    for agreeing in _proposals(start, goal, unit):
        refined = _refine(start.points, goal.points, agreeing, unit)
        if refined is not None and (best is None or refined[0] > best[0]):
            best = refined
    return None if best is None or best[0] < min_inliers else best


def _matches(
    query: NDArray[np.float32], candidate: NDArray[np.float32], ratio: float
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return mutual nearest neighbours that pass the ratio test, best first."""
    similarity = query @ candidate.T
    nearest = similarity.argmax(axis=1)
    rows = np.arange(len(query))
    best = similarity[rows, nearest].copy()
    mutual = similarity.argmax(axis=0)[nearest] == rows
    similarity[rows, nearest] = -2
    second = similarity.max(axis=1)
    # For unit vectors, 1 - similarity is half the squared distance of RootSIFT, whose ratio is therefore
    # squared, and proportional to the Hamming distance of ORB.
    bound = ratio**2 if query.shape[1] == 128 else ratio
    distance_ratio = np.maximum(1 - best, 0) / np.maximum(1 - second, 1e-6)
    kept = np.flatnonzero(mutual & (distance_ratio < bound))
    kept = kept[np.argsort(distance_ratio[kept], kind="stable")][:_MAX_MATCHES]
    return kept, nearest[kept]


@dataclass(frozen=True, slots=True, eq=False)
class _Matched:
    """Matched keypoints in float64: points (m, 2), sizes, angles in radians."""

    points: NDArray[np.float64]
    sizes: NDArray[np.float64]
    angles: NDArray[np.float64]

    @classmethod
    def of(cls, keypoints: Keypoints, chosen: NDArray[np.intp]) -> _Matched:
        return cls(
            keypoints.points[chosen].astype(np.float64),
            keypoints.sizes[chosen].astype(np.float64),
            np.radians(keypoints.angles[chosen].astype(np.float64)),
        )


def _proposals(start: _Matched, goal: _Matched, unit: float) -> list[NDArray[np.bool_]]:
    """Return which matches (m,) roughly agree with each of the best one-match transforms."""
    scale = goal.sizes / start.sizes
    turn = goal.angles - start.angles
    # With complex numbers a transform is z → factor z + shift; row: proposal, column: match.
    factor = scale * np.exp(1j * turn)
    from_, to = start.points @ [1, 1j], goal.points @ [1, 1j]
    shift = to - factor * from_
    distance = np.abs(factor[:, None] * from_ + shift[:, None] - to)
    other_turn = np.abs((turn[:, None] - turn + np.pi) % (2 * np.pi) - np.pi)
    other_scale = np.abs(np.log(scale)[:, None] - np.log(scale))
    agree = (
        (distance < _ROUGH_DISTANCE * unit)
        & (other_turn < _ROUGH_ANGLE)
        & (other_scale < _ROUGH_SCALE)
    )
    order = np.argsort(-agree.sum(axis=1), kind="stable")
    chosen: list[NDArray[np.bool_]] = []
    for row in agree[order]:
        # Proposals with the same matches would only be refined to the same map.
        if all((row & other).sum() < 0.7 * row.sum() for other in chosen):
            chosen.append(row)
        if len(chosen) == _PROPOSALS:
            break
    return chosen


def _refine(
    start: NDArray[np.float64],
    goal: NDArray[np.float64],
    agreeing: NDArray[np.bool_],
    unit: float,
) -> tuple[int, NDArray[np.float64], NDArray[np.bool_]] | None:
    """Fit a map to the matches that agree, find which agree with it, and repeat with less tolerance.

    Return (number of inliers at distinct positions, map (2, 3), which matches agree); None if implausible.
    """
    transform = np.zeros((2, 3))
    for tolerance in _TOLERANCES:
        if agreeing.sum() < 4:
            return None
        fitted = _affine(start[agreeing], goal[agreeing])
        if fitted is None or not is_plausible(fitted):
            return None
        transform = fitted
        moved = start @ transform[:, :2].T + transform[:, 2]
        agreeing = np.linalg.norm(moved - goal, axis=1) < tolerance * unit
    if not (_spread(start[agreeing]) and _spread(goal[agreeing])):
        return None
    return _distinct(start[agreeing], goal[agreeing]), transform, agreeing


def _affine(start: NDArray[np.float64], goal: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Return the affine map (2, 3) of least squared error; None where the points are collinear."""
    centre, target = start.mean(axis=0), goal.mean(axis=0)
    solution, _, rank, _ = np.linalg.lstsq(start - centre, goal - target, rcond=1e-3)
    if rank < 2:
        return None
    linear = solution.T
    return np.column_stack((linear, target - linear @ centre))


def is_plausible(transform: NDArray[np.float64]) -> bool:
    """Return whether a map has no reflection, no collapse and no extreme scale."""
    linear = transform[:, :2]
    large, small = np.linalg.svd(linear, compute_uv=False)
    within = _SCALES[0] <= small and large <= _SCALES[1] and large <= _MAX_ASPECT * small
    return bool(within and np.linalg.det(linear) > 0)


def _spread(points: NDArray[np.float64]) -> bool:
    """Return whether points cover an area: on one line (a fence, a caption) any affine map fits."""
    if len(points) < 4:
        return False
    deviations = np.linalg.svd(points - points.mean(axis=0), compute_uv=False)
    return bool(deviations[1] > 0.08 * deviations[0] and deviations[1] > 3 * np.sqrt(len(points)))


def _distinct(start: NDArray[np.float64], goal: NDArray[np.float64]) -> int:
    """Return the number of matches at distinct positions, which are squares of 3 pixels.

    SIFT can find several directions at one point, and one corner must not count as an object.
    """
    return min(len(np.unique(np.floor(points / 3), axis=0)) for points in (start, goal))


def _box(
    points: NDArray[np.float64], sizes: NDArray[np.float64], image: Keypoints
) -> tuple[float, float, float, float]:
    """Return the smallest box around the matched patches, clipped to the image, as fractions."""
    # A SIFT descriptor covers about three times the radius of its keypoint.
    reach = np.minimum(1.5 * sizes, 0.05 * max(image.width, image.height))[:, None]
    extent = np.array([image.width, image.height], dtype=np.float64)
    low = np.clip((points - reach).min(axis=0) / extent, 0, 1)
    high = np.clip((points + reach).max(axis=0) / extent, 0, 1)
    return float(low[0]), float(low[1]), float(high[0] - low[0]), float(high[1] - low[1])
