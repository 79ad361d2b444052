"""Relevance labels, on a simulated catalogue whose products are known."""

from __future__ import annotations

import io
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lookalike import Library, Outcome, Query
from lookalike.catalogue.generate import write_catalogue
from lookalike.query import Term
from lookalike.vectors.blocks import Floats
from lookalike.vectors.calibration import DECAY, RELEVANCES, Background
from lookalike.vectors.similarity import Similarity, normalise, similarity_matrix


def background_of(query: Floats, sample: Floats, similarity: Similarity) -> Background:
    """Return the background of one query in a sample."""
    found = similarity_matrix(query, sample, similarity=similarity)
    starts = np.zeros(1, np.int64)
    (background,) = Background.from_similarities(found, starts, similarity=similarity, count=100)
    assert background is not None
    return background


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    folder = tmp_path_factory.mktemp("relevance") / "shop"
    write_catalogue(folder, products=40, views=4, size=224)
    with Library.create(folder) as library:
        library.add([folder], extractors=["color", "shape"])
        yield library


def kind(path: str) -> str:
    return path.partition("/")[0]


def test_a_higher_relevance_is_more_often_the_same_kind_of_object(shop: Library) -> None:
    hits: Counter[str] = Counter()
    right: Counter[str] = Counter()
    ids = [image.id for image in shop.files({Outcome.INDEXED})]
    assert len(ids) == 160
    queries = [Query((Term(id=i),), k=160, extractors=("shape",)) for i in ids]
    for answer in shop.search_batch(queries):
        first, *others = answer.hits
        assert first.relevance == "near-copy"
        for hit in others:
            hits[str(hit.relevance)] += 1
            right[str(hit.relevance)] += kind(hit.path) == kind(first.path)
    precision = [right[band] / hits[band] for band in ("weak", "plausible", "strong")]
    assert precision == sorted(precision)
    assert precision[2] > 0.8 > 10 * precision[0]


def test_a_resaved_image_is_a_near_copy_and_another_is_not(shop: Library) -> None:
    files = sorted(shop.folder.parent.rglob("*-0.jpg"))[::3]
    queries = []
    for half in (False, True):
        for file in files:
            out = io.BytesIO()
            with Image.open(file) as image:
                size = (image.width // 2, image.height // 2) if half else image.size
                small = image.resize(size, Image.Resampling.LANCZOS)
                small.save(out, "JPEG", quality=90 if half else 50)
            queries.append(Query((Term(out.getvalue()),), k=160))
    mine = others = 0
    for file, answer in zip(files * 2, shop.search_batch(queries), strict=True):
        for hit in answer.hits:
            if hit.file.samefile(file):
                mine += hit.relevance == "near-copy"
            else:
                others += hit.relevance == "near-copy"
    assert mine >= 0.8 * len(queries)
    assert others <= 0.001 * 159 * len(queries)


def test_a_library_too_small_to_judge_has_no_relevance(tmp_path: Path) -> None:
    write_catalogue(tmp_path, products=5, views=5, size=64)
    with Library.create(tmp_path) as library:
        library.add([tmp_path], extractors=["color"])
        hits = library.search(Query((Term(id=1),), min_relevance="strong")).hits
    assert len(hits) == 10 and {hit.relevance for hit in hits} == {None}


@pytest.mark.parametrize("similarity", ["cosine", "euclidean"])
def test_the_threshold_of_near_copies_is_where_the_label_changes(similarity: Similarity) -> None:
    draw = np.random.default_rng(1)
    query, sample = draw.normal(size=(1, 8)), draw.normal(size=(100, 8))
    background = background_of(query, sample, similarity)
    bar = background.thresholds(similarity)[-1]
    assert background.relevance(bar + 1e-6, similarity) == "near-copy"
    assert background.relevance(bar - 1e-6, similarity) != "near-copy"
    levels = [
        RELEVANCES.index(background.relevance(value, similarity))
        for value in np.linspace(-1 if similarity == "cosine" else -9, background.identity, 300)
    ]
    assert levels == sorted(levels) and levels[0] == 0 and levels[-1] == 3
    (again,) = Background.from_similarities(
        (query @ sample.T / np.linalg.norm(sample, axis=1) / np.linalg.norm(query))
        if similarity == "cosine"
        else -np.linalg.norm(query - sample, axis=1)[None],
        np.zeros(1, np.int64),
        similarity=similarity,
        count=100,
    )
    assert again is not None and again.median == pytest.approx(background.median, abs=1e-5)


def test_the_expected_number_of_unrelated_images_falls_by_a_constant_factor() -> None:
    """The distance to identity halves from the median (1) to the 84 % quantile (1/2): one step."""
    found = np.linspace(-1, 1, 101)[None]  # its median is 0
    (background,) = Background.from_similarities(
        found, np.zeros(1, np.int64), similarity="cosine", count=2000
    )
    assert background is not None
    even = replace(background, upper=0.5, highest=0.995)  # so that these are no near-copies
    assert even.reached_by(0.1587 * 2000) == pytest.approx(0.5)
    assert even.reached_by(0.1587 * 2000 / DECAY) == pytest.approx(0.75)
    assert even.reached_by(0.1587 * 2000 / DECAY**4) == pytest.approx(1 - 2**-5)
    assert replace(even, count=40).reached_by(0.1587 * 40) == pytest.approx(0.5)
    assert even.reached_by(1e-12) == math.inf
    at = 1 - 2**-7.6  # 158.7 · 3.5^-6.6 = 0.041 of 1,000 images
    bands = [
        replace(even, count=count).relevance(at, "cosine") for count in (40, 1000, 10_000, 10**6)
    ]
    assert bands == ["strong", "strong", "plausible", "weak"]
    lower = 1 - 2**-5.5  # 158.7 · 3.5^-4.5 = 0.57 of 1,000 images, 0.023 of 40: not yet strong
    assert [replace(even, count=n).relevance(lower, "cosine") for n in (40, 1000)] == [
        "plausible"
    ] * 2


@pytest.mark.parametrize(("similarity", "identity"), [("cosine", 1.0), ("euclidean", 0.0)])
def test_if_all_images_are_equally_similar_none_is_relevant(
    similarity: Similarity, identity: float
) -> None:
    for all_have in (identity, identity - 0.5):
        sample = np.full((1, 100), all_have)
        sample = -np.sqrt(-sample) if similarity == "euclidean" else sample
        (background,) = Background.from_similarities(
            sample, np.zeros(1, np.int64), similarity=similarity, count=1000
        )
        assert background is not None
        assert background.relevance(sample[0, 0], similarity) == "weak"
        assert background.relevance(sample[0, 0] - 0.3, similarity) == "weak"


def test_distances_are_judged_as_the_equivalent_cosines() -> None:
    """Of unit vectors |a - b|² = 2 - 2 cos."""
    draw = np.random.default_rng(2)
    query, sample = normalise(draw.normal(size=(1, 8))), normalise(draw.normal(size=(100, 8)))
    cosines, distances = (
        background_of(query, sample, similarity) for similarity in ("cosine", "euclidean")
    )
    for chance in (30, 1, 0.05):
        squared = 2 * cosines.reached_by(chance) - 2
        assert distances.reached_by(chance) == pytest.approx(squared, rel=1e-3)
    for cosine in (0.2, 0.6, 0.9, 0.99):
        squared = 2 * cosine - 2
        assert distances.relevance(-((-squared) ** 0.5), "euclidean") == cosines.relevance(
            cosine, "cosine"
        )
