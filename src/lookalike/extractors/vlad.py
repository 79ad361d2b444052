"""Keypoints as one vector of fixed length: how they differ from typical keypoints (VLAD).

Jégou, Douze, Schmid and Pérez, Aggregating local descriptors into a compact image representation,
CVPR 2010; with the normalisation of Arandjelović and Zisserman, All about VLAD, CVPR 2013.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from typing import Self

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import UsageError
from lookalike.extractors.interface import RunsIn, Vectors
from lookalike.extractors.keypoints import PIXEL_SPECS, Detector, Keypoints, detect, directions
from lookalike.images.pixel_spec import Pixels
from lookalike.vectors.kmeans import kmeans
from lookalike.vectors.pca import leading_axes, principal_axes
from lookalike.vectors.similarity import Similarity

# Twice as many words found no more among the best 50 once shortened, at twice the size.
WORDS = 64
DEPTH = 64
PRINCIPAL = 256
MIXED = 768

_SAMPLE = 100_000


@dataclass(frozen=True, slots=True, eq=False)
class Vocabulary:
    """What is learnt from a sample of pictures; about 4 MB, and the same for the same sample.

    centre     (d,) float32: the mean descriptor
    depth      (d, 64) float32: the descriptors' principal directions
    words      (64, 64) float32: typical descriptors; fewer rows if the sample has fewer
    mean       (4096,) float32: the mean VLAD
    principal  (256, 4096) float32: the VLADs' principal directions; fewer rows if the sample is small
    signs      (64, 64) int8: +1 and -1 at random, for the rest that these leave
    kept       (768,) int16: the numbers that are kept of that rest, once mixed
    """

    centre: NDArray[np.float32]
    depth: NDArray[np.float32]
    words: NDArray[np.float32]
    mean: NDArray[np.float32]
    principal: NDArray[np.float32]
    signs: NDArray[np.int8]
    kept: NDArray[np.int16]

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def fingerprint(self) -> str:
        """Twelve hexadecimal digits that change with any number in it."""
        digest = hashlib.sha256()
        for name, array in self.arrays().items():
            digest.update(f"{name}{array.shape}{array.dtype.str}".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()[:12]


class KeypointVectors:
    """Which keypoints a picture has, wherever they are: 1,024 numbers.

    Finds pictures of the same thing, cropped, turned or scaled, where `verification` can confirm
    it. It must be fitted to a sample of pictures first; about 500 are enough, and any number will
    do. A picture without keypoints gives the zero vector.
    """

    dim = PRINCIPAL + MIXED
    similarity: Similarity = "cosine"
    runs_in: RunsIn = "worker"
    sample_size = 512  # a vocabulary needs some 100,000 keypoints, and an image has hundreds

    def __init__(self, detector: str = "sift", *, vocabulary: Vocabulary | None = None) -> None:
        if detector not in ("sift", "orb"):
            raise UsageError(f"keypoints are found by sift or orb, not by {detector!r}")
        self._detector: Detector = "orb" if detector == "orb" else "sift"
        self._vocabulary = vocabulary
        self.name = "keypoints" if detector == "sift" else f"keypoints-{detector}"
        self.pixels = PIXEL_SPECS[self._detector]
        # Vectors by different vocabularies must never be compared.
        self.revision = f"1-{vocabulary.fingerprint()}" if vocabulary else "1"

    @property
    def detector(self) -> Detector:
        """What finds the keypoints."""
        return self._detector

    @property
    def fitted(self) -> Mapping[str, NDArray[np.generic]] | None:
        """The arrays of the vocabulary, None before there is one."""
        return self._vocabulary.arrays() if self._vocabulary else None

    def fit(self, images: Sequence[Pixels]) -> Self:
        """Learns the vocabulary from grey pictures as `pixels` describes; at least one."""
        if not images:
            raise UsageError(f"{self.name} learns from the pictures first: give it at least one")
        found = [detect(image, detector=self._detector) for image in images]
        return type(self)(self._detector, vocabulary=learn([directions(each) for each in found]))

    def with_fitted(self, fitted: Mapping[str, NDArray[np.generic]]) -> Self:
        """The same extractor with the arrays that `fitted` once gave."""
        names = [field.name for field in fields(Vocabulary)]
        if missing := [name for name in names if name not in fitted]:
            raise UsageError(
                f"what {self.name} learnt is incomplete ({', '.join(missing)} missing): "
                f"index again with --with {self.name}"
            )
        types = {"signs": np.int8, "kept": np.int16}
        arrays = {name: np.asarray(fitted[name], types.get(name, np.float32)) for name in names}
        return type(self)(self._detector, vocabulary=Vocabulary(**arrays))

    def extract(self, images: Sequence[Pixels]) -> Vectors:
        """Grey pictures, no side over `pixels.max_side` → (n, 1024) float32, unit length or zero."""
        return self.describe([detect(image, detector=self._detector) for image in images])

    def describe(self, found: Sequence[Keypoints]) -> Vectors:
        """The same from keypoints that are at hand already."""
        if self._vocabulary is None:
            raise UsageError(f"{self.name} has not learnt its vocabulary: call fit(images) first")
        vectors = np.zeros((len(found), self.dim), dtype=np.float32)
        for row, keypoints in zip(vectors, found, strict=True):
            if len(keypoints):
                row[:] = shorten(vlad(directions(keypoints), self._vocabulary), self._vocabulary)
        return vectors


def keypoints_by_orb() -> KeypointVectors:
    """The fast variant, by ORB."""
    return KeypointVectors("orb")


def learn(samples: Sequence[NDArray[np.float32]], *, words: int = WORDS) -> Vocabulary:
    """Descriptors of each picture of a sample, (n_i, d) float32 each → a vocabulary."""
    chance = np.random.default_rng(0)
    size = samples[0].shape[1]
    everything = np.concatenate(samples) if samples else np.zeros((0, size), np.float32)
    if len(everything) > _SAMPLE:
        everything = everything[np.sort(chance.choice(len(everything), _SAMPLE, replace=False))]
    if not len(everything):
        # A sample of flat pictures: one word amidst all descriptors still tells pictures apart.
        everything = np.zeros((1, size), dtype=np.float32)
    axes = principal_axes(everything)
    centre, depth = axes.mean, np.ascontiguousarray(axes.axes[:DEPTH].T)
    vocabulary = Vocabulary(
        centre=centre,
        depth=depth,
        words=kmeans((everything - centre) @ depth, words)[0],
        mean=np.zeros(words * DEPTH, dtype=np.float32),
        principal=np.zeros((0, words * DEPTH), dtype=np.float32),
        signs=(chance.integers(0, 2, (words, DEPTH)) * 2 - 1).astype(np.int8),
        kept=np.sort(chance.permutation(words * DEPTH)[:MIXED]).astype(np.int16),
    )
    whole = np.stack([vlad(one, vocabulary) for one in samples if len(one)] or [vocabulary.mean])
    leading = leading_axes(whole, PRINCIPAL)
    principal = leading.axes[np.sqrt(leading.variances * len(whole)) > 1e-4]
    learnt = vocabulary.arrays() | {"mean": leading.mean, "principal": principal}
    return Vocabulary(**learnt)


def vlad(described: NDArray[np.float32], vocabulary: Vocabulary) -> NDArray[np.float32]:
    """Descriptors of one picture (n, d) → (4096,) float32 of unit length, or zero.

    For each word, the sum of the differences between it and the descriptors nearest to it, brought
    to unit length, so that a repeated pattern does not drown the rest; then the signed square root
    of every number, for the same reason.
    """
    depth = vocabulary.depth.shape[1]
    sums = np.zeros((vocabulary.mean.size // depth, depth), dtype=np.float32)
    if len(described):
        points = np.matmul(described - vocabulary.centre, vocabulary.depth, dtype=np.float32)
        nearest = _nearest(points, vocabulary.words)
        member = np.zeros((len(vocabulary.words), len(points)), dtype=np.float32)
        member[nearest, np.arange(len(points))] = 1
        differences = member @ (points - vocabulary.words[nearest])
        sums[: len(differences)] = differences
    sums /= np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-6)
    sums = np.sign(sums) * np.sqrt(np.abs(sums))
    sums /= max(float(np.linalg.norm(sums)), 1e-6)
    return sums.ravel()


def shorten(whole: NDArray[np.float32], vocabulary: Vocabulary) -> NDArray[np.float32]:
    """(4096,) → (1024,) float32 of unit length, or zero.

    Principal directions alone keep what pictures of the sample have in common and drop what makes
    any other picture itself. Of 200 pictures of coco-mini cropped to a quarter, turned, shrunk and
    looked for among 1,239, the best 50 held 82 % by 256 of them, 88 % by 512, 96.5 % by all 4,096
    numbers. So the rest that they leave goes in as well, mixed by a random rotation (signs and a
    Hadamard transform) of which every fifth number is kept: 95 %. (Ailon and Chazelle, The Fast
    Johnson-Lindenstrauss Transform, 2009.) Whitening found more copies and lost likeness: mean
    average precision on Corel-1k fell from .43 to .37.
    """
    centred = whole - vocabulary.mean
    main = vocabulary.principal @ centred
    rest = (centred - main @ vocabulary.principal).reshape(vocabulary.signs.shape)
    mixed = _hadamard(len(rest)) @ (rest * vocabulary.signs) @ _hadamard(len(rest[0]))
    short = np.zeros(PRINCIPAL + len(vocabulary.kept), dtype=np.float32)
    short[: len(main)] = main
    short[PRINCIPAL:] = mixed.ravel()[vocabulary.kept] * np.sqrt(mixed.size / len(vocabulary.kept))
    short /= max(float(np.linalg.norm(short)), 1e-6)
    return short


def _nearest(points: NDArray[np.float32], centres: NDArray[np.float32]) -> NDArray[np.intp]:
    """(n,): which centre is nearest to each point."""
    closeness = points @ centres.T - np.square(centres).sum(axis=1) / 2
    nearest: NDArray[np.intp] = closeness.argmax(axis=1)
    return nearest


@cache
def _hadamard(size: int) -> NDArray[np.float32]:
    """(size, size): rows of ±1 at right angles, scaled to a rotation; size is a power of two."""
    rows = [[1.0]]
    while len(rows) < size:
        rows = [row + row for row in rows] + [row + [-one for one in row] for row in rows]
    return np.array(rows, dtype=np.float32) / np.float32(np.sqrt(size))
