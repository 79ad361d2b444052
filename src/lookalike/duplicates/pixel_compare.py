"""Are two pictures the same picture? Judged by their pixels, laid upon each other.

First as they are, in the eight orientations; where that does not fit, where keypoints say that one
lies in the other. Then each part of the one must look as the same part of the other does: two
photos of one scene, a second apart, agree in most keypoints, but people and cameras have moved.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import cast

import numpy as np
from numpy.typing import NDArray

from lookalike.extractors.keypoints import Keypoints, detect
from lookalike.extractors.verification import Match, compare
from lookalike.images.decode import upright
from lookalike.images.pixel_spec import Needs, Pixels

NEEDS = Needs(mode="grey", fit="inside", max_side=224)
"""The pixels that are compared. SIFT takes 38 ms at 320 pixels and 18 ms at 224, and of copies with a
frame more are found in the smaller ones: what is finer than a pixel here differs between copies."""

KEYPOINTS = 300
INLIERS = 8
"""Keypoints that must agree; fewer than where they alone decide, because the pixels are looked at."""


SIDE, TILE = 96, 8
"""Pictures are laid upon each other in 96 × 96 pixels, and compared in 12 × 12 tiles."""

SMALL = 32
TEXTURED = 3.0
"""Standard deviation of the grey values of a tile (0 to 255) below which it shows nothing."""

TILE_AGREES = 0.8
"""Correlation from which a tile of the one shows the same as that of the other."""

ALIKE = 0.6
"""Correlation of two whole pictures from which it is worth looking at their tiles."""

ORIENTATIONS = {
    2: "mirrored",
    3: "turned by 180°",
    4: "upside down",
    5: "mirrored and turned by 90°",
    6: "turned by 90°",
    7: "mirrored and turned by 90°",
    8: "turned by 90°",
}

COPY = 0.75
"""Share of the tiles that must agree. Text, a watermark, a stain on a scan take the rest."""

NUDGED, EXACTLY = 0.3, 0.95
"""Shares of agreeing tiles between which pictures are laid upon each other more exactly."""

FEWEST_TILES = 12
OVERLAP = 0.25
"""Part of each picture that the other must show: less is a detail, or a collage."""


class Look:
    """What is kept of one picture to compare it with others; keypoints are found when needed."""

    def __init__(self, grey: Pixels) -> None:
        self.grey = grey

    @cached_property
    def square(self) -> NDArray[np.float32]:
        """(96, 96): the whole picture, stretched."""
        return _resized(self.grey, SIDE)

    @cached_property
    def small(self) -> NDArray[np.float32]:
        """(32, 32), its mean 0 and its length 1."""
        small = _resized(self.grey, SMALL)
        small = small - small.mean()
        return np.asarray(small / max(float(np.linalg.norm(small)), 1e-6), np.float32)

    @cached_property
    def keypoints(self) -> Keypoints:
        return detect(self.grey, limit=KEYPOINTS)

    @cached_property
    def mirrored_keypoints(self) -> Keypoints:
        return mirrored(self.keypoints)


@dataclass(frozen=True, slots=True)
class Likeness:
    """What two pictures have in common.

    agreement    share of the tiles in which they agree, 0 to 1
    overlap      how much of the picture that shows less in common is in common, 0 to 1
    orientation  how the first must be turned to lie as the second does, by EXIF's number; 0: by
                 keypoints
    inliers      keypoints that agree; 0 where none were needed
    """

    agreement: float
    overlap: float
    orientation: int = 0
    inliers: int = 0

    @property
    def copy(self) -> bool:
        """Whether they are one picture."""
        return self.agreement >= COPY and self.overlap >= OVERLAP

    @property
    def words(self) -> str:
        """The same as a person reads it."""
        part = f"{self.agreement:.0%} of the picture agrees"
        if self.orientation > 1:
            return f"{part}, {ORIENTATIONS[self.orientation]}"
        if self.orientation == 0:
            return f"{part}, placed by {self.inliers} keypoints"
        return part


def likeness(one: Look, other: Look) -> Likeness | None:
    """What two pictures have in common; None where nothing says that they show the same."""
    direct = _direct(one, other)
    if direct is not None and direct.copy:
        return direct
    plain = compare(one.keypoints, other.keypoints, min_inliers=INLIERS)
    found = _laid(one.grey, other.grey, plain) if plain else None
    if plain is None:
        flipped = compare(one.mirrored_keypoints, other.keypoints, min_inliers=INLIERS)
        if flipped is not None:
            found = _laid(np.ascontiguousarray(one.grey[:, ::-1]), other.grey, flipped)
    if direct is not None and (found is None or direct.agreement > found.agreement):
        return replace(direct, inliers=found.inliers if found else 0)
    return found


def _direct(one: Look, other: Look) -> Likeness | None:
    """The whole pictures, in the orientation that fits best."""
    alike = {turn: float((_turned(one.small, turn) * other.small).sum()) for turn in range(1, 9)}
    best = max(alike, key=lambda turn: alike[turn])
    if alike[best] < ALIKE:
        return None
    agreement = agreeing(_turned(one.square, best), other.square, None)
    return None if agreement is None else Likeness(agreement, 1.0, orientation=best)


def _turned(grey: NDArray[np.float32], orientation: int) -> NDArray[np.float32]:
    """`upright`, which was written for pixels."""
    return np.asarray(upright(cast(Pixels, grey), orientation), np.float32)


def _laid(query: Pixels, candidate: Pixels, match: Match) -> Likeness | None:
    """The query, moved as the match says, upon the candidate; the other way round where it would have
    to be enlarged, and would look soft beside details that only the candidate has."""
    import cv2

    whole = np.vstack([match.transform, [0, 0, 1]])
    enlarged = match.scale
    if enlarged > 1:
        query, candidate = candidate, query
        whole, enlarged = np.linalg.inv(whole), 1 / enlarged
    height, width = candidate.shape
    scale = SIDE / max(height, width)
    size = (max(TILE, round(width * scale)), max(TILE, round(height * scale)))
    move = (np.diag([scale, scale, 1.0]) @ whole)[:2]
    under = cv2.resize(candidate, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    ratio = enlarged * scale
    # Shrunk without a blur, the query would have details that the candidate has not.
    soft = cv2.GaussianBlur(query, (0, 0), 0.5 / ratio) if 0 < ratio < 1 else query
    laid, covered = _moved(soft, move, size)
    agreement = agreeing(laid, under, covered)
    if agreement is not None and NUDGED <= agreement < EXACTLY:
        laid, covered = _moved(soft, _nudged(laid, under, covered, move), size)
        agreement = max(agreement, agreeing(laid, under, covered) or 0.0)
    if agreement is None:
        return None
    shown = float(covered.mean())
    # The area of the query that lies inside the candidate, of all that there is of it.
    of_query = shown * size[0] * size[1] / max(query.size * ratio**2, 1e-6)
    return Likeness(agreement, min(shown, of_query, 1.0), inliers=match.inliers)


def _moved(
    picture: Pixels, move: NDArray[np.float64], size: tuple[int, int]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """A picture moved to where it belongs, and where that is."""
    import cv2

    laid = cv2.warpAffine(picture, move, size, flags=cv2.INTER_LINEAR)
    covered = cv2.warpAffine(np.ones(picture.shape, np.float32), move, size) > 0.99
    return np.asarray(laid, np.float32), np.asarray(covered)


def _nudged(
    laid: NDArray[np.float32],
    under: NDArray[np.float32],
    covered: NDArray[np.bool_],
    move: NDArray[np.float64],
) -> NDArray[np.float64]:
    """The movement, corrected by what the pixels say: a few dozen keypoints place a picture to a pixel
    or so, and a tile has eight. Evangelidis and Psarakis, PAMI 2008 (ECC), by OpenCV."""
    import cv2

    correction = np.eye(2, 3, dtype=np.float32)
    stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 30, 1e-3)
    mask = covered.astype(np.uint8) * 255
    try:
        # What it finds leads from `under` to `laid`.
        _, found = cv2.findTransformECC(under, laid, correction, cv2.MOTION_AFFINE, stop, mask, 3)
    except cv2.error:  # it does not converge where the pictures are unlike
        return move
    back = np.linalg.inv(np.vstack([found.astype(np.float64), [0, 0, 1]]))
    return np.asarray((back @ np.vstack([move, [0, 0, 1]]))[:2], np.float64)


def agreeing(
    one: NDArray[np.float32], other: NDArray[np.float32], covered: NDArray[np.bool_] | None
) -> float | None:
    """The share of tiles in which two grey pictures of one size agree, of those in which either shows
    something; `covered`: only tiles that lie in it wholly. None where too few show anything."""
    a, b = _tiles(one), _tiles(other)
    told = np.maximum(a.std(axis=1), b.std(axis=1)) >= TEXTURED
    if covered is not None:
        told &= _tiles(covered.astype(np.float32)).min(axis=1) > 0
    if told.sum() < FEWEST_TILES:
        return None
    a, b = a[told], b[told]
    a, b = a - a.mean(axis=1, keepdims=True), b - b.mean(axis=1, keepdims=True)
    # A little noise in both, so that a tile that is flat in one of them does not agree by chance.
    lengths = np.sqrt(((a * a).sum(axis=1) + TILE**2) * ((b * b).sum(axis=1) + TILE**2))
    return float(((a * b).sum(axis=1) / lengths >= TILE_AGREES).mean())


def _tiles(picture: NDArray[np.float32]) -> NDArray[np.float32]:
    """(h, w) → (tiles, 64); what is left over at the right and below is not looked at."""
    tall, wide = picture.shape[0] // TILE, picture.shape[1] // TILE
    cut = picture[: tall * TILE, : wide * TILE].reshape(tall, TILE, wide, TILE)
    return cut.transpose(0, 2, 1, 3).reshape(tall * wide, TILE * TILE)


def _resized(grey: Pixels, side: int) -> NDArray[np.float32]:
    import cv2

    small = cv2.resize(grey, (side, side), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float32)


def mirrored(keypoints: Keypoints) -> Keypoints:
    """The SIFT keypoints that the mirrored picture has, without looking at it.

    A descriptor is 4 rows × 4 columns × 8 directions, its columns along the direction of the
    keypoint: in the mirror its rows and its directions run the other way.
    """
    points = keypoints.points.copy()
    points[:, 0] = keypoints.width - 1 - points[:, 0]
    grid = keypoints.descriptors.reshape(-1, 4, 4, 8)
    turned = grid[:, ::-1][..., (-np.arange(8)) % 8]
    return replace(
        keypoints,
        points=points,
        angles=(180 - keypoints.angles) % 360,
        descriptors=np.ascontiguousarray(turned).reshape(-1, 128),
    )
