"""Text analysis: the tokens by which texts are searched, in any script, the same for every store.

* Composed and decomposed, full-width and half-width forms, upper and lower case are one (NFKC, case folding).
* Accents do not matter in Latin, Greek and Cyrillic, nor vowel points in Hebrew and Arabic. `ß` is `ss`; `ü`
  is `u` and `ue`, and so on; digits of other scripts are those of ASCII, too. Marks that make another
  letter (kana, Thai, Indic scripts) stay.
* Scripts written without blanks between words (Chinese, Japanese, Korean, Thai, Lao, Khmer, Burmese), and
  emoji, become one token for each character; a query finds the same characters in a row, as a phrase.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, Protocol, TypeAlias

Phrase: TypeAlias = tuple[str, ...]
"""Tokens that follow each other. With the last token `PREFIX`, the token before it may be longer."""

TextMatch: TypeAlias = Literal["words", "parts", "inside", "similar"]
"""How texts are searched: by words, by beginnings of words, inside of words, or with one typo."""

TEXT_MATCHES: tuple[TextMatch, ...] = ("words", "parts", "inside", "similar")
"""The strictest first."""

PREFIX = "*"

MAX_PHRASES = 64
"""Words of a query, or runs of characters; further ones are ignored."""

SHORTEST_MISSPELT = 4
"""Letters of the shortest word that is searched with a typo."""

SHORTEST_INNER = 3
"""Letters of the shortest word that is searched inside of others."""

# Scripts written without blanks between words, and Korean, whose words are written together with particles.
_HAN = "\u2e80-\u2fdf\u3005-\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_KANA = "\u3041-\u309f\u30a1-\u30fa\u30fc-\u30ff\u3105-\u312f\u31f0-\u31ff"
_HANGUL = "\u1100-\u11ff\u3130-\u318f\ua960-\ua97f\uac00-\ud7ff"
_SOUTHEAST = "\u0e01-\u0e4e\u0e80-\u0ece\u1000-\u1049\u1050-\u109f\u1780-\u17d3"
_EMOJI = "\u2190-\u21ff\u2300-\u27bf\u2b00-\u2bff\U0001f000-\U0001f3fa\U0001f400-\U0001faff"
# Letters and marks of Indic scripts without their full stops: \w knows no combining marks.
_INDIC = "\u0900-\u0963\u0966-\u0dff\u0f00-\u0f03\u0f18-\u0f39\u0f3e-\u0fbc\u0300-\u036f"
# Without a mark, soft hyphens, joiners, direction marks, variation selectors and skin colours.
_IGNORED = re.compile(
    "[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufe0e\ufe0f\ufeff\U0001f3fb-\U0001f3ff]"
)
_UNSPACED = _HAN + _KANA + _HANGUL + _SOUTHEAST + _EMOJI
_WORD = rf"(?:(?![{_UNSPACED}_])[\w{_INDIC}])+"
# Compiled when first used, as `_PIECES`: 9 ms of most commands otherwise.
_RUN = rf"(?P<run>[{_UNSPACED}]+)|{_WORD}(?:_+{_WORD})*"
_TOKEN = rf"[{_UNSPACED}]|{_WORD}"
_ASCII_TOKEN = re.compile("[a-z0-9]+")
# Marks that make no other letter, wherever they stand: Hebrew points, Arabic vowel signs and hamza.
_POINTS = re.compile(
    "[\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7"
    "\u0610-\u061a\u0640\u064b-\u065f\u0670\u06d6-\u06dc\u06df-\u06ed]"
)
_ACCENTS = re.compile("(?<=[\u0000-\u058f\u1f00-\u1fff])[\u0300-\u036f]+")
_LETTERS = str.maketrans(
    {
        "ı": "i", "ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe",
        "ى": "ي", "ی": "ي", "ک": "ك", "ة": "ه",
    }
)  # fmt: skip
_TRANSCRIPTIONS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "å": "aa", "ø": "oe"})
_APOSTROPHES = "\u02b9-\u02bf"  # letters to Unicode: Hawaiʻi
_TRANSCRIBED = re.compile(rf"[äöüåø{_APOSTROPHES}]|[^\D0-9]")
_JOINERS = frozenset("'’‐-")
_WITH_UNIT = re.compile(r"(\d+)([a-z]{1,3})")
# Long runs of letters without spaces are split where no text has all of a run: Japanese where the script
# changes, the others into pieces of two or four characters, about a word.
_PIECES = (
    f"(?P<two>[{_HAN}]+|[{_HANGUL}]+)|(?P<all>[\u30a1-\u30ff]+|[\u3041-\u309f\u3105-\u312f]+|[{_EMOJI}])"
    f"|(?P<four>[{_SOUTHEAST}]+)"
)  # fmt: skip
_PIECE_LENGTH = {"two": 2, "four": 4}


def tokens(text: str) -> list[str]:
    """Return the tokens of a text in their order, followed by transcriptions ("ue" for "ü")."""
    if text.isascii():
        return _ASCII_TOKEN.findall(text.lower())
    folded = _fold_case(text)
    found = re.findall(_TOKEN, _fold_marks(folded))
    if _TRANSCRIBED.search(folded):
        words = re.findall(_TOKEN, folded)
        transcribed = (_transcribed(word) for word in words if _TRANSCRIBED.search(word))
        found += filter(None, transcribed)
    return found


def query_phrases(text: str) -> list[Phrase]:
    """Return the distinct phrases of a query: words, each in singular and plural, and runs of characters."""
    return _phrases(_exact(text))


def partial_phrases(text: str) -> list[Phrase]:
    """Return what is searched where nothing matches `query_phrases`: parts of runs, beginnings of words."""
    return _phrases(_partial(text))


class KnownWords(Protocol):
    """Reads the words of a library's texts; a store may yield others, too."""

    def __call__(self, *, parts: Sequence[str] = (), lengths: Sequence[int] = ()) -> Iterable[str]:
        """Yield the words that contain one of these parts, or that have one of these lengths."""
        ...


