"""Relevance labels, on a simulated catalogue whose products are known."""

from __future__ import annotations

import io
import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lookalike import Library, Outcome, Query
from lookalike.catalogue.generate import write_catalogue
from lookalike.errors import UsageError
from lookalike.extractors import load
from lookalike.images.metadata.facts import Facts
from lookalike.query import Term
from lookalike.search import relevance
from lookalike.stores.interface import Entry, Space
from lookalike.stores.memory import MemoryStore
from lookalike.vectors import RELEVANCES
from lookalike.vectors.blocks import Floats
from lookalike.vectors.calibration import DECAY, Background, Unrelated
from lookalike.vectors.similarity import Similarity, normalise, similarity_matrix


def band(background: Background, value: float, kind: Similarity = "cosine") -> str:
    """Return the band of a similarity, judged from one side."""
    return RELEVANCES[bisect_right(background.thresholds(kind), value)]


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
        hits = library.search(Query((Term(id=1),)))
        assert len(hits) == 10 and {hit.relevance for hit in hits} == {None}
        assert hits.judged_by == ""
        with pytest.raises(
            UsageError, match="30 images with vectors to judge a similarity, and color has 25"
        ):
            library.search(Query((Term(id=1),), min_relevance="strong"))
        with pytest.raises(UsageError, match="minimum similarity instead"):
            library.similar_groups()


