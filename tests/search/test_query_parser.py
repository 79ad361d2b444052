"""Terms on the command line, and invalid queries."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lookalike.errors import UsageError
from lookalike.query import Query, Term
from lookalike.search.query_parser import parse_terms

SHOE, BOOT = Path("shoe.jpg"), Path("boot.jpg")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("shoe.jpg", "boot.jpg", "picture without ending", "-odd.jpg", "2:odd.jpg"):
        (tmp_path / name).write_bytes(b"its content is not looked at")
    (tmp_path / "album").mkdir()


@pytest.mark.parametrize(
    ("words", "terms"),
    [
        (["shoe.jpg"], [Term(SHOE)]),
        (["./shoe.jpg"], [Term(SHOE)]),
        (["shoe.jpg", "boot.jpg"], [Term(SHOE), Term(BOOT)]),
        (["picture without ending"], [Term(Path("picture without ending"))]),
        (["red", "shoe"], [Term(text="red shoe")]),
        (["red shoe"], [Term(text="red shoe")]),
        (["red", "+", "shoe"], [Term(text="red"), Term(text="shoe")]),
        (["2:shoe.jpg", "+", "red", "-", "boot.jpg"],
         [Term(SHOE, weight=2), Term(text="red"), Term(BOOT, weight=-1)]),
        (["shoe.jpg", "+red"], [Term(SHOE), Term(text="red")]),
        (["shoe.jpg", "-", ".5:boot.jpg"], [Term(SHOE), Term(BOOT, weight=-0.5)]),
        (["shoe.jpg", "-", "fruit", "basket"], [Term(SHOE), Term(text="fruit basket", weight=-1)]),
        (["2:red", "shoe"], [Term(text="red shoe", weight=2)]),
        (["red", "2:shoe"], [Term(text="red"), Term(text="shoe", weight=2)]),
        (["id:42", "-", "id:7"], [Term(id=42), Term(id=7, weight=-1)]),
        (["3:id:42"], [Term(id=42, weight=3)]),
        (["trip/gone.jpg"], [Term(Path("trip/gone.jpg"))]),
        (["2:odd.jpg"], [Term(Path("2:odd.jpg"))]),
        (["-odd.jpg"], [Term(Path("-odd.jpg"))]),
        (["x" * 5000], [Term(text="x" * 5000)]),
        ([], []),
    ],
)  # fmt: skip
def test_words_become_terms(words: list[str], terms: list[Term]) -> None:
    assert list(parse_terms(words)) == terms


@pytest.mark.skipif(os.name == "nt", reason="a colon is no part of a name there")
@pytest.mark.parametrize(
    ("words", "terms"),
    [
        (["-"], [Term(b"bytes")]),
        (["-", "+", "red"], [Term(b"bytes"), Term(text="red")]),
        (["red", "+", "-"], [Term(text="red"), Term(b"bytes")]),
        (["shoe.jpg", "-", "-"], [Term(SHOE), Term(b"bytes", weight=-1)]),
        (["shoe.jpg", "-", "boot.jpg"], [Term(SHOE), Term(BOOT, weight=-1)]),
    ],
)
def test_a_minus_in_place_of_a_term_is_standard_input(words: list[str], terms: list[Term]) -> None:
    assert list(parse_terms(words, stdin=lambda: b"bytes")) == terms


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["shoe.jpg", "+"], "there is nothing after the '\\+'"),
        (["shoe.jpg", "-"], "there is nothing after the '-'"),
        (["shoe.jpg", "-", "+", "red"], "there is nothing after the '-'"),
        (["album"], "'album' is a folder: name an image in it, or write --text 'album'"),
        (["https://example.org/cat.jpg"], "not fetched"),
        (["0:shoe.jpg"], "a number other than 0"),
        ([" "], "an empty text"),
        (["shoe.jpg", "-boot.jpg"], "put a space after the minus: - boot.jpg; .* as ./-boot.jpg"),
    ],
)
def test_invalid_words_are_an_error_of_one_line(words: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        parse_terms(words)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (lambda: Query(()), "the query is empty"),
        (lambda: Query((Term(SHOE, weight=-1),)), "only negative terms"),
        (lambda: Query((Term(SHOE),), k=0), "k is 0"),
        (lambda: Query((Term(SHOE),), alpha=1.5), "alpha must be between 0 and 1"),
        (lambda: Query((Term(SHOE),), diversity=-0.1), "diversity must be between 0 and 1"),
        (lambda: Query((Term(SHOE),), fusion="votes"), "fusion is scores or ranks"),  # type: ignore[arg-type]
        (lambda: Query((Term(SHOE),), min_relevance="good"), "min_relevance is weak or plausible"),  # type: ignore[arg-type]
        (lambda: Term(Path("x\0y")), "zero byte"),
        (lambda: Term(SHOE, text="red"), "a term is an image"),
        (lambda: Term(SHOE, weight=float("nan")), "a number other than 0"),
        (lambda: Term(SHOE, region=(0, 0, 0, 1)), "a region is X,Y,WIDTH,HEIGHT"),
        (lambda: Term(SHOE, region=(-1, 0, 5, 5)), "a region is X,Y,WIDTH,HEIGHT"),
        (lambda: Term(text="red", region=(0, 0, 1, 1)), "text and vectors have none"),
    ],
)
def test_an_invalid_query_is_refused_when_it_is_made(query, message) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(UsageError, match=message) as caught:
        query()
    assert "\n" not in str(caught.value)