def matching_phrases(text: str, match: TextMatch, known: KnownWords) -> list[Phrase]:
    """Return the phrases, any of which a text must have to match (see `Snapshot.search_text`)."""
    if match == "words":
        return query_phrases(text)
    if match == "parts":
        return partial_phrases(text)
    if match == "inside":
        parts = _single_words(text, SHORTEST_INNER)
        found = known(parts=parts) if parts else ()
        inside = [one for one in found if any(word in one for word in parts)]
        return _phrases((one,) for one in sorted(inside, key=lambda one: (len(one), one)))
    words = [w for w in _single_words(text, SHORTEST_MISSPELT) if not any(map(str.isdecimal, w))]
    lengths = sorted({len(word) + more for word in words for more in (-1, 0, 1)})
    found = known(lengths=lengths) if words else ()
    return _phrases((one,) for one in found if any(has_one_typo(word, one) for word in words))


def occurrences(phrase: Phrase, text: Sequence[str]) -> int:
    """Return how often the tokens of a phrase follow each other in a text."""
    prefix = phrase[-1] == PREFIX
    words = phrase[:-1] if prefix else phrase
    if len(words) == 1 and not prefix:
        return text.count(words[0])
    ends = str.startswith if prefix else str.__eq__
    size = len(words)
    return sum(
        ends(text[at + size - 1], words[-1]) and tuple(text[at : at + size - 1]) == words[:-1]
        for at in range(len(text) - size + 1)
    )


def mentions(text: str, query: str, *, similar: bool = False) -> bool:
    """Return whether a text has a word of a query: as it is, inside of another, or (`similar`) nearly."""
    words = set(tokens(text))
    for unit, is_run in _units(query):
        word = _fold_marks(unit)
        if is_run:
            joined = "".join(tokens(text))
            if any(word[at : at + 2] in joined for at in range(max(1, len(word) - 1))):
                return True
            continue
        for form in {
            part for one in (word, _transcribed(unit)) for part in re.findall(_TOKEN, one)
        }:
            forms = _singular_and_plural(form)
            if not words.isdisjoint(forms):
                return True
            if len(form) >= SHORTEST_INNER and any(form in one for one in words):
                return True
            if similar and any(has_one_typo(form, one) for one in words):
                return True
    return False


