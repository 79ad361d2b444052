"""Keypoints: patches that can be found again when an image is rotated, scaled or cropped."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from lookalike.images.pixel_spec import Pixels, PixelSpec

Detector: TypeAlias = Literal["sift", "orb"]
"""SIFT finds more keypoints and discriminates better; ORB is about five times as fast."""

# The pixels that each detector takes.
PIXEL_SPECS: dict[Detector, PixelSpec] = {
    # Half of SIFT's keypoints lie in an octave twice as fine as the image. From 640 pixels these are details
    # that a smaller copy no longer has: at 448 SIFT is twice as fast, and more of the images of coco-mini
    # that were cropped, rotated, shrunk and re-saved are among the first 50 (96 % against 91 % of those
    # cropped to a quarter of the area; at 320 pixels 95 %).
    "sift": PixelSpec(mode="grey", fit="inside", max_side=448),
    "orb": PixelSpec(mode="grey", fit="inside", max_side=640),
}

# Maximum number of keypoints per image: those of the strongest contrast.
LIMIT: dict[Detector, int] = {"sift": 800, "orb": 1000}

# OpenCV's default is 0.04; half of it gives images of little texture some keypoints, and changes nothing
# where `LIMIT` is reached.
_CONTRAST = 0.02

# ORB fails on images that its pyramid shrinks to nothing, and there is nothing to find in them.
_MIN_SIDE = 8


@dataclass(frozen=True, slots=True, eq=False)
class Keypoints:
    """The keypoints of one image, compact enough to store: about 150 bytes each with SIFT.

    detector       only keypoints of the same detector can be compared
    width, height  size in pixels of the image in which they were detected
    points         (n, 2) float32: x, y in those pixels
    sizes          (n,) float32: diameter in pixels
    angles         (n,) float32: direction in degrees, clockwise as seen, 0 to 360
    descriptors    (n, 128) uint8 from SIFT, (n, 32) uint8 of bits from ORB
    """

    detector: Detector
    width: int
    height: int
    points: NDArray[np.float32]
    sizes: NDArray[np.float32]
    angles: NDArray[np.float32]
    descriptors: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.points)


def detect(pixels: Pixels, *, detector: Detector = "sift", limit: int | None = None) -> Keypoints:
    """Return the strongest keypoints of a grey image (h, w) prepared as `PIXEL_SPECS[detector]` says.

    An image without texture, or of a few pixels only, has none. Lowe, Distinctive Image Features
    from Scale-Invariant Keypoints, IJCV 2004; Rublee et al., ORB, ICCV 2011; both by OpenCV.
    """
    height, width = pixels.shape
    found, descriptors = [], None
    if min(height, width) >= _MIN_SIDE:
        found, descriptors = _opencv(detector, limit or LIMIT[detector]).detectAndCompute(
            pixels, None
        )
    length = 128 if detector == "sift" else 32
    if descriptors is None:
        descriptors = np.zeros((0, length))
    return Keypoints(
        detector=detector,
        width=width,
        height=height,
        points=np.array([point.pt for point in found], dtype=np.float32).reshape(-1, 2),
        sizes=np.array([point.size for point in found], dtype=np.float32),
        angles=np.array([point.angle for point in found], dtype=np.float32),
        descriptors=descriptors.astype(np.uint8),
    )


def unit_descriptors(keypoints: Keypoints) -> NDArray[np.float32]:
    """Return the descriptors as unit vectors, (n, 128) or (n, 256) float32; inner products compare them.

    SIFT becomes RootSIFT: the square root of each share of the sum, so that the product is the
    Hellinger kernel of two histograms (Arandjelović and Zisserman, CVPR 2012). The bits of ORB
    become ±1/16, so that the product is 1 - Hamming distance / 128.
    """
    if keypoints.detector == "orb":
        bits = np.unpackbits(keypoints.descriptors, axis=1).astype(np.float32)
        return (bits * 2 - 1) / np.float32(16)
    histograms = keypoints.descriptors.astype(np.float32)
    sums = histograms.sum(axis=1, keepdims=True)
    histograms /= np.maximum(sums, 1)
    return np.sqrt(histograms, out=histograms)


def _opencv(detector: Detector, limit: int) -> Any:
    import cv2

    if detector == "sift":
        return cv2.SIFT.create(nfeatures=limit, contrastThreshold=_CONTRAST)
    # The lower threshold (20 by default) finds corners in dim and blurred images, too.
    return cv2.ORB.create(nfeatures=limit, fastThreshold=10)
