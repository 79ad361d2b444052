"""Aggregation of an image's keypoints into one vector of fixed length (VLAD).

Jégou, Douze, Schmid and Pérez, Aggregating local descriptors into a compact image representation,
CVPR 2010; with the normalisation of Arandjelović and Zisserman, All about VLAD, CVPR 2013.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cache
from typing import Self

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import UsageError
from lookalike.extractors.interface import RunsIn, Vectors
from lookalike.extractors.keypoints import (
    PIXEL_SPECS,
    Detector,
    Keypoints,
    detect,
    unit_descriptors,
)
from lookalike.images.pixel_spec import Pixels
from lookalike.vectors.kmeans import kmeans
from lookalike.vectors.pca import leading_axes, principal_axes
from lookalike.vectors.similarity import Similarity

# Visual words. Twice as many found no more among the best 50 after the reduction, at twice the size.
WORDS = 64
# Dimensions of a descriptor after PCA.
DEPTH = 64
# Numbers of a vector from PCA of the VLADs, and from a random projection of the rest.
PRINCIPAL = 256
MIXED = 768

# Descriptors from which the vocabulary is learned, at most.
_MAX_SAMPLE = 100_000


@dataclass(frozen=True, slots=True, eq=False)
class Vocabulary:
    """Visual vocabulary learned from a sample of images; about 4 MB, deterministic for a sample.

    The names of the fields are those of the arrays on disk, and part of the fingerprint.

    centre     (d,) float32: the mean descriptor
    depth      (d, 64) float32: the descriptors' principal axes
    words      (64, 64) float32: visual words; fewer rows if the sample has fewer distinct descriptors
    mean       (4096,) float32: the mean VLAD
    principal  (256, 4096) float32: the VLADs' principal axes; fewer rows if the sample is small
    signs      (64, 64) int8: random +1 and -1, for the residual of the principal axes
    kept       (768,) int16: which numbers of the randomly rotated residual are kept
    """

    centre: NDArray[np.float32]
    depth: NDArray[np.float32]
    words: NDArray[np.float32]
    mean: NDArray[np.float32]
    principal: NDArray[np.float32]
    signs: NDArray[np.int8]
    kept: NDArray[np.int16]

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """Return the arrays by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def fingerprint(self) -> str:
        """Return twelve hexadecimal digits that change with any number in the arrays."""
        digest = hashlib.sha256()
        for name, array in self.arrays().items():
            digest.update(f"{name}{array.shape}{array.dtype.str}".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()[:12]


class VladExtractor:
    """Which keypoints an image has, wherever they are: 1,024 numbers.

    Finds images of the same object, cropped, rotated or scaled, which `verification` can confirm. It must be
    fitted to a sample of images first, of about 500 and at least one. An image without keypoints gives the
    zero vector.
    """

    dim = PRINCIPAL + MIXED
    similarity: Similarity = "cosine"
    runs_in: RunsIn = "worker"
    sample_size = 512  # a vocabulary needs some 100,000 keypoints, and an image has hundreds

    def __init__(self, detector: str = "sift", *, vocabulary: Vocabulary | None = None) -> None:
        if detector not in ("sift", "orb"):
            raise UsageError(f"the keypoint detector must be sift or orb, not {detector!r}")
        self.detector: Detector = "orb" if detector == "orb" else "sift"
        self._vocabulary = vocabulary
        self.name = "keypoints" if detector == "sift" else f"keypoints-{detector}"
        self.pixels = PIXEL_SPECS[self.detector]
        # Vectors from different vocabularies must never be compared.
        self.revision = f"1-{vocabulary.fingerprint()}" if vocabulary else "1"

    @property
    def fitted(self) -> Mapping[str, NDArray[np.generic]] | None:
        """The arrays of the vocabulary; None before fitting."""
        return self._vocabulary.arrays() if self._vocabulary else None

    def fit(self, images: Sequence[Pixels]) -> Self:
        """Return a copy with a vocabulary learned from grey images; UsageError without images."""
        if not images:
            raise UsageError(f"{self.name} is fitted to images first: give it at least one")
        keypoints = [detect(image, detector=self.detector) for image in images]
        vocabulary = fit_vocabulary([unit_descriptors(each) for each in keypoints])
        return type(self)(self.detector, vocabulary=vocabulary)

    def with_fitted(self, fitted: Mapping[str, NDArray[np.generic]]) -> Self:
        """Return a copy with the arrays of an earlier fit."""
        names = [field.name for field in fields(Vocabulary)]
        if missing := [name for name in names if name not in fitted]:
            raise UsageError(
                f"the stored vocabulary of {self.name} is incomplete ({', '.join(missing)} missing): "
                f"index again with --extractor {self.name}"
            )
        types = {"signs": np.int8, "kept": np.int16}
        arrays = {name: np.asarray(fitted[name], types.get(name, np.float32)) for name in names}
        return type(self)(self.detector, vocabulary=Vocabulary(**arrays))

    def extract(self, images: Sequence[Pixels]) -> Vectors:
        """Return (n, 1024) float32 of unit length, or zero, for grey images."""
        return self.describe([detect(image, detector=self.detector) for image in images])

    def describe(self, found: Sequence[Keypoints]) -> Vectors:
        """Return the vectors for keypoints that were detected already."""
        if self._vocabulary is None:
            raise UsageError(f"{self.name} has not been fitted: call fit(images) first")
        vectors = np.zeros((len(found), self.dim), dtype=np.float32)
        for row, keypoints in zip(vectors, found, strict=True):
            if len(keypoints):
                whole = vlad(unit_descriptors(keypoints), self._vocabulary)
                row[:] = reduce_vlad(whole, self._vocabulary)
        return vectors


def keypoints_by_orb() -> VladExtractor:
    """Return the faster variant, with ORB keypoints."""
    return VladExtractor("orb")


def fit_vocabulary(samples: Sequence[NDArray[np.float32]]) -> Vocabulary:
    """Return a vocabulary learned from the descriptors of each image of a sample, (n_i, d) float32."""
    rng = np.random.default_rng(0)
    size = samples[0].shape[1]
    descriptors = np.concatenate(samples)
    if len(descriptors) > _MAX_SAMPLE:
        descriptors = descriptors[np.sort(rng.choice(len(descriptors), _MAX_SAMPLE, replace=False))]
    if not len(descriptors):
        # A sample of flat images: a single word still discriminates between images.
        descriptors = np.zeros((1, size), dtype=np.float32)
    axes = principal_axes(descriptors)
    centre, depth = axes.mean, np.ascontiguousarray(axes.axes[:DEPTH].T)
    vocabulary = Vocabulary(
        centre=centre,
        depth=depth,
        words=kmeans((descriptors - centre) @ depth, WORDS)[0],
        mean=np.zeros(WORDS * DEPTH, dtype=np.float32),
        principal=np.zeros((0, WORDS * DEPTH), dtype=np.float32),
        signs=(rng.integers(0, 2, (WORDS, DEPTH)) * 2 - 1).astype(np.int8),
        kept=np.sort(rng.permutation(WORDS * DEPTH)[:MIXED]).astype(np.int16),
    )
    whole = np.stack([vlad(rows, vocabulary) for rows in samples if len(rows)] or [vocabulary.mean])
    leading = leading_axes(whole, PRINCIPAL)
    principal = leading.axes[np.sqrt(leading.variances * len(whole)) > 1e-4]
    return replace(vocabulary, mean=leading.mean, principal=principal)


def vlad(descriptors: NDArray[np.float32], vocabulary: Vocabulary) -> NDArray[np.float32]:
    """Return the VLAD (4096,) float32 of the descriptors (n, d) of one image, of unit length or zero.

    For each word, the differences between it and its nearest descriptors are summed and normalised to unit
    length, so that a repeated pattern does not dominate; then every number is replaced by its signed square
    root, for the same reason.
    """
    depth = vocabulary.depth.shape[1]
    sums = np.zeros((vocabulary.mean.size // depth, depth), dtype=np.float32)
    if len(descriptors):
        points = np.matmul(descriptors - vocabulary.centre, vocabulary.depth, dtype=np.float32)
        nearest = _nearest(points, vocabulary.words)
        member = np.zeros((len(vocabulary.words), len(points)), dtype=np.float32)
        member[nearest, np.arange(len(points))] = 1
        differences = member @ (points - vocabulary.words[nearest])
        sums[: len(differences)] = differences
    sums /= np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-6)
    sums = np.sign(sums) * np.sqrt(np.abs(sums))
    sums /= max(float(np.linalg.norm(sums)), 1e-6)
    return sums.ravel()


def reduce_vlad(whole: NDArray[np.float32], vocabulary: Vocabulary) -> NDArray[np.float32]:
    """Return a VLAD (4096,) reduced to (1024,) float32 of unit length, or zero.

    Principal axes alone keep what images of the sample have in common and lose what is specific to
    another image. Of 200 images of coco-mini cropped to a quarter, rotated, shrunk and searched among
    1,239, the best 50 contained 82 % with 256 axes, 88 % with 512, 96.5 % with all 4,096 numbers. So the
    residual is included, too, mixed by a random rotation (signs and a Hadamard transform) of which every
    fifth number is kept: 95 %. (Ailon and Chazelle, The Fast Johnson-Lindenstrauss Transform, 2009.)
    Whitening found more copies but fewer similar images: mean average precision on Corel-1k fell from .43
    to .37.
    """
    centred = whole - vocabulary.mean
    main = vocabulary.principal @ centred
    residual = (centred - main @ vocabulary.principal).reshape(vocabulary.signs.shape)
    mixed = _hadamard(len(residual)) @ (residual * vocabulary.signs) @ _hadamard(len(residual[0]))
    reduced = np.zeros(PRINCIPAL + len(vocabulary.kept), dtype=np.float32)
    reduced[: len(main)] = main
    factor = np.sqrt(mixed.size / len(vocabulary.kept))
    reduced[PRINCIPAL:] = mixed.ravel()[vocabulary.kept] * factor
    reduced /= max(float(np.linalg.norm(reduced)), 1e-6)
    return reduced


def _nearest(points: NDArray[np.float32], centres: NDArray[np.float32]) -> NDArray[np.intp]:
    """Return the index of the nearest centre for each point."""
    closeness = points @ centres.T - np.square(centres).sum(axis=1) / 2
    nearest: NDArray[np.intp] = closeness.argmax(axis=1)
    return nearest


@cache
def _hadamard(size: int) -> NDArray[np.float32]:
    """Return the orthonormal Hadamard matrix (size, size); size is a power of two."""
    rows = [[1.0]]
    while len(rows) < size:
        rows = [row + row for row in rows] + [row + [-value for value in row] for row in rows]
    return np.array(rows, dtype=np.float32) / np.float32(np.sqrt(size))
