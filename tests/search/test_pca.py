"""Spaces reduced by PCA, indexed and imported."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lookalike import Library, Query
from lookalike.errors import UsageError
from lookalike.extractors import load
from lookalike.extractors.registry import parse
from lookalike.query import Term


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(24):
        draw = np.random.default_rng(number)
        pixels = draw.integers(0, 256, (6, 6, 3), np.uint8).repeat(16, axis=0).repeat(16, axis=1)
        Image.fromarray(pixels).save(folder / f"{number:02d}.png")
    return folder


def by_hand(vectors: np.ndarray, kept: int) -> np.ndarray:
    """Reduce unit vectors by a singular value decomposition, and normalise again."""
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    centred = unit - unit.mean(axis=0)
    turned = centred @ np.linalg.svd(centred, full_matrices=False)[2][:kept].T
    return np.asarray(turned / np.linalg.norm(turned, axis=1, keepdims=True))


def test_a_pca_space_holds_the_principal_components_of_the_full_one(photos: Path) -> None:
    with Library.create(photos) as library:
        library.add([photos], extractors=["color", "color+pca8"])
        with library.snapshot() as snapshot:
            whole, short = snapshot.spaces()
            ids = snapshot.sample(whole.key, whole.count)
            full, few = snapshot.vectors(whole.key, ids), snapshot.vectors(short.key, ids)
        assert short.projection is not None
        expected = by_hand(full, 8)
        assert few @ few.T == pytest.approx(expected @ expected.T, abs=1e-4)
        centred = full - full.mean(axis=0)
        spread = np.linalg.svd(centred, compute_uv=False) ** 2
        assert short.projection.retained == pytest.approx(spread[:8].sum() / spread.sum(), abs=1e-4)
        hits = library.search(Query.of(photos / "07.png", extractor="color+pca8", k=3)).hits
        assert hits[0].path == "07.png" and hits[0].similarity == pytest.approx(1, abs=1e-5)


def test_new_images_are_projected_on_the_stored_axes(photos: Path) -> None:
    with Library.create(photos) as library:
        library.add([photos], extractors=["color+pca8"])
    late = photos / "late.png"
    Image.open(photos / "03.png").resize((90, 90)).save(late)
    with Library.open(photos) as library:
        before = library.info().spaces[0].key
        assert library.add([photos]).new == 1
        (space,) = library.info().spaces
        assert (space.key, space.count) == (before, 25)
        assert "03.png" in [h.path for h in library.search(Query.of(late, k=2)).hits]


def test_more_components_than_dimensions_or_images_are_refused_in_one_line(photos: Path) -> None:
    for name in ("color+pca384", "color+pca0"):
        with pytest.raises(UsageError, match=r"color vectors have 384 dimensions.*keep 1 to 383"):
            load(name)
    with pytest.raises(UsageError, match="keypoints is fitted to the library itself"):
        load("keypoints+pca8")
    with Library.create(photos) as library:
        with pytest.raises(UsageError, match="24 images are too few for 40 principal components"):
            library.add([photos], extractors=["color+pca40"])
        assert library.info().spaces == ()


def test_indexing_with_a_fitted_extractor_can_be_estimated(photos: Path) -> None:
    with Library.create(photos) as library:
        assert library.estimate([photos], extractors=["color+pca8"]).sampled == 24
        assert library.info().spaces == ()


def test_a_name_with_a_suffix_is_one_name() -> None:
    assert parse("color+pca16,shape") == ["color+pca16", "shape"]
    assert (load("color+pca16").name, load("color+pca16").dim) == ("color+pca16", 16)


def test_imported_vectors_are_reduced_and_queried_in_full_length(tmp_path: Path) -> None:
    draw = np.random.default_rng(5)
    vectors = (draw.normal(size=(60, 5)) @ draw.normal(size=(5, 20)) + 0.5).astype(np.float32)
    file = tmp_path / "clip.npy"
    np.save(file, vectors)
    with Library.create(tmp_path) as library:
        imported = library.vectors.import_vectors(file, "shots", pca=4)
        projection = imported.space.projection
        assert projection is not None and (projection.input_dim, imported.space.dim) == (20, 4)
        found = library.search(Query((Term(vector=vectors[9]),), extractors=("shots",), k=10)).hits
        expected = by_hand(vectors, 4)
        order = np.argsort(-(expected @ expected[9]))[:10]
        assert [hit.path for hit in found] == [f"shots/{row}" for row in order]
        again = library.vectors.import_vectors(file, "shots")  # along the same axes
        assert (again.space.key, again.images) == (imported.space.key, 60)
        assert (
            library.search(Query((Term(vector=vectors[9]),), extractors=("shots",), k=10)).hits
            == found
        )
        with pytest.raises(UsageError, match="keep 4 principal components"):
            library.vectors.import_vectors(file, "shots", pca=5)
        for wanted in (20, 21):
            with pytest.raises(UsageError, match="have 20 dimensions"):
                library.vectors.import_vectors(file, "other", pca=wanted)
        np.save(file, vectors[:3])
        with pytest.raises(UsageError, match="3 vectors are too few for 4 principal components"):
            library.vectors.import_vectors(file, "other", pca=4)
        assert [space.name for space in library.info().spaces] == ["shots"]
