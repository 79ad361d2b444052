"""Terms of a query on the command line: `"2:./shoe.jpg" + "red" - ./boot.jpg`."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from lookalike.errors import UsageError
from lookalike.images.pages import split_page
from lookalike.images.sniff import IMAGE_SUFFIXES
from lookalike.query import Term

WEIGHT = re.compile(r"(\d+(?:\.\d*)?|\.\d+):(.+)", re.DOTALL)
"""A weight before a term, here and in HTTP parameters: "2:red"."""

BY_ID = re.compile(r"id:(\d{1,18})")
STDIN = "-"

ReadStdin = Callable[[], bytes]


def parse_terms(words: Sequence[str], *, stdin: ReadStdin | None = None) -> tuple[Term, ...]:
    """Return the words of a command line as terms; `UsageError` for a sign without a term.

    A word is an image if such a file exists, or if it looks like the name of one (then it is a path in
    the library); `id:42` is an image of the library; everything else is text. A `+` or `-` before a term
    says more or less like this, `2:` before it counts it twice. Adjacent words without sign and weight
    are one text, as people type them: `red shoe` is the text "red shoe". A `-` at the end or before a
    `+` is the image on standard input, if `stdin` reads it.
    """
    terms: list[Term] = []
    sign = 0.0  # none was given
    for place, word in enumerate(words):
        is_last = place == len(words) - 1
        if stdin and word == STDIN and (is_last or words[place + 1] == "+"):
            terms.append(Term(image=stdin(), weight=sign or 1.0))
            sign = 0.0
            continue
        if word in ("+", "-"):
            if is_last or sign:
                raise UsageError(f"there is nothing after the {'-' if sign < 0 else word!r}")
            sign = 1.0 if word == "+" else -1.0
            continue
        if word[:1] == "+" and not sign and not _exists(word):
            sign, word = 1.0, word[1:]
        if word[:1] == "-" and not _exists(word):
            raise UsageError(
                f"'{word}': for less like this, put a space after the minus: - {word[1:]}; name a "
                f"file of that name as ./{word}"
            )
        term, weighted = _parse_term(word, sign or 1.0)
        before = terms[-1] if terms else None
        if term.text and before and before.text and not sign and not weighted:
            terms[-1] = replace(before, text=f"{before.text} {term.text}")
        else:
            terms.append(term)
        sign = 0.0
    return tuple(terms)


def term_of(word: str, weight: float) -> Term:
    """Return a word without sign and weight as an image, an image of the library by its id, or text."""
    path = Path(word)
    if _exists(word) and path.is_dir():
        raise UsageError(
            f"'{word}' is a folder: name an image in it, or write --text '{word}' for the word"
        )
    if _exists(word):
        return Term(image=path, weight=weight)
    if by_id := BY_ID.fullmatch(word):
        return Term(id=int(by_id[1]), weight=weight)
    if word.startswith(("https://", "http://")):
        raise UsageError(f"images are not fetched from the network: save {word} first")
    if _looks_like_a_path(word):
        return Term(image=path, weight=weight)
    return Term(text=word, weight=weight)


def _parse_term(word: str, sign: float) -> tuple[Term, bool]:
    """Return a word without its sign as a term, and whether it had a weight."""
    weight, found = sign, None
    if not _exists(word) and (found := WEIGHT.fullmatch(word)):
        weight, word = sign * float(found[1]), found[2]
    return term_of(word, weight), found is not None


def _exists(word: str) -> bool:
    """Return whether there is such a file or folder; false for what cannot be a name."""
    try:
        return bool(word) and Path(word).exists()
    except (OSError, ValueError):  # too long, or with a zero byte
        return False


def _looks_like_a_path(word: str) -> bool:
    """Return whether a word ends as images do, or starts as paths do."""
    file = (split_page(word) or (word,))[0]
    return Path(file).suffix.lower() in IMAGE_SUFFIXES or word.startswith(("./", "../", "/", "~/"))
