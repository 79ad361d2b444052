"""The words of a question on the command line: `"2:./shoe.jpg" + "red" - ./boot.jpg`."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from lookalike.errors import UsageError
from lookalike.images.sniff import PICTURE_ENDINGS
from lookalike.query import Term

WEIGHT = re.compile(r"(\d+(?:\.\d*)?|\.\d+):(.+)", re.DOTALL)
IMAGE = re.compile(r"id:(\d+)")
STDIN = "-"


def parse_terms(
    words: Sequence[str],
    *,
    stdin: Callable[[], bytes] | None = None,
    stored: Callable[[str], int | None] = lambda path: None,
) -> tuple[Term, ...]:
    """Command-line words as terms.

    A word is a picture if a file of that name exists, or if `stored` knows it as a path in the
    library; `id:42` is an image by its id; `-` where a term is expected last is the bytes of `stdin`;
    everything else is words. `+` and `-`, alone or in front of a word, say whether it counts for or
    against; `2:` in front makes it count double. Neighbouring plain words are one text, as people
    type them: `red shoe` asks for "red shoe".

    `UsageError` for a sign with nothing after it, and for what looks like a picture but is none.
    """
    terms: list[Term] = []
    sign, fresh = 1.0, True
    for place, word in enumerate(words):
        last = place == len(words) - 1
        if word in ("+", "-") and not (word == STDIN and last and stdin):
            if last:
                raise UsageError(f"there is nothing after the {word!r} at the end")
            sign, fresh = (1.0 if word == "+" else -1.0), True
            continue
        if word[0] in "+-" and len(word) > 1 and not Path(word).exists():
            sign, fresh, word = (1.0 if word[0] == "+" else -1.0), True, word[1:]
        term = _term(word, sign, stdin if last else None, stored)
        if (
            term.words
            and terms
            and terms[-1].words
            and not fresh
            and term.weight == terms[-1].weight
        ):
            terms[-1] = Term(words=f"{terms[-1].words} {term.words}", weight=term.weight)
        else:
            terms.append(term)
        sign, fresh = 1.0, False
    return tuple(terms)


def _term(
    word: str,
    sign: float,
    stdin: Callable[[], bytes] | None,
    stored: Callable[[str], int | None],
) -> Term:
    if word == STDIN and stdin:
        return Term(picture=stdin(), weight=sign)
    weight = sign
    if not Path(word).exists() and (weighted := WEIGHT.fullmatch(word)):
        weight, word = sign * float(weighted[1]), weighted[2]
    if Path(word).is_file():
        return Term(picture=Path(word), weight=weight)
    if by_id := IMAGE.fullmatch(word):
        return Term(image=int(by_id[1]), weight=weight)
    if (image := stored(word)) is not None:
        return Term(image=image, weight=weight)
    if looks_like_a_path(word):
        raise UsageError(f"no such picture: {word}, neither a file nor a path in the library")
    return Term(words=word, weight=weight)


def looks_like_a_path(word: str) -> bool:
    """Whether somebody who typed this meant a file: it ends as pictures do, or starts as paths do."""
    return Path(word).suffix.lower() in PICTURE_ENDINGS or word.startswith(("./", "../", "/", "~"))