def has_one_typo(word: str, other: str) -> bool:
    """Return whether one letter more, less or other, or two exchanged neighbours, make the other word."""
    if abs(len(word) - len(other)) > 1 or word == other:
        return False
    at = next((i for i, (a, b) in enumerate(zip(word, other, strict=False)) if a != b), None)
    if at is None:
        return True  # one letter more at the end
    rest, others = word[at:], other[at:]
    return (
        rest[1:] == others[1:]
        or rest[1:] == others
        or rest == others[1:]
        or (rest[1::-1] == others[:2] and rest[2:] == others[2:])
    )


def _single_words(text: str, shortest: int) -> list[str]:
    """Return the words of a query, of so many letters or more, in scripts with blanks."""
    return [
        word
        for unit, is_run in _units(text)
        if not is_run and len(word := _fold_marks(unit)) >= shortest
        if len(re.findall(_TOKEN, word)) == 1
    ][:MAX_PHRASES]


def _phrases(found: Iterable[Phrase]) -> list[Phrase]:
    distinct: dict[Phrase, None] = {}
    for phrase in found:
        distinct[phrase] = None
        if len(distinct) >= MAX_PHRASES:
            break
    return list(distinct)


def _exact(text: str) -> Iterator[Phrase]:
    for unit, is_run in _units(text):
        if is_run:
            yield tuple(unit)
            continue
        for word in dict.fromkeys((_fold_marks(unit), _transcribed(unit))):
            parts = tuple(re.findall(_TOKEN, word))
            if parts:
                yield parts
            if len(parts) == 1:
                yield from ((form,) for form in _singular_and_plural(parts[0]))
            if with_unit := _WITH_UNIT.fullmatch(word):
                yield with_unit.groups()
    for joined in _joined(_fold_case(text)):
        yield tuple(re.findall(_TOKEN, _fold_marks(joined)))


def _joined(folded: str) -> Iterator[str]:
    """Yield what texts may write in one word: "tshirt" for "t-shirt", and "5kg" for "5 kg"."""
    joined, several, end = "", False, 0
    for found in re.finditer(_RUN, folded):
        word, gap = found.group(), folded[end : found.start()]
        unit = gap == " " and joined.isdecimal() and len(word) <= 3 and word.isalpha()
        if joined and (gap in _JOINERS or unit):
            joined, several = joined + word, True
        else:
            if several:
                yield joined
            joined, several = word, False
        end = found.end()
    if several:
        yield joined


def _partial(text: str) -> Iterator[Phrase]:
    for unit, is_run in _units(text):
        if not is_run:
            if len(unit) > 2:
                yield (*re.findall(_TOKEN, _fold_marks(unit)), PREFIX)
            continue
        for piece in re.finditer(_PIECES, unit):
            characters = piece.group()
            length = _PIECE_LENGTH.get(piece.lastgroup or "", len(characters))
            if len(characters) < 2 and not piece["two"] and len(unit) > 1:
                continue  # a particle of Japanese
            for start in range(max(1, len(characters) - length + 1)):
                yield tuple(characters[start : start + length])


def _units(text: str) -> Iterator[tuple[str, bool]]:
    """Yield words with their marks, and runs of scripts without blanks (True)."""
    for found in re.finditer(_RUN, _fold_case(text)):
        if found["run"]:
            yield _fold_marks(found["run"]), True
        else:
            yield found.group(), False


def _fold_case(text: str) -> str:
    valid = text.encode("utf-8", "replace").decode("utf-8")  # without lone surrogates of file names
    folded = unicodedata.normalize("NFKC", valid).casefold()
    return unicodedata.normalize("NFKC", _POINTS.sub("", _IGNORED.sub("", folded)))


def _fold_marks(folded: str) -> str:
    plain = unicodedata.normalize("NFD", folded.translate(_LETTERS))
    plain = _ACCENTS.sub("", _POINTS.sub("", plain))
    return unicodedata.normalize("NFC", plain).translate(_LETTERS)


def _transcribed(word: str) -> str:
    plain = re.sub(f"[{_APOSTROPHES}]", "", word.translate(_TRANSCRIPTIONS))
    return _fold_marks(re.sub(r"[^\D0-9]", lambda one: str(unicodedata.decimal(one[0])), plain))


def _singular_and_plural(word: str) -> list[str]:
    """Return a word with and without a plural s, so that "shoes" finds "shoe"."""
    if len(word) < 3 or not (word.isascii() and word.isalpha()):
        return [word]
    return [word, word[:-1]] if word.endswith("s") else [word, f"{word}s"]
