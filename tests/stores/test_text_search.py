"""Contract of every store: text search in captions, keywords and other texts."""

from __future__ import annotations

import numpy as np
import pytest
from tests.stores.builders import entry, failed, put

from lookalike.errors import UsageError
from lookalike.images.metadata.facts import Facts
from lookalike.stores.interface import Store


def said(caption: str, *keywords: str) -> Facts:
    return Facts(40, 30, "jpeg", caption=caption, keywords=keywords)


def found(store: Store, words: str, k: int = 10, among: list[int] | None = None) -> list[int]:
    with store.snapshot() as snapshot:
        chosen = None if among is None else np.array(among, np.int64)
        ids, scores = snapshot.search_text(words, k, among=chosen)
    assert ids.dtype == np.int64
    assert scores.dtype == np.float32
    assert len(ids) == len(scores) <= k
    assert (np.diff(scores) <= 0).all()
    assert all(a < b for a, b, s in zip(ids, ids[1:], np.diff(scores), strict=False) if s == 0)
    return [int(id) for id in ids]


@pytest.fixture
def album(store: Store) -> Store:
    put(
        store,
        entry("a.jpg", facts=said("a red shoe with white laces")),
        entry("b.jpg", facts=said("a red boat on the sea", "holiday")),
        entry("c.jpg", facts=said("Un café près de la mer")),
        entry("d.jpg"),
        entry("trip/greece/e.jpg", facts=said("", "boat", "sea")),
    )
    return store


def test_any_word_matches_and_rare_ones_count_more(album: Store) -> None:
    assert found(album, "shoe") == [1]
    assert found(album, "red shoe")[0] == 1
    assert set(found(album, "red shoe")) == {1, 2}
    assert found(album, "zebra") == []


def test_better_matches_have_larger_scores(album: Store) -> None:
    with album.snapshot() as snapshot:
        _, scores = snapshot.search_text("red shoe", 10)
    assert scores[0] > scores[1] > 0


def test_keywords_and_the_path_are_searched(album: Store) -> None:
    assert set(found(album, "boat")) == {2, 5}
    assert found(album, "greece") == [5]


@pytest.mark.parametrize("words", ["cafe", "CAFÉ", "Café?", "cafés"])
def test_case_and_accents_and_the_plural_do_not_matter(album: Store, words: str) -> None:
    assert found(album, words) == [3]


def test_equal_scores_are_ordered_by_id_and_limited_by_k(store: Store) -> None:
    ids = put(store, *(entry(f"{n}.jpg", facts=said("the same words")) for n in range(10, 30)))
    assert found(store, "same", k=5) == ids[:5]
    assert found(store, "same", k=3, among=ids[::-3]) == sorted(ids[::-3])[:3]


def test_only_chosen_images_are_found(album: Store) -> None:
    assert found(album, "red", among=[2, 3, 99]) == [2]
    assert found(album, "red", among=[]) == []


@pytest.mark.parametrize(
    "words",
    [
        'a "b OR', "red AND", "NEAR(red shoe)", "caption:red", "red*", "^red", "-red", "(((", '"', "'",
        "* OR *", "", "   ", "!?", "{caption} : red", "\x00", "\ud800", "red\x00shoe", "a" * 10_000,
    ],
)  # fmt: skip
def test_text_is_never_syntax(album: Store, words: str) -> None:
    found(album, words)


def test_operators_are_words_like_any_other(store: Store) -> None:
    put(store, entry("a.jpg", facts=said("near or not")), entry("b.jpg", facts=said("red")))
    assert found(store, "NOT red") in ([1, 2], [2, 1])
    assert found(store, "caption") == []


def test_fewer_than_one_hit_is_refused(album: Store) -> None:
    with album.snapshot() as snapshot, pytest.raises(UsageError, match="at least 1"):
        snapshot.search_text("red", 0)


def test_metadata_is_searched_and_its_caption_overrides_the_embedded_one(album: Store) -> None:
    with album.writer() as writer:
        writer.set_metadata(
            {1: {"caption": "a green sandal", "brand": "Zephyr", "price": 5}, 4: {"text": "dunes"}}
        )
    assert found(album, "shoe") == []
    assert found(album, "sandal") == found(album, "zephyr") == [1]
    assert found(album, "dunes") == [4]
    with album.writer() as writer:
        writer.set_metadata({1: {}})
    assert found(album, "sandal") == []
    assert found(album, "shoe") == [1]


def test_text_search_sees_moves_copies_changes_and_removals(album: Store) -> None:
    put(album, entry("rome/e.jpg", "trip/greece/e.jpg", facts=None, same_as=5, moved=True))
    assert found(album, "greece") == []
    assert found(album, "rome") == [5]
    [copy] = put(album, entry("copy.jpg", "a.jpg", facts=None, same_as=1))
    assert found(album, "shoe") == [1, copy]
    put(album, entry("a.jpg", "new content", facts=said("a hat")))
    assert found(album, "shoe") == [copy]
    assert found(album, "hat") == [1]
    put(album, failed("copy.jpg", hash=None))
    assert found(album, "shoe") == []
    with album.writer() as writer:
        writer.remove([1])
    assert found(album, "hat") == []


def test_has_text_tells_whether_anything_can_be_found(store: Store) -> None:
    [id] = put(store, entry("a.jpg"))
    with store.snapshot() as snapshot:
        assert not snapshot.has_text()
    with store.writer() as writer:
        writer.set_metadata({id: {"price": 5}})
    with store.snapshot() as snapshot:
        assert not snapshot.has_text()
    with store.writer() as writer:
        writer.set_metadata({id: {"kind": "shoe"}})
    with store.snapshot() as snapshot:
        assert snapshot.has_text()


def test_sidecars_override_the_file_and_a_table_overrides_them(album: Store) -> None:
    with album.writer() as writer:
        writer.sidecars.put({1: ("mark", {"caption": "from the sidecar", "kind": "shoe"})})
        assert writer.sidecars.marks(1, ["a.jpg", "b.jpg", "x"]) == {
            "a.jpg": (1, "mark"),
            "b.jpg": (2, ""),
        }
    assert found(album, "sidecar") == [1]
    with album.writer() as writer:
        writer.set_metadata({1: {"caption": "from the table"}})
    assert found(album, "sidecar") == []
    with album.snapshot() as snapshot:
        assert snapshot.images([1])[1].metadata == {"caption": "from the table", "kind": "shoe"}
        assert snapshot.select("kind = 'shoe'").tolist() == [1]


def test_sidecars_that_were_not_seen_are_swept(album: Store) -> None:
    with album.writer() as writer:
        writer.sidecars.put({id: ("m", {"caption": f"word{id}"}) for id in (1, 2, 5)})
    with album.writer() as writer:
        writer.sidecars.mark_seen([1])
        assert writer.sidecars.sweep(1, "trip") == 1
        assert writer.sidecars.sweep(1, "") == 1
    assert [found(album, f"word{id}") for id in (1, 2, 5)] == [[1], [], []]
    assert found(album, "boat") == [5, 2] or found(album, "boat") == [2, 5]


def test_sidecars_of_unknown_images_are_refused(album: Store) -> None:
    with album.writer() as writer, pytest.raises(UsageError, match="not known"):
        writer.sidecars.put({99: ("m", {})})
