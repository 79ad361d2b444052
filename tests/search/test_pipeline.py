"""Every way of combining terms, spaces and captions, against NumPy on the stored vectors."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.search.conftest import COUNT, SmallLibrary

from lookalike.errors import UsageError
from lookalike.query import Hits, Query, Term

Vector = NDArray[np.float64]


def unit(vector: Vector) -> Vector:
    return vector / np.linalg.norm(vector)


def cosines(small: SmallLibrary, query: Vector) -> dict[int, float]:
    return {i + 1: float(unit(small.near[i]) @ unit(query)) for i in range(COUNT)}


def distances(small: SmallLibrary, query: Vector) -> dict[int, float]:
    return {i + 1: -float(np.linalg.norm(small.far[i] - query)) for i in range(COUNT)}


def to_one(scores: Mapping[int, float]) -> dict[int, float]:
    low, high = min(scores.values()), max(scores.values())
    return {id: (score - low) / (high - low) for id, score in scores.items()}


def assert_hits(found: Hits, scores: Mapping[int, float]) -> None:
    """Assert that the hits are those with the best scores, in their order."""
    assert not found.failure
    expected = sorted(scores, key=lambda id: -scores[id])[: len(found)]
    given = [hit.score for hit in found.hits]
    assert given == pytest.approx([scores[id] for id in expected], abs=2e-5)
    assert {hit.id: hit.score for hit in found.hits} == pytest.approx(
        {hit.id: scores[hit.id] for hit in found.hits}, abs=2e-5
    )
    assert [hit.rank for hit in found.hits] == list(range(1, len(found) + 1))
    similarities = [hit.score if found.similarity else None for hit in found.hits]
    assert [hit.similarity for hit in found.hits] == similarities


def one(small: SmallLibrary, *terms: Term, **options: object) -> Hits:
    return small.search(Query(terms, **options))[0]  # type: ignore[arg-type]


def test_weights_and_negative_terms_are_summed_to_one_vector(small: SmallLibrary) -> None:
    terms = (Term(id=1, weight=2), Term(id=5), Term(id=9, weight=-0.5))
    found = one(small, *terms, k=COUNT, extractors=("near",))
    assert_hits(found, cosines(small, 2 * small.near[0] + small.near[4] - 0.5 * small.near[8]))
    assert (found.ranked_by, found.similarity, found.exact, found.searched_count) == (
        "near", "cosine", True, COUNT,
    )  # fmt: skip


def test_unnormalised_vectors_are_averaged_with_their_lengths(small: SmallLibrary) -> None:
    found = one(small, Term(id=1, weight=3), Term(id=5), k=COUNT, extractors=("far",))
    assert_hits(found, distances(small, (3 * small.far[0] + small.far[4]) / 4))


def test_two_spaces_are_fused_on_one_scale(small: SmallLibrary) -> None:
    found = one(small, Term(id=3), k=COUNT, extractors=("near", "far"))
    near, far = cosines(small, small.near[2]), distances(small, small.far[2])
    scores = {id: 0.5 * to_one(near)[id] + 0.5 * to_one(far)[id] for id in near}
    assert_hits(found, scores)
    assert (found.ranked_by, found.similarity) == ("near+far", None)
    assert found.hits[0].scores_by_space == pytest.approx({"near": 1.0, "far": 0.0}, abs=1e-6)


def test_two_spaces_are_fused_by_ranks(small: SmallLibrary) -> None:
    found = one(small, Term(id=3), k=COUNT, extractors=("near", "far"), fusion="ranks")
    scores = dict.fromkeys(range(1, COUNT + 1), 0.0)
    for part in (cosines(small, small.near[2]), distances(small, small.far[2])):
        rounded = {id: float(np.float32(score)) for id, score in part.items()}
        for rank, id in enumerate(sorted(part, key=lambda id: (-rounded[id], id)), start=1):
            scores[id] += 0.5 / (60 + rank)
    assert_hits(found, scores)


def bm25(small: SmallLibrary, words: str) -> dict[int, float]:
    with small.store.snapshot() as snapshot:
        ids, scores = snapshot.search_text(words, COUNT)
    return dict(zip(ids.tolist(), scores.tolist(), strict=True))


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_alpha_weights_images_against_captions(small: SmallLibrary, alpha: float) -> None:
    found = one(
        small, Term(id=3), Term(text="boot green"), k=COUNT, extractors=("near",), alpha=alpha
    )
    captions = dict.fromkeys(range(1, COUNT + 1), 0.0) | bm25(small, "boot green")
    images, words = to_one(cosines(small, small.near[2])), to_one(captions)
    assert_hits(found, {id: alpha * images[id] + (1 - alpha) * words[id] for id in images})
    assert found.ranked_by == "near+captions"


def test_the_weight_of_an_image_counts_against_text(small: SmallLibrary) -> None:
    found = one(small, Term(id=3, weight=2), Term(text="boot"), k=COUNT, extractors=("near",))
    captions = dict.fromkeys(range(1, COUNT + 1), 0.0) | bm25(small, "boot")
    images, words = to_one(cosines(small, small.near[2])), to_one(captions)
    assert_hits(found, {id: (2 * images[id] + words[id]) / 3 for id in images})


@pytest.mark.parametrize("turned", [False, True])
def test_a_negative_text_lowers_scores_in_any_order(small: SmallLibrary, turned: bool) -> None:
    terms = [Term(text="red"), Term(text="sun", weight=-0.5)]
    found = one(small, *(terms[::-1] if turned else terms), k=COUNT)
    red, sun = bm25(small, "red"), bm25(small, "sun")
    assert 0 < len(sun) < len(red) < COUNT
    assert_hits(found, {id: score - 0.5 * sun.get(id, 0.0) for id, score in red.items()})
    assert len(found) == len(red) and found.ranked_by == "captions"
    assert all(hit.relevance is None for hit in found.hits)


def test_a_negative_text_beside_an_image(small: SmallLibrary) -> None:
    found = one(small, Term(id=3), Term(text="sun", weight=-1), k=COUNT, extractors=("near",))
    captions = dict.fromkeys(range(1, COUNT + 1), 0.0)
    captions |= {id: -score for id, score in bm25(small, "sun").items()}
    images, words = to_one(cosines(small, small.near[2])), to_one(captions)
    assert_hits(found, {id: 0.5 * images[id] + 0.5 * words[id] for id in images})


def test_a_filter_gives_k_hits_if_there_are_k(small: SmallLibrary) -> None:
    allowed = {i + 1 for i, price in enumerate(small.prices) if price < 20}
    assert 3 < len(allowed) < COUNT - 3
    scores = {id: s for id, s in cosines(small, small.near[2]).items() if id in allowed}
    for k in (3, len(allowed), COUNT):
        found = one(small, Term(id=3), k=k, where="price < 20", extractors=("near",))
        assert len(found) == min(k, len(allowed)) and found.searched_count == len(allowed)
        assert_hits(found, scores)
    nothing = one(small, Term(id=3), where="price > 1000")
    assert (len(nothing), nothing.searched_count) == (0, 0)
    words = one(small, Term(text="red"), k=COUNT, where="price < 20")
    assert {hit.id for hit in words.hits} == allowed & set(bm25(small, "red"))


def test_near_copies_are_counted_in_the_first_of_them(small: SmallLibrary) -> None:
    plain = one(small, Term(id=8), k=10, extractors=("near",))
    assert {hit.id for hit in plain.hits[:5]} == {8, 41, 42, 43, 44}
    assert all(hit.relevance == "near-copy" for hit in plain.hits[:5])
    found = one(small, Term(id=8), k=10, extractors=("near",), collapse_duplicates=True)
    assert (found.hits[0].id, found.hits[0].copies) == (8, 4)
    assert [hit.id for hit in found.hits[1:6]] == [hit.id for hit in plain.hits[5:]]
    assert len(found) == 10


def test_diverse_hits_follow_the_mmr_formula(small: SmallLibrary) -> None:
    weight = 0.4
    found = one(small, Term(id=3), k=8, extractors=("near",), diversity=weight)
    scores = cosines(small, small.near[2])
    chosen = [max(scores, key=lambda id: scores[id])]
    while len(chosen) < 8:

        def gain(id: int) -> float:
            likeness = max(float(small.near[id - 1] @ small.near[c - 1]) for c in chosen)
            return (1 - weight) * scores[id] - weight * likeness

        chosen.append(max((id for id in scores if id not in chosen), key=gain))
    assert [hit.id for hit in found.hits] == chosen


def test_a_batch_gives_the_hits_of_single_queries(small: SmallLibrary) -> None:
    queries = [
        Query((Term(id=3),), k=4),
        Query((Term(id=3),), k=50),
        Query((Term(id=4),), k=5, extractors=("far",)),
        Query((Term(id=4),), k=5, extractors=("far", "near")),
        Query((Term(id=5), Term(id=6, weight=-1)), similarity="euclidean"),
        Query((Term(id=7),), where="price < 50"),
        Query((Term(id=8),), where="price < 50", diversity=0.5),
        Query((Term(text="red boot"),)),
        Query((Term(text="red"), Term(id=9)), alpha=0.2, fusion="ranks"),
        Query((Term(id=8),), collapse_duplicates=True),
        Query((Term(id=9),), min_relevance="strong"),
        Query((Term(id=3, weight=3.3),), k=4),
        Query((Term(id=3), Term(id=11, weight=0.3)), extractors=("near",)),
        Query((Term(vector=np.linspace(-1, 1, 6, dtype=np.float32)),), extractors=("near",)),
    ]
    batch = small.search(*queries)
    for query, hits in zip(queries, batch, strict=True):
        (alone,) = small.search(query)
        assert (alone.hits, alone.ranked_by, alone.searched_count) == (
            hits.hits,
            hits.ranked_by,
            hits.searched_count,
        )
        assert alone.top_relevance == hits.top_relevance


def test_a_query_that_fails_does_not_end_a_batch(small: SmallLibrary) -> None:
    good, bad = Query((Term(id=3),)), Query((Term(id=999),))
    results = small.search(good, bad, Query((Term(id=3),), where="prize < 3"), tolerant=True)
    assert results[0].hits == small.search(good)[0].hits
    assert (results[1].hits, results[1].failure) == ((), "the library has no image with the id 999")
    assert "no field prize" in results[2].failure and "price" in results[2].failure
    with pytest.raises(UsageError, match="the id 999"):
        small.search(good, bad)


def test_hits_below_min_relevance_are_left_out(small: SmallLibrary) -> None:
    plain = small.search(Query((Term(id=20),), k=COUNT, extractors=("near",)))[0]
    kinds = [hit.relevance for hit in plain.hits]
    assert kinds[0] == "near-copy" and kinds[-1] == "weak"
    for lowest in ("near-copy", "strong", "plausible", "weak"):
        found = one(small, Term(id=20), k=COUNT, extractors=("near",), min_relevance=lowest)
        bands = ["weak", "plausible", "strong", "near-copy"]
        kept = [
            hit for hit in plain.hits if bands.index(hit.relevance or "") >= bands.index(lowest)
        ]
        assert [hit.id for hit in found.hits] == [hit.id for hit in kept]
    only = one(small, Term(id=20), extractors=("near",), where="price < 0", min_relevance="strong")
    assert (len(only), only.top_relevance) == (0, None)
    others = f"id <> 20 and id <> {plain.hits[1].id}"
    rest = one(small, Term(id=20), extractors=("near",), where=others, min_relevance="near-copy")
    assert len(rest) == 0 and rest.top_relevance in ("strong", "plausible", "weak")
