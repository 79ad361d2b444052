"""Numbers as people and spreadsheets write them: separators of either kind, and a currency or unit."""

from __future__ import annotations

import math
import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, TypeAlias

Decimal: TypeAlias = Literal[".", ","]

MAX_DIGITS = 300
"""Digits of a number; a float has a range of 308."""

# fmt: off
# Codes and signs of currencies, and units of goods and photos that no code of an article ends with.
_UNITS = frozenset({
    "eur", "usd", "gbp", "jpy", "cny", "chf", "sek", "nok", "dkk", "isk", "pln", "czk", "huf", "ron",
    "bgn", "rub", "uah", "try", "ils", "inr", "krw", "brl", "mxn", "ars", "clp", "cop", "zar", "aud",
    "nzd", "cad", "hkd", "sgd", "twd", "thb", "idr", "vnd", "myr", "php", "aed", "sar", "egp", "kr",
    "zł", "kč", "ft", "lei", "лв", "руб", "р", "fr", "rs", "tl", "rm", "rp", "%", "kg", "mg", "lb",
    "lbs", "oz", "km", "cm", "mm", "ml", "cl", "px", "mp", "kb", "mb", "gb",
})
# fmt: on
_BLANKS = " \u00a0\u2009\u202f"
_BODY = rf"(?:\d+(?:[.,'’{_BLANKS}]\d+)*|[.,]\d+)(?:[eE][-+]?\d+)?"
_UNIT = rf"[^\d.,'’+−{_BLANKS}-]{{1,4}}\.?"
_NUMBER = re.compile(
    rf"(?P<minus>[-−]?)(?:(?P<before>{_UNIT})[{_BLANKS}]?)?(?P<inner>[-−]?)(?P<body>{_BODY})"
    rf"(?:[{_BLANKS}]?(?P<after>{_UNIT}))?"
)
_EXPONENT = r"(?:[eE][-+]\d+)?"
PLAIN = re.compile(rf"-?(?:0|[1-9]\d*)(?:\.\d+(?:[eE][-+]?\d+)?|{_EXPONENT})?")

# Amounts of money below zero, as accountants write them; "(12)" and "(4.8)" are rather counts and ratings.
_BRACKETED = re.compile(r"\(([^()+−-]*(?:[.,]\d\d|[€$£¥₹][^()+−-]*))\)")
_NO_CENTS = re.compile(r"(?<=\d)([.,])[-–—](?=\Z|\s)")  # 1.200,-
_GROUPED = re.compile(r"-?[1-9]\d{0,2}\.\d{3}")


def _pattern(thousands: str, decimal: str) -> re.Pattern[str]:
    """Return the pattern of a number with these separators, its whole part in groups or not."""
    groups = "|".join(
        rf"\d{{1,3}}(?:{mark}\d{{3}})+" for mark in (thousands, f"[{_BLANKS}]", "['’]")
    )
    lakh = rf"\d{{1,2}}(?:{thousands}\d\d)+{thousands}\d{{3}}"
    return re.compile(
        rf"(?P<whole>{groups}|{lakh}|\d+)?(?:{decimal}(?P<part>\d+)(?P<power>(?:[eE][-+]?\d+)?)"
        rf"|(?P<exponent>{_EXPONENT}))"
    )


_PATTERNS: dict[Decimal, re.Pattern[str]] = {".": _pattern(",", r"\."), ",": _pattern(r"\.", ",")}


@dataclass(frozen=True, slots=True)
class Reading:
    """The numbers that the text of a cell may stand for.

    point, comma  its value if the decimal separator is a point or a comma; None if it is no such number
    unit          its currency or unit, "" without one
    code          it has leading zeros
    """

    point: float | None
    comma: float | None
    unit: str = ""
    code: bool = False


NO_NUMBER = Reading(None, None)


@lru_cache(maxsize=4096)
def read_number(text: str) -> Reading:
    """Return what a cell may be as a number."""
    if len(text) > MAX_DIGITS:
        return NO_NUMBER
    if PLAIN.fullmatch(text):  # the usual case, in a third of the time
        if text.lstrip("-").isdecimal():
            return Reading(int(text), int(text))
        number = float(text)
        grouped = _GROUPED.fullmatch(text) and int(text.replace(".", ""))
        return Reading(number if math.isfinite(number) else None, grouped or None)
    if bracketed := _BRACKETED.fullmatch(text):
        text = f"-{bracketed[1]}"
    found = _NUMBER.fullmatch(_NO_CENTS.sub(r"\g<1>00", text))
    if found is None:
        return NO_NUMBER
    before, after, body = found["before"] or "", found["after"] or "", found["body"]
    if (before and after) or (found["minus"] and found["inner"]) or not _is_unit(before or after):
        return NO_NUMBER
    minus = bool(found["minus"] or found["inner"])
    point, comma = _value(body, ".", minus=minus), _value(body, ",", minus=minus)
    code = len(body) > 1 and body[0] == "0" and body[1].isdigit()
    return Reading(point, comma, (before or after).rstrip(".").casefold(), code)


def _is_unit(text: str) -> bool:
    symbols = [unicodedata.category(character) == "Sc" for character in text]
    if any(symbols):  # € and US$
        return all(s or c.isalpha() for c, s in zip(text, symbols, strict=True))
    return not text or text.rstrip(".").casefold() in _UNITS


def _value(body: str, decimal: Decimal, *, minus: bool) -> float | None:
    found = _PATTERNS[decimal].fullmatch(body)
    if found is None:
        return None
    whole = re.sub(r"\D", "", found["whole"] or "")
    sign = "-" if minus else ""
    if found["part"] is None and not found["exponent"]:
        return int(f"{sign}{whole}") if whole else None
    number = float(
        f"{sign}{whole or 0}.{found['part'] or 0}{found['power'] or found['exponent'] or ''}"
    )
    return number if math.isfinite(number) else None
