"""JSON documents from dataclasses: written, read and described by their fields.

A new field of a dataclass appears in every document made from it, and in the schema, without another edit.
Where a document differs from its dataclass, a `Document` says so (see `wire.documents`).
"""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from functools import cache, cached_property
from inspect import getdoc
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar, Union, get_args, get_origin, get_type_hints

from lookalike.object_storage import shown

if TYPE_CHECKING:
    from pydantic import BaseModel

T = TypeVar("T")

Convert = Callable[[Any], Any]
Restore = Callable[[Mapping[str, Any]], Any]

_DOCUMENTS: dict[type, Document[Any]] = {}


class Document(Generic[T]):
    """The JSON form of one dataclass. The first one made for a class is used wherever the class occurs.

    name      name of its schema; by default the name of the class
    omit      fields that are not written, each with a function that restores it from the document
    digits    decimal places of fields of floats that have no metadata "digits"
    flatten   fields whose dataclass is written into the same object, by which document
    computed  keys that are not fields: their type, and a function of the value
    """

    def __init__(
        self,
        kind: type[T],
        *,
        name: str = "",
        omit: Mapping[str, Restore] | None = None,
        digits: Mapping[str, int] | None = None,
        flatten: Mapping[str, Document[Any]] | None = None,
        computed: Mapping[str, tuple[Any, Convert]] | None = None,
    ) -> None:
        self.kind = kind
        self.name = name or kind.__name__
        self.omit = omit or {}
        self.digits = digits or {}
        self.flatten = flatten or {}
        self.computed = computed or {}
        _DOCUMENTS.setdefault(kind, self)

    @cached_property
    def encode(self) -> Callable[[T], dict[str, Any]]:
        """Return the document of a value. Nothing is validated, for speed."""
        names: dict[str, Any] = {"shown": shown}
        # Compiled once per class, as `dataclasses` does: a loop over the fields takes three times as long.
        return eval(f"lambda value: {self.expression('value', names)}", names)  # type: ignore[no-any-return]  # noqa: S307

    def decode(self, document: Mapping[str, Any]) -> T:
        """Return the value of a document. Keys that are not known are ignored."""
        values = {
            name: document[name] if convert is None else convert(document[name])
            for name, convert in self._decoders.items()
            if name in document or name in self._required
        }
        for name, flat in self.flatten.items():
            values[name] = flat.decode(document)
        for name, restore in self.omit.items():
            values[name] = restore(document)
        return self.kind(**values)

    def types(self) -> dict[str, Any]:
        """Return the types of all keys of the document."""
        flat = {
            name: kind
            for document in self.flatten.values()
            for name, kind in document.types().items()
        }
        return {**flat, **self._own, **{name: kind for name, (kind, _) in self.computed.items()}}

    def expression(self, source: str, names: dict[str, Any]) -> str:
        """Return a Python expression for the document of the value that `source` denotes. What it needs is
        added to `names`."""
        parts = [f"**{flat.expression(f'{source}.{f}', names)}" for f, flat in self.flatten.items()]
        for name, hint in self._own.items():
            digits = self._metadata[name].get("digits", self.digits.get(name))
            value = expression(hint, f"{source}.{name}", digits, names)
            parts.append(f"{name!r}: {value}")
        for name, (_, compute) in self.computed.items():
            function = f"compute_{len(names)}"
            names[function] = compute
            parts.append(f"{name!r}: {function}({source})")
        return "{" + ", ".join(parts) + "}"

    @cached_property
    def _own(self) -> dict[str, Any]:
        """Types of the fields that are written under their own names."""
        found = get_type_hints(self.kind)
        return {
            field.name: found[field.name]
            for field in fields(self.kind)  # type: ignore[arg-type]
            if field.name not in self.omit and field.name not in self.flatten
        }

    @cached_property
    def _metadata(self) -> dict[str, Mapping[Any, Any]]:
        return {field.name: field.metadata for field in fields(self.kind)}  # type: ignore[arg-type]

    @cached_property
    def _decoders(self) -> dict[str, Convert | None]:
        return {name: decoder(hint) for name, hint in self._own.items()}

    @cached_property
    def _required(self) -> frozenset[str]:
        return frozenset(
            field.name
            for field in fields(self.kind)  # type: ignore[arg-type]
            if field.default is MISSING and field.default_factory is MISSING
        )


def document_of(kind: type[T]) -> Document[T]:
    """Return the document that is used for a dataclass."""
    return _DOCUMENTS.get(kind) or Document(kind)


def encode(value: Any) -> dict[str, Any]:
    """Return the JSON document of a dataclass instance."""
    return document_of(type(value)).encode(value)


