"""Does one picture show what another shows? Judged by keypoints that agree on one movement.

Every match of two keypoints proposes a movement of the whole picture (shift, turn, scale), because
keypoints have a size and a direction; the movement that most other matches agree with is refined to
an affine map. That is RANSAC with every proposal tried instead of some drawn at random (Philbin et
al., Object Retrieval with Large Vocabularies and Fast Spatial Matching, CVPR 2007): there is no
chance in it, and the answer is the same in every process.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lookalike.extractors.keypoints import Detector, Keypoints, detect, directions
from lookalike.images.pixel_spec import Pixels

MIN_INLIERS = 10
"""Matches that must agree. Of 4,906 pictures among the best 50 that were not the original, none has
10 and one has 9; of the originals none has fewer than 12 (`benchmarks/keypoints.py`)."""

# The nearest keypoint must be clearly nearer than the second (Lowe 2004): distances for SIFT,
# Hamming distances for ORB.
_RATIO: dict[Detector, float] = {"sift": 0.8, "orb": 0.85}

# Matches tried as proposals and counted; a picture against itself has as many as keypoints.
_MOST_MATCHES = 300

# One pair of keypoints places its surroundings only roughly: direction to some 10°, size to some
# 20 %. How far a match may lie from its place, in parts of the candidate's longer side.
_ROUGH = 0.06
_ROUGH_SCALE = np.log(1.6)
_ROUGH_ANGLE = np.radians(25)
_PROPOSALS = 8

# Rounds of refinement, and how far a match may lie from its place in each, in the same parts. The
# last, 1 %, leaves room for what an affine map does not hold: lenses, depth, perspective.
_TOLERANCES = (0.04, 0.02, 0.01, 0.01)

# What a picture of the same thing may look like: an affine map that enlarges or shrinks more, or
# squeezes one direction more against the other, comes from chance matches.
_SCALES = (1 / 8, 8.0)
_SQUEEZE = 2.5


@dataclass(frozen=True, slots=True, eq=False)
class Match:
    """What a query has in common with a candidate.

    inliers    matches that agree on one movement, each at a place of its own
    matches    all that passed the ratio test
    box        where in the candidate: x, y, width, height as fractions of it
    transform  (2, 3) float64: query pixels (x, y, 1) → candidate pixels
    mirrored   the transform belongs to the query mirrored left to right
    """

    inliers: int
    matches: int
    box: tuple[float, float, float, float]
    transform: NDArray[np.float64]
    mirrored: bool = False

    @property
    def scale(self) -> float:
        """How many candidate pixels one query pixel covers along each side, on average."""
        return float(np.sqrt(abs(np.linalg.det(self.transform[:, :2]))))

    @property
    def angle(self) -> float:
        """By how many degrees the query must be turned, clockwise as seen, to lie as the candidate
        does: -180 to 180."""
        turned = self.transform[:, 0]
        return float(np.degrees(np.arctan2(turned[1], turned[0])))


@dataclass(frozen=True, slots=True, eq=False)
class Verified:
    """One candidate after verification: its place in the list given, and its match if it has one."""

    place: int
    match: Match | None


def verify(
    query: Pixels,
    candidate: Pixels,
    *,
    detector: Detector = "sift",
    mirrored: bool = False,
    min_inliers: int = MIN_INLIERS,
) -> Match | None:
    """Whether a candidate shows what the query shows; both grey pixels as `PIXEL_SPECS[detector]` says.

    Cropped, turned, scaled and partly covered pictures match. A mirror image does not, unless
    `mirrored` asks for it: then the query is tried both ways. None if too few keypoints agree.
    """
    target = detect(candidate, detector=detector)
    match = compare(detect(query, detector=detector), target, min_inliers=min_inliers)
    if not mirrored:
        return match
    flipped = detect(np.ascontiguousarray(query[:, ::-1]), detector=detector)
    other = compare(flipped, target, min_inliers=min_inliers)
    if other is None or (match is not None and match.inliers >= other.inliers):
        return match
    return Match(other.inliers, other.matches, other.box, other.transform, mirrored=True)


def compare(
    query: Keypoints, candidate: Keypoints, *, min_inliers: int = MIN_INLIERS
) -> Match | None:
    """The same for keypoints that are at hand. Raises ValueError if two detectors found them."""
    return _compare(query, directions(query), candidate, min_inliers)


def correspondences(
    query: Keypoints, candidate: Keypoints, *, min_inliers: int = MIN_INLIERS
) -> tuple[NDArray[np.intp], NDArray[np.intp], bool]:
    """Which keypoints of a query go with which of a candidate: two rows of numbers, clearest first; and
    whether they agree on one movement. Where too few do, all that pass the ratio test are given."""
    if min(len(query), len(candidate)) < 2:
        return np.empty(0, np.intp), np.empty(0, np.intp), False
    ours, theirs = _matches(directions(query), directions(candidate), _RATIO[query.detector])
    found = _agreeing(query, candidate, ours, theirs, min_inliers)
    if found is None:
        return ours, theirs, False
    return ours[found[2]], theirs[found[2]], True


def rerank(
    query: Keypoints, candidates: Sequence[Keypoints], *, min_inliers: int = MIN_INLIERS
) -> list[Verified]:
    """Candidates, best first: those that match by their inliers, then the others as they came."""
    described = directions(query)
    matches = [_compare(query, described, other, min_inliers) for other in candidates]
    verified = [Verified(place, match) for place, match in enumerate(matches)]
    return sorted(verified, key=lambda one: -one.match.inliers if one.match else 0)


def _compare(
    query: Keypoints, described: NDArray[np.float32], candidate: Keypoints, min_inliers: int
) -> Match | None:
    if query.detector != candidate.detector:
        raise ValueError(f"keypoints of {query.detector} against those of {candidate.detector}")
    if min(len(query), len(candidate)) < max(min_inliers, 2):
        return None
    ours, theirs = _matches(described, directions(candidate), _RATIO[query.detector])
    found = _agreeing(query, candidate, ours, theirs, min_inliers)
    if found is None:
        return None
    count, transform, inliers = found
    goal = _Places.of(candidate, theirs[inliers])
    box = _box(goal.points, goal.sizes, candidate)
    return Match(inliers=count, matches=len(ours), box=box, transform=transform)


def _agreeing(
    query: Keypoints,
    candidate: Keypoints,
    ours: NDArray[np.intp],
    theirs: NDArray[np.intp],
    min_inliers: int,
) -> tuple[int, NDArray[np.float64], NDArray[np.bool_]] | None:
    """Of matched keypoints: how many agree, on which map (2, 3), and which; None if too few do."""
    if len(ours) < max(min_inliers, 2):
        return None
    start, goal = _Places.of(query, ours), _Places.of(candidate, theirs)
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
    """Pairs that are each other's nearest and pass the ratio test, clearest first."""
    similarity = query @ candidate.T
    nearest = similarity.argmax(axis=1)
    rows = np.arange(len(query))
    best = similarity[rows, nearest].copy()
    mutual = similarity.argmax(axis=0)[nearest] == rows
    similarity[rows, nearest] = -2
    second = similarity.max(axis=1)
    # Of unit vectors, 1 - similarity is half the squared distance of RootSIFT, whose ratio is
    # squared therefore, and proportional to the Hamming distance of ORB.
    bound = ratio**2 if query.shape[1] == 128 else ratio
    clarity = np.maximum(1 - best, 0) / np.maximum(1 - second, 1e-6)
    kept = np.flatnonzero(mutual & (clarity < bound))
    kept = kept[np.argsort(clarity[kept], kind="stable")][:_MOST_MATCHES]
    return kept, nearest[kept]


