"""Decides by their pixels whether two images show the same.

The images are first compared as they are, in all eight orientations, and where that fails, aligned by
keypoints. Then tiles of one must look like the same tiles of the other: two photos of a scene taken a second
apart agree in most keypoints, but people and the camera have moved.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import cast

import numpy as np
from numpy.typing import NDArray

from lookalike.duplicates.overview import Overview, find_overlap
from lookalike.extractors.keypoints import Keypoints, detect
from lookalike.extractors.verification import Match, compare
from lookalike.images.decode import upright
from lookalike.images.pixel_spec import Pixels, PixelSpec

# The pixels that are compared. SIFT takes 38 ms at 320 pixels and 18 ms at 224, and more copies with a frame
# are found in the smaller ones: finer details than a pixel here differ between copies.
PIXELS = PixelSpec(mode="grey", fit="inside", max_side=224)

KEYPOINTS = 300
# Matching keypoints that align two images; fewer than where keypoints alone decide.
MIN_INLIERS = 8

# Images are compared at 96 × 96 pixels in 12 × 12 tiles of 8 × 8 pixels.
SIDE, TILE = 96, 8

# Side of the thumbnails that select the orientation.
THUMBNAIL_SIDE = 32

# Standard deviation of the grey values (0 to 255) of a tile below which it has no texture.
MIN_TEXTURE = 3.0

# Correlation from which two tiles agree.
MIN_TILE_CORRELATION = 0.8

# Correlation of the two thumbnails from which their tiles are compared.
MIN_THUMBNAIL_CORRELATION = 0.6

# Share of the tiles that must agree before two images are compared in detail. Text, a watermark or a stain on
# a scan take the rest.
MIN_AGREEMENT = 0.65

# Shares of agreeing tiles between which the alignment is refined.
REFINE_FROM, REFINE_BELOW = 0.3, 0.95

# Share of the tiles that must agree, aligned by their pixels, before keypoints are detected, which take far
# longer. Of 330 copies of photos that were cropped, framed, tilted or two of these, one needed keypoints.
MIN_ROUGH_AGREEMENT = 0.5

# Largest difference (of 255) of what two roughly aligned images both show.
MAX_APART = 24.0

MIN_TILES = 12

# Scale along an axis by which a refined alignment may differ from the one that it began with.
MAX_CORRECTION = 1.2

# Part of each image that the other must show: less is a detail, or a collage.
MIN_OVERLAP = 0.25


class GreyImage:
    """An image as it is compared with others; keypoints are detected on first use."""

    def __init__(self, grey: Pixels) -> None:
        self.grey = grey

    @cached_property
    def square(self) -> NDArray[np.float32]:
        """The whole image stretched to (96, 96)."""
        return _resized(self.grey, SIDE)

    @cached_property
    def thumbnails(self) -> NDArray[np.float32]:
        """The image in all eight orientations (8, 1024), with mean 0 and length 1."""
        small = _resized(self.grey, THUMBNAIL_SIDE)
        small = small - small.mean()
        small = small / max(float(np.linalg.norm(small)), 1e-6)
        return np.stack([_oriented(small, orientation).ravel() for orientation in range(1, 9)])

    @cached_property
    def overview(self) -> Overview:
        """A small version, which tells whether keypoints are worth the time."""
        return Overview.of(self.grey)

    @cached_property
    def keypoints(self) -> Keypoints:
        """SIFT keypoints of the image."""
        return detect(self.grey, limit=KEYPOINTS)

    @cached_property
    def mirrored_keypoints(self) -> Keypoints:
        """SIFT keypoints of the mirrored image."""
        return mirror_keypoints(self.keypoints)


@dataclass(frozen=True, slots=True, eq=False)
class PixelMatch:
    """Result of comparing two images.

    agreement    share of the tiles that agree, 0 to 1
    overlap      shared part of the image that shares less, 0 to 1
    orientation  EXIF orientation that turns the first image like the second; 0 if aligned by keypoints
    inliers      matching keypoints; 0 where none were needed
    transform    (2, 3): pixels of the first image → pixels of the second; None if whole images match
    mirrored     the transform starts from the mirrored first image
    """

    agreement: float
    overlap: float
    orientation: int = 0
    inliers: int = 0
    transform: NDArray[np.float64] | None = None
    mirrored: bool = False

    @property
    def is_promising(self) -> bool:
        """Whether both may be copies of one image."""
        return self.agreement >= MIN_AGREEMENT and self.overlap >= MIN_OVERLAP


def compare_aligned(one: GreyImage, other: GreyImage) -> PixelMatch | None:
    """Align two images by keypoints, mirrored if necessary, and compare them."""
    plain = compare(one.keypoints, other.keypoints, min_inliers=MIN_INLIERS)
    if plain is not None:
        return _compare_keypoints(one.grey, other.grey, plain)
    flipped = compare(one.mirrored_keypoints, other.keypoints, min_inliers=MIN_INLIERS)
    if flipped is None:
        return None
    found = _compare_keypoints(np.ascontiguousarray(one.grey[:, ::-1]), other.grey, flipped)
    return None if found is None else replace(found, mirrored=True)


def compare_overlap(one: GreyImage, other: GreyImage) -> PixelMatch | None:
    """Align two images by small versions, in one orientation or mirrored, and compare them.

    None if neither of them shows a part of the other.
    """
    found = find_overlap(one.overview, other.overview)
    if found is None:
        return None
    more, less = (other, one) if found.swapped else (one, other)
    transform = _inverse(_to_overview(more)) @ found.transform @ _to_overview(less)
    if not found.swapped:
        transform = _inverse(transform)
        if found.mirrored:
            transform = _mirror(other) @ transform @ _mirror(one)
    grey = np.ascontiguousarray(one.grey[:, ::-1]) if found.mirrored else one.grey
    match = _compare_aligned(grey, other.grey, transform, exact=False)
    return None if match is None else replace(match, mirrored=found.mirrored)


def _inverse(transform: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.linalg.inv(transform), np.float64)


def _to_overview(image: GreyImage) -> NDArray[np.float64]:
    """Return the map (3, 3) of the pixels of an image to those of its overview."""
    x, y = (np.array(image.overview.whole.shape[::-1]) / np.array(image.grey.shape[::-1])).tolist()
    return np.array([[x, 0, (x - 1) / 2], [0, y, (y - 1) / 2], [0, 0, 1]])


def _mirror(image: GreyImage) -> NDArray[np.float64]:
    """Return the map (3, 3) of the pixels of an image to those of its mirror image."""
    return np.array([[-1.0, 0, image.grey.shape[1] - 1], [0, 1, 0], [0, 0, 1]])


def compare_whole(one: GreyImage, other: GreyImage) -> PixelMatch | None:
    """Compare whole images in the orientation that fits best."""
    correlations = one.thumbnails @ other.thumbnails[0]
    best = int(correlations.argmax()) + 1
    if correlations[best - 1] < MIN_THUMBNAIL_CORRELATION:
        return None
    agreement = tile_agreement(_oriented(one.square, best), other.square, None)
    return None if agreement is None else PixelMatch(agreement, 1.0, orientation=best)


def _oriented(grey: NDArray[np.float32], orientation: int) -> NDArray[np.float32]:
    """Apply `upright`, which is typed for uint8 pixels."""
    return np.asarray(upright(cast(Pixels, grey), orientation), np.float32)


def _compare_keypoints(query: Pixels, candidate: Pixels, match: Match) -> PixelMatch | None:
    whole = np.vstack([match.transform, [0, 0, 1]])
    found = _compare_aligned(query, candidate, whole, exact=True)
    return None if found is None else replace(found, inliers=match.inliers)


def _compare_aligned(
    query: Pixels, candidate: Pixels, whole: NDArray[np.float64], *, exact: bool
) -> PixelMatch | None:
    """Warp the query onto the candidate by a transform (3, 3) of their pixels, and compare the tiles.

    Where the query would have to be enlarged, the candidate is warped instead: enlarged, it would look soft
    beside details that only the other image has.

    exact  the transform is kept, and refined for the comparison only
    """
    import cv2

    given = whole
    magnification = float(np.sqrt(abs(np.linalg.det(whole[:2, :2]))))
    swapped = magnification > 1
    if swapped:
        query, candidate = candidate, query
        whole, magnification = _inverse(whole), 1 / magnification
    height, width = candidate.shape
    scale = SIDE / max(height, width)
    size = (max(TILE, round(width * scale)), max(TILE, round(height * scale)))
    transform = (np.diag([scale, scale, 1.0]) @ whole)[:2]
    target = cv2.resize(candidate, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    ratio = magnification * scale
    # Shrunk without a blur, the query would have details that the candidate lacks.
    soft = cv2.GaussianBlur(query, (0, 0), 0.5 / ratio) if 0 < ratio < 1 else query
    warped, covered = _warp(soft, transform, size)
    agreement = tile_agreement(warped, target, covered)
    if agreement is not None and REFINE_FROM <= agreement < REFINE_BELOW:
        refined = _refine(warped, target, covered, transform)
        warped, covered = _warp(soft, refined, size)
        better = tile_agreement(warped, target, covered) or 0.0
        if better > agreement and not exact:
            whole = np.diag([1 / scale, 1 / scale, 1.0]) @ np.vstack([refined, [0, 0, 1]])
        agreement = max(agreement, better)
    if agreement is not None and agreement >= MIN_AGREEMENT and not exact:
        given = _align(query, candidate, whole)
        given = _inverse(given) if swapped else given
    if agreement is None:
        return None
    of_candidate = float(covered.mean())
    # The area of the query that lies inside the candidate, relative to its whole area.
    of_query = of_candidate * size[0] * size[1] / max(query.size * ratio**2, 1e-6)
    return PixelMatch(agreement, min(of_candidate, of_query, 1.0), transform=given[:2])


def _warp(
    image: Pixels, transform: NDArray[np.float64], size: tuple[int, int]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return the warped image and a mask of the pixels that it covers."""
    import cv2

    warped = cv2.warpAffine(image, transform, size, flags=cv2.INTER_LINEAR)
    covered = cv2.warpAffine(np.ones(image.shape, np.float32), transform, size) > 0.99
    return np.asarray(warped, np.float32), np.asarray(covered)


