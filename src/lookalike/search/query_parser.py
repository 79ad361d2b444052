"""The words of a question on the command line: `"2:./shoe.jpg" + "red" - ./boot.jpg`."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from lookalike.errors import UsageError
from lookalike.images.sniff import IMAGE_SUFFIXES
from lookalike.query import Term

WEIGHT = re.compile(r"(\d+(?:\.\d*)?|\.\d+):(.+)", re.DOTALL)
IMAGE = re.compile(r"id:(\d{1,18})")
STDIN = "-"

Stdin = Callable[[], bytes]


def parse_terms(words: Sequence[str], *, stdin: Stdin | None = None) -> tuple[Term, ...]:
    """Command-line words as terms.

    A word is a picture if a file of that name exists, or if it looks like the name of one (then it is
    a path in the library); `id:42` is an image by its id; everything else is words. `+` and `-`, alone
    or in front of a word, say whether it counts for or against; `2:` in front makes it count double.
    Neighbouring plain words are one text, as people type them: `red shoe` asks for "red shoe".
    `-` at the end or before a `+` is a picture: what `stdin` gives.

    `UsageError` for a sign with nothing after it.
    """
    terms: list[Term] = []
    sign = 0.0  # none was given
    for place, word in enumerate(words):
        last = place == len(words) - 1
        if stdin and word == STDIN and (last or words[place + 1] == "+"):
            terms.append(Term(image=stdin(), weight=sign or 1.0))
            sign = 0.0
            continue
        if word in ("+", "-"):
            if last or sign:
                raise UsageError(f"there is nothing after the {'-' if sign < 0 else word!r}")
            sign = 1.0 if word == "+" else -1.0
            continue
        if word[:1] in ("+", "-") and not sign and not exists(word):
            sign, word = (1.0 if word[0] == "+" else -1.0), word[1:]
        term, weighted = parse_term(word, sign or 1.0)
        before = terms[-1] if terms else None
        if term.text and before and before.text and not sign and not weighted:
            terms[-1] = replace(before, text=f"{before.text} {term.text}")
        else:
            terms.append(term)
        sign = 0.0
    return tuple(terms)


def parse_term(word: str, sign: float) -> tuple[Term, bool]:
    """One word without its sign as a term, and whether a weight stood before it."""
    weight, weighted = sign, None
    if not exists(word) and (weighted := WEIGHT.fullmatch(word)):
        weight, word = sign * float(weighted[1]), weighted[2]
    return term_of(word, weight), weighted is not None


def term_of(word: str, weight: float) -> Term:
    """A picture, an image by its id, or words."""
    path = Path(word)
    if exists(word) and path.is_dir():
        raise UsageError(
            f"'{word}' is a folder: name a picture in it, or write --text '{word}' for the word"
        )
    if exists(word):
        return Term(image=path, weight=weight)
    if by_id := IMAGE.fullmatch(word):
        return Term(id=int(by_id[1]), weight=weight)
    if word.startswith(("https://", "http://")):
        raise UsageError(f"pictures are not fetched from the network: save {word} first")
    if looks_like_a_path(word):
        return Term(image=path, weight=weight)
    return Term(text=word, weight=weight)


def exists(word: str) -> bool:
    """Whether there is such a file or folder here; what cannot be a name is none."""
    try:
        return bool(word) and Path(word).exists()
    except (OSError, ValueError):  # too long, or with a zero byte
        return False


def looks_like_a_path(word: str) -> bool:
    """Whether somebody who typed this meant a file: it ends as pictures do, or starts as paths do."""
    return Path(word).suffix.lower() in IMAGE_SUFFIXES or word.startswith(("./", "../", "/", "~/"))