@pytest.mark.parametrize("similarity", ["cosine", "euclidean"])
def test_the_threshold_of_near_copies_is_where_the_label_changes(similarity: Similarity) -> None:
    draw = np.random.default_rng(1)
    query, sample = draw.normal(size=(1, 8)), draw.normal(size=(100, 8))
    background = background_of(query, sample, similarity)
    bar = background.thresholds(similarity)[-1]
    assert band(background, bar + 1e-6, similarity) == "near-copy"
    assert band(background, bar - 1e-6, similarity) != "near-copy"
    levels = [
        RELEVANCES.index(band(background, float(value), similarity))
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
    bands = [band(replace(even, count=count), at) for count in (40, 1000, 10_000, 10**6)]
    assert bands == ["strong", "strong", "plausible", "weak"]
    lower = 1 - 2**-5.5  # 158.7 · 3.5^-4.5 = 0.57 of 1,000 images, 0.023 of 40: not yet strong
    assert [band(replace(even, count=n), lower) for n in (40, 1000)] == ["plausible"] * 2


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
        assert band(background, sample[0, 0], similarity) == "weak"
        assert band(background, sample[0, 0] - 0.3, similarity) == "weak"


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
        assert band(distances, -((-squared) ** 0.5), "euclidean") == band(cosines, cosine)


def library_of(vectors: Floats, name: str = "near", revision: str = "1") -> Library:
    """Return a library in memory with these vectors in one space."""
    store = MemoryStore()
    with store.writer() as writer:
        root = writer.add_root(Path("/photos")).id
        key = f"{name}@{revision}"
        writer.add_space(
            Space(key=key, name=name, revision=revision, dim=vectors.shape[1], similarity="cosine")
        )
        ids = writer.put(
            [
                Entry(
                    root=root,
                    path=f"{i:03}.jpg",
                    size=9,
                    mtime_ns=1,
                    hash=i.to_bytes(32, "big"),
                    outcome=Outcome.INDEXED,
                    facts=Facts(width=4, height=3, format="jpeg"),
                    vectors={key: vector},
                )
                for i, vector in enumerate(np.asarray(vectors, np.float32))
            ]
        )
        writer.set_metadata({id: {"caption": "red shoe"} for id in ids[:5]})
    return Library(store)


def test_what_stands_out_to_an_unusual_query_alone_is_not_strong() -> None:
    """To the query, one image is far ahead of all others; to that image, every other one is nearer."""
    draw = np.random.default_rng(3)
    dim = 40
    crowd = np.zeros((200, dim))
    crowd[:, 0] = 1
    crowd[:, 2:] = draw.normal(scale=0.05, size=(200, dim - 2))
    crowd[0, 1] = 0.45
    query = np.eye(dim)[1] + np.pad(draw.normal(scale=0.01, size=dim - 2), (2, 0))
    twin = crowd[0] + np.pad(draw.normal(scale=0.01, size=dim - 2), (2, 0))
    library = library_of(normalise(crowd))
    (best, second) = library.search(Query((Term(vector=query.astype(np.float32)),), k=2)).hits
    assert best.path == "000.jpg" and best.score and second.score
    assert best.score > second.score + 0.3
    assert best.relevance in ("weak", "plausible")
    (same, _) = library.search(Query((Term(vector=twin.astype(np.float32)),), k=2)).hits
    assert (same.path, same.relevance) == ("000.jpg", "near-copy")


def test_relevance_says_what_it_judges_and_words_are_not_judged() -> None:
    library = library_of(normalise(np.random.default_rng(4).normal(size=(60, 6))))
    image = library.search(Query((Term(id=3),)))
    assert image.judged_by == image.ranked_by == "near"
    both = library.search(Query((Term(id=3), Term(text="shoe")), k=60))
    assert (both.judged_by, both.ranked_by) == ("near", "near+captions")
    assert all(hit.relevance and hit.similarity is None for hit in both)
    words = library.search(text="shoe")
    assert (words.judged_by, words.top_relevance) == ("", None)
    assert [(hit.relevance, hit.similarity) for hit in words] == [(None, None)] * 5
    for lowest in RELEVANCES:
        with pytest.raises(UsageError, match="has only words"):
            library.search(text="shoe", min_relevance=lowest)
    (failed,) = library.search_batch([Query((Term(text="shoe"),), min_relevance="strong")])
    assert "has only words" in failed.failure
    strong = library.search(Query((Term(id=3), Term(text="shoe")), k=60, min_relevance="strong"))
    assert strong[0].id == 3 and len(strong) < 60


def test_the_similarity_of_unrelated_images_is_read_from_the_tail() -> None:
    unrelated = Unrelated((0.2, 0.4, 0.6, 0.8, 0.9))
    assert unrelated.reached_by(1, 10_000) == pytest.approx(0.8)
    assert unrelated.reached_by(100, 10_000) == pytest.approx(0.4)
    between = 1 - math.sqrt(0.4 * 0.2)  # half a power of ten: the middle in logarithms
    assert unrelated.reached_by(1, 10**3.5) == pytest.approx(between)
    assert unrelated.reached_by(1, 10**7) == pytest.approx(0.975)  # half the distance each time
    assert unrelated.reached_by(2000, 10_000) == pytest.approx(0.2)
    few = unrelated.reached_by(1, 40)
    assert few == unrelated.reached_by(1, 1000)


def test_a_hit_must_be_alike_in_itself_where_that_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = normalise(np.random.default_rng(5).normal(size=(80, 40)))
    query = normalise(vectors[:1] + 0.8 * vectors[1:2])[0]
    term = Query((Term(vector=query.astype(np.float32)),), k=1)
    assert library_of(vectors).search(term)[0].relevance == "strong"
    monkeypatch.setattr(
        relevance, "_shipped", lambda: {"near@1": Unrelated((0.9, 0.95, 0.97, 0.98, 0.99))}
    )
    assert library_of(vectors).search(term)[0].relevance == "weak"
    assert library_of(vectors, revision="2").search(term)[0].relevance == "strong"
    assert library_of(vectors).search(Query((Term(id=1),), k=1))[0].relevance == "near-copy"


def test_what_resembles_images_of_other_kinds_as_much_is_not_strong(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    vectors = normalise(np.random.default_rng(5).normal(size=(80, 40)))
    query = normalise(vectors[:1] + 0.8 * vectors[1:2])[0]
    term = Query((Term(vector=query.astype(np.float32)),), k=1)
    nearer = normalise(query + 0.02 * vectors[2:6])
    for references, found in (
        (nearer[:1], "strong"),  # a single one may be of the same kind
        (nearer, "plausible"),
        (-nearer, "strong"),
    ):
        monkeypatch.setattr(relevance, "_references", lambda given=references: {"near@1": given})
        assert library_of(vectors).search(term)[0].relevance == found
        assert library_of(vectors, revision="2").search(term)[0].relevance == "strong"
    monkeypatch.setattr(relevance, "_references", lambda: {"near@1": normalise(nearer)})
    assert library_of(vectors).search(Query((Term(id=1),), k=1))[0].relevance == "near-copy"


@pytest.mark.parametrize("name", ["color", "histogram"])
def test_reference_images_of_the_current_revision_are_shipped(name: str) -> None:
    extractor = load(name)
    space = Space("", name, extractor.revision, dim=extractor.dim, similarity="cosine")
    found = relevance.reference_of(space)
    assert found is not None and found.shape[1] == extractor.dim and len(found) >= 300
    assert relevance.reference_of(replace(space, revision="other")) is None


def test_the_built_in_network_has_its_own_distribution() -> None:
    extractor = load("lookalike")
    space = Space(
        key="", name="lookalike", revision=extractor.revision, dim=384, similarity="cosine"
    )
    found = relevance.unrelated_of(space)
    assert found is not None
    assert (
        sorted(found.cosines) == list(found.cosines)
        and -1 < found.cosines[0] < found.cosines[-1] < 1
    )
    regions = replace(
        space,
        name="lookalike+regions",
        revision=f"{extractor.revision}+1",
        fitted={"boxes": np.ones((14, 4))},
    )
    assert relevance.unrelated_of(regions) == found
    assert relevance.unrelated_of(replace(space, revision="other")) is None
