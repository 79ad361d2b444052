"""Properties of the hits of any query."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.search.conftest import COUNT, WORDS, SmallLibrary

from lookalike.query import Query, Term
from lookalike.search.relevance import at_least

weights = st.sampled_from([-1.0, -0.5, 0.5, 1.0, 2.0])
images = st.builds(Term, id=st.integers(1, COUNT), weight=weights)
words = st.builds(
    Term,
    text=st.lists(st.sampled_from(WORDS), min_size=1, max_size=2).map(" ".join),
    weight=weights,
)
queries = st.builds(
    Query,
    st.lists(images | words, min_size=1, max_size=4)
    .filter(lambda terms: any(term.weight > 0 for term in terms))
    .map(tuple),
    k=st.sampled_from([1, 2, 7, COUNT, 10 * COUNT]),
    extractors=st.sampled_from([(), ("far",), ("near", "far")]),
    where=st.sampled_from([None, "price < 40", "price < 40 and name like '1%'", "id > 1000"]),
    alpha=st.sampled_from([0.0, 0.3, 1.0]),
    fusion=st.sampled_from(["scores", "ranks"]),
    diversity=st.sampled_from([0.0, 0.3, 1.0]),
    collapse_duplicates=st.booleans(),
    min_relevance=st.sampled_from([None, "plausible", "near-copy"]),
)


@settings(
    max_examples=120, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)
@given(st.lists(queries, min_size=1, max_size=3))
def test_hits_are_at_most_k_different_sorted_filtered_and_relevant(
    small: SmallLibrary, queries: list[Query]
) -> None:
    for query, hits in zip(queries, small.search(*queries, tolerant=True), strict=True):
        only_words = all(term.text is not None for term in query.terms)
        assert bool(hits.failure) == bool(only_words and query.min_relevance)
        if hits.failure:
            continue
        ids = [hit.id for hit in hits.hits]
        assert len(ids) <= query.k and len(set(ids)) == len(ids)
        assert [hit.rank for hit in hits.hits] == list(range(1, len(ids) + 1))
        scores = [hit.score or 0.0 for hit in hits.hits]
        if not query.diversity:
            assert scores == sorted(scores, reverse=True)
        prices = {id: small.prices[id - 1] for id in ids}
        if query.where and "price" in query.where:
            assert all(price < 40 for price in prices.values())
        if query.where == "id > 1000":
            assert not ids
        if query.min_relevance:
            assert all(at_least(hit.relevance, query.min_relevance) for hit in hits.hits)
        if not (query.where or query.min_relevance or query.collapse_duplicates) and any(
            term.text is None for term in query.terms
        ):
            assert len(ids) == min(query.k, COUNT)