def _align(query: Pixels, candidate: Pixels, whole: NDArray[np.float64]) -> NDArray[np.float64]:
    """Refine a transform (3, 3) at full resolution, by what does not differ: frames and black corners would
    pull it away."""
    import cv2

    size = (candidate.shape[1], candidate.shape[0])
    warped, covered = _warp(query, whole[:2], size)
    target = candidate.astype(np.float32)
    x, y = warped[covered][::7], target[covered][::7]
    gain, offset = np.polyfit(x, y, 1) if len(x) > 1 and np.ptp(x) > 0 else (1.0, 0.0)
    apart = cv2.blur(np.abs(gain * warped + offset - target), (5, 5))
    refined = _refine(warped, target, covered & (apart < MAX_APART), whole[:2])
    return np.vstack([refined, [0, 0, 1]])


def _refine(
    warped: NDArray[np.float32],
    target: NDArray[np.float32],
    covered: NDArray[np.bool_],
    transform: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Refine a transform by the pixels (ECC; Evangelidis and Psarakis, PAMI 2008).

    A few dozen keypoints align images to about a pixel, and a tile has only eight.
    """
    import cv2

    correction = np.eye(2, 3, dtype=np.float32)
    stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 30, 1e-3)
    mask = covered.astype(np.uint8) * 255
    try:
        # The result maps from `target` to `warped`.
        _, found = cv2.findTransformECC(
            target, warped, correction, cv2.MOTION_AFFINE, stop, mask, 3
        )
    except cv2.error:  # no convergence where the images differ
        return transform
    widths = np.linalg.svd(found[:, :2], compute_uv=False)
    if not (widths[1] > 1 / MAX_CORRECTION and widths[0] < MAX_CORRECTION):
        return transform  # it has diverged
    back = _inverse(np.vstack([found.astype(np.float64), [0, 0, 1]]))
    return np.asarray((back @ np.vstack([transform, [0, 0, 1]]))[:2], np.float64)


def tile_agreement(
    one: NDArray[np.float32], other: NDArray[np.float32], covered: NDArray[np.bool_] | None
) -> float | None:
    """Return the share of tiles that agree, among tiles where either image has texture.

    one, other  grey images (h, w) of equal size
    covered     mask (h, w); only tiles inside it count

    None where fewer than `MIN_TILES` have texture.
    """
    a, b = _tiles(one), _tiles(other)
    used = np.maximum(a.std(axis=1), b.std(axis=1)) >= MIN_TEXTURE
    if covered is not None:
        used &= _tiles(covered.astype(np.float32)).min(axis=1) > 0
    if used.sum() < MIN_TILES:
        return None
    a, b = a[used], b[used]
    a, b = a - a.mean(axis=1, keepdims=True), b - b.mean(axis=1, keepdims=True)
    # The added noise keeps a tile that is flat in one of them from agreeing by chance.
    lengths = np.sqrt(((a * a).sum(axis=1) + TILE**2) * ((b * b).sum(axis=1) + TILE**2))
    return float(((a * b).sum(axis=1) / lengths >= MIN_TILE_CORRELATION).mean())


def _tiles(grey: NDArray[np.float32]) -> NDArray[np.float32]:
    """Cut an image (h, w) into tiles (tiles, 64). Incomplete tiles at the right and bottom are dropped."""
    rows, columns = grey.shape[0] // TILE, grey.shape[1] // TILE
    cut = grey[: rows * TILE, : columns * TILE].reshape(rows, TILE, columns, TILE)
    return cut.transpose(0, 2, 1, 3).reshape(rows * columns, TILE * TILE)


def _resized(grey: Pixels, side: int) -> NDArray[np.float32]:
    import cv2

    small = cv2.resize(grey, (side, side), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float32)


def mirror_keypoints(keypoints: Keypoints) -> Keypoints:
    """Return the SIFT keypoints of the mirrored image without detecting them again.

    A descriptor is 4 rows × 4 columns × 8 directions with its columns along the direction of the
    keypoint, so mirroring reverses its rows and its directions.
    """
    points = keypoints.points.copy()
    points[:, 0] = keypoints.width - 1 - points[:, 0]
    grid = keypoints.descriptors.reshape(-1, 4, 4, 8)
    mirrored = grid[:, ::-1][..., (-np.arange(8)) % 8]
    return replace(
        keypoints,
        points=points,
        angles=(180 - keypoints.angles) % 360,
        descriptors=np.ascontiguousarray(mirrored).reshape(-1, 128),
    )