@dataclass(frozen=True, slots=True, eq=False)
class _Places:
    """Matched keypoints as numbers to calculate with: points (m, 2), sizes, angles in radians."""

    points: NDArray[np.float64]
    sizes: NDArray[np.float64]
    angles: NDArray[np.float64]

    @classmethod
    def of(cls, keypoints: Keypoints, chosen: NDArray[np.intp]) -> _Places:
        return cls(
            keypoints.points[chosen].astype(np.float64),
            keypoints.sizes[chosen].astype(np.float64),
            np.radians(keypoints.angles[chosen].astype(np.float64)),
        )


def _proposals(start: _Places, goal: _Places, unit: float) -> list[NDArray[np.bool_]]:
    """For the best of all one-match movements, which matches (m,) roughly agree with it."""
    scale = goal.sizes / start.sizes
    turn = goal.angles - start.angles
    # As complex numbers a movement is z → factor z + shift; row: proposal, column: match.
    factor = scale * np.exp(1j * turn)
    from_, to = start.points @ [1, 1j], goal.points @ [1, 1j]
    shift = to - factor * from_
    distance = np.abs(factor[:, None] * from_ + shift[:, None] - to)
    other_turn = np.abs((turn[:, None] - turn + np.pi) % (2 * np.pi) - np.pi)
    other_scale = np.abs(np.log(scale)[:, None] - np.log(scale))
    agree = (distance < _ROUGH * unit) & (other_turn < _ROUGH_ANGLE) & (other_scale < _ROUGH_SCALE)
    order = np.argsort(-agree.sum(axis=1), kind="stable")
    chosen: list[NDArray[np.bool_]] = []
    for row in agree[order]:
        # Proposals that count the same matches would only be refined to the same map.
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
    """Fit a map to the matches that agree, see which agree with the map, and again, more strictly.

    → (matches at places of their own, the map (2, 3), which matches agree), None if implausible.
    """
    transform = np.zeros((2, 3))
    for tolerance in _TOLERANCES:
        if agreeing.sum() < 4:
            return None
        fitted = _affine(start[agreeing], goal[agreeing])
        if fitted is None or not _plausible(fitted):
            return None
        transform = fitted
        moved = start @ transform[:, :2].T + transform[:, 2]
        agreeing = np.linalg.norm(moved - goal, axis=1) < tolerance * unit
    if not (_spread(start[agreeing]) and _spread(goal[agreeing])):
        return None
    return _distinct(start[agreeing], goal[agreeing]), transform, agreeing


