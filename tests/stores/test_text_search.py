"""Contract of every store: text search in captions, keywords and other texts."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from contextlib import closing

import numpy as np
import pytest
from tests.stores.builders import begin, entry, failed, put
from tests.stores.conftest import CreateStore

from lookalike.errors import UsageError
from lookalike.images.metadata.facts import Facts
from lookalike.stores.interface import Store
from lookalike.stores.text_analysis import TextMatch


def said(caption: str, *keywords: str) -> Facts:
    return Facts(40, 30, "jpeg", caption=caption, keywords=keywords)


def found(
    store: Store,
    words: str,
    k: int = 10,
    among: list[int] | None = None,
    *,
    match: TextMatch = "words",
) -> list[int]:
    with store.snapshot() as snapshot:
        chosen = None if among is None else np.array(among, np.int64)
        ids, scores = snapshot.search_text(words, k, among=chosen, match=match)
    assert ids.dtype == np.int64
    assert scores.dtype == np.float32
    assert len(ids) == len(scores) <= k
    assert (np.diff(scores) <= 0).all()
    assert all(a < b for a, b, s in zip(ids, ids[1:], np.diff(scores), strict=False) if s == 0)
    return [int(id) for id in ids]


def put_album(store: Store) -> Store:
    put(
        store,
        entry("a.jpg", facts=said("a red shoe with white laces")),
        entry("b.jpg", facts=said("a red boat on the sea", "holiday")),
        entry("c.jpg", facts=said("Un café près de la mer")),
        entry("d.jpg"),
        entry("trip/greece/e.jpg", facts=said("", "boat", "sea")),
    )
    return store


@pytest.fixture
def changing(store: Store) -> Store:
    """The album, to be changed."""
    return put_album(store)


@pytest.fixture(scope="module")
def album(create_store: CreateStore, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """Five images, three with captions; tests leave them as they are."""
    with closing(create_store(tmp_path_factory.mktemp("album"))) as store:
        begin(store)
        yield put_album(store)


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
        "* OR *", "", "   ", "!?", "{caption} : red", "\x00", "\ud800", "red\x00shoe", "a" * 200_000,
        "ʻ", "red ʼ shoe", "5 ʹ", "ʻ-ʻ",
    ],
)  # fmt: skip
def test_text_is_never_syntax(album: Store, words: str) -> None:
    assert {*found(album, words)} <= {1, 2, 3, 5}


def test_operators_are_words_like_any_other(store: Store) -> None:
    put(store, entry("a.jpg", facts=said("near or not")), entry("b.jpg", facts=said("red")))
    assert found(store, "NOT red") in ([1, 2], [2, 1])
    assert found(store, "caption") == []


def test_fewer_than_one_hit_is_refused(album: Store) -> None:
    with album.snapshot() as snapshot, pytest.raises(UsageError, match="at least 1"):
        snapshot.search_text("red", 0)


def test_metadata_is_searched_and_its_caption_overrides_the_embedded_one(changing: Store) -> None:
    with changing.writer() as writer:
        writer.set_metadata(
            {1: {"caption": "a green sandal", "brand": "Zephyr", "price": 5}, 4: {"text": "dunes"}}
        )
    assert found(changing, "shoe") == []
    assert found(changing, "sandal") == found(changing, "zephyr") == [1]
    assert found(changing, "dunes") == [4]
    with changing.writer() as writer:
        writer.set_metadata({1: {}})
    assert found(changing, "sandal") == []
    assert found(changing, "shoe") == [1]


def test_text_search_sees_moves_copies_changes_and_removals(changing: Store) -> None:
    put(changing, entry("rome/e.jpg", "trip/greece/e.jpg", facts=None, same_as=5, moved=True))
    assert found(changing, "greece") == []
    assert found(changing, "rome") == [5]
    [copy] = put(changing, entry("copy.jpg", "a.jpg", facts=None, same_as=1))
    assert found(changing, "shoe") == [1, copy]
    put(changing, entry("a.jpg", "new content", facts=said("a hat")))
    assert found(changing, "shoe") == [copy]
    assert found(changing, "hat") == [1]
    put(changing, failed("copy.jpg", hash=None))
    assert found(changing, "shoe") == []
    with changing.writer() as writer:
        writer.remove([1])
    assert found(changing, "hat") == []


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


def test_sidecars_override_the_file_and_a_table_overrides_them(changing: Store) -> None:
    with changing.writer() as writer:
        writer.sidecars.put({1: ("mark", {"caption": "from the sidecar", "kind": "shoe"})})
        assert writer.sidecars.marks(1, ["a.jpg", "b.jpg", "x"]) == {
            "a.jpg": (1, "mark"),
            "b.jpg": (2, ""),
        }
    assert found(changing, "sidecar") == [1]
    with changing.writer() as writer:
        writer.set_metadata({1: {"caption": "from the table"}})
    assert found(changing, "sidecar") == []
    with changing.snapshot() as snapshot:
        assert snapshot.images([1])[1].metadata == {"caption": "from the table", "kind": "shoe"}
        assert snapshot.select("kind = 'shoe'").tolist() == [1]


def test_sidecars_that_were_not_seen_are_swept(changing: Store) -> None:
    with changing.writer() as writer:
        writer.sidecars.put({id: ("m", {"caption": f"word{id}"}) for id in (1, 2, 5)})
    with changing.writer() as writer:
        writer.sidecars.mark_seen([1])
        assert writer.sidecars.sweep(1, "trip") == 1
        assert writer.sidecars.sweep(1, "") == 1
    assert [found(changing, f"word{id}") for id in (1, 2, 5)] == [[1], [], []]
    assert found(changing, "boat") == [5, 2] or found(changing, "boat") == [2, 5]


def test_sidecars_of_unknown_images_are_refused(changing: Store) -> None:
    with changing.writer() as writer, pytest.raises(UsageError, match="not known"):
        writer.sidecars.put({99: ("m", {})})


CAPTIONS = {
    1: "東京タワーの夜景", 2: "石桥和船", 3: "서울타워야경", 4: "ทะเลสวยงาม", 5: "ｶﾞｰﾃﾞﾝの花 2020年",
    6: "Die Straße nach Köln", 7: "İstanbul'da gün batımı", 8: "שָׁלוֹם עולם",
    9: "مُحَمَّد في المدينة", 10: "हिन्दी किताब", 11: "party 🎉 in 🇩🇪",
    12: "Sommerkleid aus Leinen", 13: "IMG_2041 Æbleskiver smørrebrød",
    14: "Йога зимой, ёлка", 15: "京都の寺", 16: "๒๕๖๗ Hawaiʻi", 17: "35mm lens, tshirt", 18: "5 kg bag",
}  # fmt: skip


@pytest.fixture(scope="module")
def captions(
    create_store: CreateStore, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Store]:
    with closing(create_store(tmp_path_factory.mktemp("captions"))) as store:
        begin(store)
        put(store, *(entry(f"{n}.jpg") for n in CAPTIONS))
        with store.writer() as writer:
            writer.set_metadata(
                {
                    n: {"caption": unicodedata.normalize(("NFC", "NFD")[n % 2], text)}
                    for n, text in CAPTIONS.items()
                }
            )
        yield store


@pytest.mark.parametrize(
    ("words", "ids"),
    [
        ("東京", [1]), ("夜景", [1]), ("夜", [1]), ("タワー", [1]), ("ﾀﾜｰ", [1]), ("東京タワーの夜景", [1]),
        ("京", [1, 15]), ("桥", [2]), ("船", [2]),
        ("서울", [3]), ("타워", [3]), ("야", [3]), ("ทะเล", [4]), ("สวย", [4]),
        ("ガーデン", [5]), ("2020", [5]), ("花", [5]), ("strasse", [6]), ("STRASSE", [6]),
        ("koln", [6]), ("Koeln", [6]), ("istanbul", [7]), ("batimi", [7]), ("GÜN", [7]),
        ("שלום", [8]), ("שָׁלוֹם", [8]), ("محمد", [9]), ("हिन्दी", [10]),
        ("🎉", [11]), ("🇩🇪", [11]), ("🇩🇰", []), ("party🎉", [11]), ("2041", [13]), ("img_2041", [13]),
        ("aebleskiver", [13]), ("smorrebrod", [13]), ("smoerrebroed", [13]), ("йога", [14]), ("елка", [14]),
        ("2567", [16]), ("๒๕๖๗", [16]), ("hawaii", [16]), ("Hawaiʻi", [16]), ("35 mm", [17]),
        ("t-shirt", [17]), ("5kg", [18]),
    ],
)  # fmt: skip
def test_words_of_all_scripts_are_found_by_parts(
    captions: Store, words: str, ids: list[int]
) -> None:
    for form in ("NFC", "NFD"):
        assert sorted(found(captions, unicodedata.normalize(form, words))) == ids


@pytest.mark.parametrize(
    ("words", "ids"),
    [
        ("東京都", [1, 15]), ("東京の桜", [1]), ("서울에서", [3]), ("ภูเขาและทะเล", [4]),
        ("sommer", [12]), ("leine", [12]), ("le", []),
    ],
)  # fmt: skip
def test_parts_are_found_where_that_is_wanted(captions: Store, words: str, ids: list[int]) -> None:
    assert found(captions, words) == []
    assert sorted(found(captions, words, match="parts")) == ids
    assert found(captions, words, among=ids[1:], match="parts") == ids[1:]


@pytest.mark.parametrize(
    ("words", "ids"), [("hoe", [1]), ("oliday", [2]), ("OA", []), ("hit oes", [1]), ("x_e", [])]
)
def test_words_are_found_inside_of_others(album: Store, words: str, ids: list[int]) -> None:
    assert found(album, words) == []
    assert sorted(found(album, words, match="inside")) == ids
    assert found(album, words, among=[5], match="inside") == []


@pytest.mark.parametrize(
    ("words", "ids"),
    [
        ("sheo", [1]),
        ("choe", [1]),
        ("shooe", [1]),
        ("shpe", [1]),
        ("shoer", [1]),
        ("hoilday", [2]),
        ("près", []),  # no other word
        ("mre", []),  # too short
        ("gerece whtie", [1, 5]),
        ("holiady2", []),  # a code
        ("shxx", []),
    ],
)
def test_similar_words_differ_by_one_typo(album: Store, words: str, ids: list[int]) -> None:
    assert found(album, words) == [] or words == "près"
    assert sorted(found(album, words, match="similar")) == ids
    assert found(album, words, among=ids[1:], match="similar") == ids[1:]


def test_similar_words_are_found_in_scripts_with_blanks(store: Store) -> None:
    put(
        store, entry("a.jpg", facts=said("красная площадь")), entry("b.jpg", facts=said("東京夜景"))
    )
    assert found(store, "прощадь", match="similar") == [1]
    assert found(store, "東京夜量", match="similar") == []
