"""Options that the fields of a dataclass describe."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

from lookalike.errors import UsageError
from lookalike.field_options import options_of


@dataclass
class Example:
    count: int = field(default=3, metadata={"help": "How many.", "low": 1, "flags": ("-c",)})
    weight: float = field(default=0.5, metadata={"low": 0, "high": 1})
    names: tuple[str, ...] = field(default=(), metadata={"parameter": "name"})
    mode: Literal["fast", "exact"] = "fast"
    detector: Literal["orb", "sift"] | None = None
    where: str | None = None
    quiet_mode: bool = False


OPTIONS = {option.name: option for option in options_of(Example)}


def test_types_defaults_and_metadata_become_options() -> None:
    kinds = [(one.name, one.kind, one.many, one.default) for one in OPTIONS.values()]
    assert kinds == [
        ("count", int, False, 3),
        ("weight", float, False, 0.5),
        ("names", str, True, ()),
        ("mode", str, False, "fast"),
        ("detector", str, False, None),
        ("where", str, False, None),
        ("quiet_mode", bool, False, False),
    ]
    assert (OPTIONS["count"].help, OPTIONS["count"].flags) == ("How many.", ("-c",))
    assert OPTIONS["mode"].choices == ("fast", "exact")
    assert OPTIONS["detector"].choices == ("orb", "sift")
    assert (OPTIONS["names"].parameter, OPTIONS["quiet_mode"].parameter) == ("name", "quiet_mode")
    assert OPTIONS["quiet_mode"].flags == ("--quiet-mode",)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("count", 0, "count is 0; it must be a whole number, at least 1"),
        ("count", 1.5, "count is 1.5; it must be a whole number"),
        ("weight", 1.1, "weight must be between 0 and 1, not 1.1"),
        ("names", "abc", r"`names` is a tuple: names=\('abc',\)"),
        ("mode", "slow", "mode is fast or exact, not 'slow'"),
        ("mode", None, "mode is fast or exact, not None"),
        ("detector", "surf", "detector is orb or sift, not 'surf'"),
    ],
)
def test_values_that_are_not_allowed_are_refused(name: str, value: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        OPTIONS[name].check(value)


@pytest.mark.parametrize(
    ("name", "value"),
    [("count", 1), ("weight", 0), ("names", ("a", "b")), ("detector", None), ("where", "x > 1")],
)
def test_values_that_are_allowed_pass(name: str, value: Any) -> None:
    OPTIONS[name].check(value)