def _affine(start: NDArray[np.float64], goal: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """The affine map (2, 3) of least squared error, None where the points lie on one line."""
    centre, target = start.mean(axis=0), goal.mean(axis=0)
    solution, _, rank, _ = np.linalg.lstsq(start - centre, goal - target, rcond=1e-3)
    if rank < 2:
        return None
    linear = solution.T
    return np.column_stack((linear, target - linear @ centre))


def _plausible(transform: NDArray[np.float64]) -> bool:
    """No reflection, no collapse, no extreme scale."""
    linear = transform[:, :2]
    large, small = np.linalg.svd(linear, compute_uv=False)
    within = _SCALES[0] <= small and large <= _SCALES[1] and large <= _SQUEEZE * small
    return bool(within and np.linalg.det(linear) > 0)


def _spread(points: NDArray[np.float64]) -> bool:
    """Whether points cover an area: on one line (a fence, a caption) any affine map will do."""
    if len(points) < 4:
        return False
    deviations = np.linalg.svd(points - points.mean(axis=0), compute_uv=False)
    return bool(deviations[1] > 0.08 * deviations[0] and deviations[1] > 3 * np.sqrt(len(points)))


def _distinct(start: NDArray[np.float64], goal: NDArray[np.float64]) -> int:
    """Matches at places of their own: SIFT gives one point several directions, and counts of one
    corner must not pass for an object. Places are squares of 3 pixels."""
    return min(len(np.unique(np.floor(points / 3), axis=0)) for points in (start, goal))


def _box(
    points: NDArray[np.float64], sizes: NDArray[np.float64], picture: Keypoints
) -> tuple[float, float, float, float]:
    """The smallest box around the matched patches, inside the picture, as fractions of it."""
    # A SIFT descriptor looks about three times as far as the keypoint's own radius.
    reach = np.minimum(1.5 * sizes, 0.05 * max(picture.width, picture.height))[:, None]
    extent = np.array([picture.width, picture.height], dtype=np.float64)
    low = np.clip((points - reach).min(axis=0) / extent, 0, 1)
    high = np.clip((points + reach).max(axis=0) / extent, 0, 1)
    return float(low[0]), float(low[1]), float(high[0] - low[0]), float(high[1] - low[1])
