"""Moments as cameras and programs write them, in one form: "2024-05-01T12:30:00+02:00" or less."""

from __future__ import annotations

import re
from datetime import date, datetime

_MOMENT = re.compile(
    r"(\d{4})[:/.-](\d\d)[:/.-](\d\d)(?:[ T](\d\d):(\d\d)(?::(\d\d)(?:[.,]\d+)?)?)? ?(.*)"
)
_OFFSET = re.compile(r"([+-])(\d\d?):?(\d\d)")


LOCAL = len("2024-05-01T12:30:00")
"""Characters of a moment without a time zone."""


def iso_moment(text: str, offset: str = "") -> str | None:
    """Return a date, or a date and time, in ISO 8601; None where it is none, or not a real one.

    offset  of the time zone, if the text itself states none. An unknown time zone is left out.
    """
    match = _MOMENT.fullmatch(text.strip())
    if match is None:
        return None
    *parts, zone = match.groups()
    numbers = [int(part or 0) for part in parts]
    try:
        if parts[3] is None:
            return date(*numbers[:3]).isoformat()
        moment = datetime(*numbers)  # type: ignore[arg-type]
    except ValueError:  # 0000:00:00 is a clock that was never set
        return None
    return moment.isoformat() + (_offset(zone) or _offset(offset))


def _offset(text: str) -> str:
    text = text.strip()
    if text in ("Z", "z"):
        return "+00:00"
    match = _OFFSET.fullmatch(text)
    if match is None or int(match[2]) > 14 or int(match[3]) > 59:
        return ""
    return f"{match[1]}{int(match[2]):02}:{match[3]}"


def is_same_moment(one: str | None, other: str | None) -> bool:
    """Return whether two moments with a time of day are the same, to two seconds, whatever their zones."""
    try:
        times = [datetime.fromisoformat((text or "")[:LOCAL]) for text in (one, other)]
    except ValueError:
        return False
    lengths = {len(one or "") >= LOCAL, len(other or "") >= LOCAL}
    return lengths == {True} and abs((times[0] - times[1]).total_seconds()) <= 2


def with_zone(moment: str | None, other: str | None) -> str | None:
    """Return a moment with the time zone that another statement of the same local time has."""
    if moment and other and len(moment) == LOCAL and other.startswith(moment):
        return other
    return moment
