"""OpenAPI schemas of the documents, made from their dataclasses.

Responses are not validated while they are given, which would cost more than finding them; tests do that.
"""

from __future__ import annotations

import types
from collections.abc import Mapping, Sequence
from dataclasses import is_dataclass
from functools import cache
from inspect import getdoc
from pathlib import Path
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, create_model

from lookalike.wire.codec import Document, document_of


def model(kind: type) -> type[BaseModel]:
    """Return the Pydantic model of the document of a dataclass."""
    return model_of(document_of(kind))


@cache
def model_of(document: Document[Any]) -> type[BaseModel]:
    """Return the Pydantic model of a document."""
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