def decode(kind: type[T], document: Mapping[str, Any]) -> T:
    """Return the instance of a dataclass that a JSON document describes."""
    return document_of(kind).decode(document)


def expression(hint: Any, source: str, digits: int | None, names: dict[str, Any]) -> str:
    """Return a Python expression for the JSON form of a value of this type."""
    inner, optional = without_none(hint)
    origin, arguments = get_origin(inner), get_args(inner)
    item = f"item_{source.count('item_')}"
    found = source
    if is_dataclass(inner):
        found = document_of(inner).expression(source, names)  # type: ignore[arg-type]
    elif inner is float and digits is not None:
        found = f"round({source}, {digits}) + 0.0"  # never "-0.0"
    elif inner is bytes:
        found = f"{source}.hex()"
    elif inner is Path:
        found = f"shown({source})"
    elif isinstance(inner, type) and issubclass(inner, Enum):
        found = f"{source}.value"
    elif is_sequence(origin):
        each = expression(arguments[0], item, digits, names)
        found = f"list({source})" if each == item else f"[{each} for {item} in {source}]"
    elif is_mapping(origin):
        key = expression(arguments[0], f"key_{item}", None, names)
        value = expression(arguments[1], item, digits, names)
        same = (key, value) == (f"key_{item}", item)
        pairs = f"{{{key}: {value} for key_{item}, {item} in {source}.items()}}"
        found = f"dict({source})" if same else pairs
    return f"(None if {source} is None else {found})" if optional and found != source else found


def decoder(hint: Any) -> Convert | None:
    """Return a function from the JSON form to values of a type, or None where they are the same."""
    inner, optional = without_none(hint)
    origin, arguments = get_origin(inner), get_args(inner)
    convert: Convert | None = None
    if is_dataclass(inner):
        convert = document_of(inner).decode  # type: ignore[arg-type]
    elif inner is bytes:
        convert = bytes.fromhex
    elif inner is Path or (isinstance(inner, type) and issubclass(inner, Enum)):
        convert = inner
    elif is_sequence(origin):
        convert = sequence_decoder(decoder(arguments[0]))
    elif is_mapping(origin):
        convert = mapping_decoder(*map(decoder, arguments))
    if convert is None or not optional:
        return convert
    some = convert
    return lambda value: None if value is None else some(value)


def sequence_decoder(item: Convert | None) -> Convert:
    """Return a decoder of a sequence."""
    return tuple if item is None else lambda values: tuple(map(item, values))


def mapping_decoder(key: Convert | None, value: Convert | None) -> Convert | None:
    """Return a decoder of a mapping."""
    if key is None and value is None:
        return None
    return lambda mapping: {
        name if key is None else key(name): one if value is None else value(one)
        for name, one in mapping.items()
    }


def without_none(hint: Any) -> tuple[Any, bool]:
    """Return the type beside None in an optional type, and whether it was optional."""
    if get_origin(hint) in (Union, types.UnionType):
        others = [one for one in get_args(hint) if one is not type(None)]
        if len(others) == 1:
            return others[0], True
    return hint, False


def is_sequence(origin: Any) -> bool:
    """Return whether a type is a sequence of one type."""
    return isinstance(origin, type) and issubclass(origin, Sequence)


def is_mapping(origin: Any) -> bool:
    """Return whether a type is a mapping."""
    return isinstance(origin, type) and issubclass(origin, Mapping)


def model(kind: type) -> type[BaseModel]:
    """Return the Pydantic model of the document of a dataclass."""
    return model_of(document_of(kind))


@cache
def model_of(document: Document[Any]) -> type[BaseModel]:
    """Return the Pydantic model of a document. It serves as OpenAPI schema only: to validate responses while
    they are given would cost more than finding them."""
    from pydantic import create_model

    keys: dict[str, Any] = {name: (json_type(kind), ...) for name, kind in document.types().items()}
    return create_model(document.name, __doc__=getdoc(document.kind), **keys)


def json_type(hint: Any) -> Any:
    """Return the type that a value of this type has in JSON, in terms that Pydantic knows."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return Union[tuple(json_type(one) for one in arguments)]  # noqa: UP007 - of computed types
    if is_dataclass(hint):
        return model(hint)  # type: ignore[arg-type]
    if hint is bytes or hint is Path:
        return str
    if isinstance(origin, type) and issubclass(origin, Sequence):
        return list[json_type(arguments[0])]  # type: ignore[misc]
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return dict[str, json_type(arguments[1])]  # type: ignore[misc]
    return hint
