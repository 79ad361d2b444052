"""Options described by the fields of a dataclass.

A field has its type, its default and `metadata`: "help", and what else an `Option` needs. The command line
and the HTTP interface make their parameters from it, so that a new option is written once.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import Field, dataclass, fields
from types import NoneType
from typing import Any, Literal, Self, get_args, get_origin, get_type_hints

from lookalike.errors import UsageError


@dataclass(frozen=True, slots=True)
class Option:
    """One option.

    name       name of the field
    kind       type of the value, or of each value if there are `many`
    choices    the only values of a string; () where any is allowed
    low, high  smallest and largest number
    flags      on the command line, where they are not `--name`
    parameter  name in HTTP, where it is another
    metavar    what the value is called in help texts
    """

    name: str
    kind: type
    many: bool
    default: Any
    choices: tuple[str, ...]
    help: str = ""
    low: float | None = None
    high: float | None = None
    flags: tuple[str, ...] = ()
    parameter: str = ""
    metavar: str | None = None

    @classmethod
    def of(cls, source: Field[Any], hint: Any) -> Self:
        """Return the option that a field describes."""
        if get_origin(hint) not in (Literal, tuple):  # X | None
            hint = next((one for one in get_args(hint) if one is not NoneType), hint)
        many = get_origin(hint) is tuple
        choices = get_args(hint) if get_origin(hint) is Literal else ()
        kind = str if choices or many else hint
        names = {"flags": (f"--{source.name.replace('_', '-')}",), "parameter": source.name}
        return cls(source.name, kind, many, source.default, choices, **{**names, **source.metadata})

    def check(self, value: Any) -> None:
        """Raise `UsageError` for a value that is not allowed."""
        if self.many:
            if isinstance(value, str):  # its letters would be taken for names
                raise UsageError(f"`{self.name}` is a tuple: {self.name}=({value!r},)")
        elif self.choices:
            if value is not None or self.default is not None:
                check_choice(self.name, value, self.choices)
        elif self.kind is int and self.low is not None:
            if not _is_integer(value) or value < self.low:
                raise UsageError(
                    f"{self.name} is {value}; it must be a whole number, at least {self.low:g}"
                )
        elif self.low is not None and self.high is not None and not self.low <= value <= self.high:
            raise UsageError(
                f"{self.name} must be between {self.low:g} and {self.high:g}, not {value}"
            )


def check_choice(name: str, value: object, choices: Sequence[str]) -> None:
    """Raise `UsageError` for a value that is none of the choices."""
    if value not in choices:
        raise UsageError(f"{name} is {' or '.join(choices)}, not {value!r}")


def options_of(kind: type) -> tuple[Option, ...]:
    """Return the options that the fields of a dataclass describe."""
    hints = get_type_hints(kind)
    return tuple(Option.of(each, hints[each.name]) for each in fields(kind))


def _is_integer(value: object) -> bool:
    try:
        operator.index(value)  # type: ignore[arg-type]  # also takes the integers of NumPy
    except TypeError:
        return False
    return True
