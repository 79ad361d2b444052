"""Reads the tensors in a file of PyTorch's legacy format without PyTorch, and without running anything in it.

Such a file is a pickle of a dict of tensors followed by their values. A pickle can name any function, so only
four names are resolved, to functions of this module; a file that has another one is refused.
"""

from __future__ import annotations

import math
import pickle
import pickletools
import struct
import warnings
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import PARSE_ERRORS, UsageError

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001

_MAX_OPCODES = 1 << 20
"""Of one pickle: a state dict has a few dozen for each tensor."""

_MAX_ELEMENTS = 1 << 30
"""Of one tensor."""


@dataclass(frozen=True, slots=True)
class _View:
    """A tensor before the values are read: which storage, and where in it."""

    storage: str
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]


def read_tensors(path: Path) -> dict[str, NDArray[np.generic]]:
    """Return the tensors of a state dict by name, as arrays; `UsageError` for any other file."""
    try:
        with path.open("rb") as stream:
            return _read(stream)
    except (pickle.UnpicklingError, *PARSE_ERRORS) as error:
        raise UsageError(
            f"{path} is not a state dict in PyTorch's legacy format ({error})"
        ) from None


def _read(stream: BinaryIO) -> dict[str, NDArray[np.generic]]:
    dtypes: dict[str, np.dtype[Any]] = {}
    if _load(stream, dtypes) != _MAGIC or _load(stream, dtypes) != _PROTOCOL:
        raise ValueError("it does not begin as one")
    if not _load(stream, dtypes).get("little_endian"):
        raise ValueError("its values are big-endian")
    views = _load(stream, dtypes)
    storages: dict[str, NDArray[np.generic]] = {}
    for key in _load(stream, dtypes):
        (count,) = struct.unpack("<q", stream.read(8))
        if not 0 <= count <= _MAX_ELEMENTS:
            raise ValueError(f"{count} values")
        content = stream.read(count * dtypes[key].itemsize)
        storages[key] = np.frombuffer(content, dtypes[key], count)
    found = {}
    for name, view in views.items():
        if not isinstance(view, _View):
            raise ValueError(f"{name} is no tensor")
        found[str(name)] = _strided(storages[view.storage], view)
    return found


def _load(stream: BinaryIO, dtypes: dict[str, np.dtype[Any]]) -> Any:
    """Unpickle the next object. ValueError where that would take memory without need: the unpickler makes
    room for the longest text and the last of the remembered objects before it reads them."""
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", DeprecationWarning
        )  # escapes in a text that Python does not know
        return _load_unwarned(stream, dtypes)


def _load_unwarned(stream: BinaryIO, dtypes: dict[str, np.dtype[Any]]) -> Any:
    start = stream.tell()
    for number, (opcode, argument, _) in enumerate(pickletools.genops(stream)):
        if number > _MAX_OPCODES or (
            opcode.name.endswith("PUT") and (argument or 0) > _MAX_OPCODES
        ):
            raise ValueError("it remembers too many objects")
    stream.seek(start)
    return _Tensors(stream, dtypes).load()


def _strided(storage: NDArray[np.generic], view: _View) -> NDArray[np.generic]:
    """Return the elements of a view; ValueError where it reaches beyond the storage."""
    sizes = list(zip(view.shape, view.stride, strict=True))
    last = view.offset + sum((size - 1) * step for size, step in sizes)
    lowest = min((view.offset, *view.shape, *view.stride))
    if lowest < 0 or last >= len(storage) or math.prod(view.shape) > len(storage):
        raise ValueError("a tensor reaches beyond its values")
    item = storage.itemsize
    return np.lib.stride_tricks.as_strided(
        storage[view.offset :], view.shape, [step * item for step in view.stride], writeable=False
    )


def _float_storage() -> np.dtype[Any]:
    return np.dtype("<f4")


def _long_storage() -> np.dtype[Any]:
    return np.dtype("<i8")


def _rebuild_tensor(
    storage: str, offset: int, shape: Sequence[int], stride: Sequence[int], *_: object
) -> _View:
    return _View(storage, int(offset), tuple(map(int, shape)), tuple(map(int, stride)))


_ALLOWED: dict[tuple[str, str], Callable[..., Any]] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("torch", "FloatStorage"): _float_storage,
    ("torch", "LongStorage"): _long_storage,
}


class _Tensors(pickle.Unpickler):
    """Unpickler that resolves nothing but `_ALLOWED`; `dtypes` gets the dtype of each storage."""

    def __init__(self, stream: BinaryIO, dtypes: dict[str, np.dtype[Any]]) -> None:
        super().__init__(stream)
        self._dtypes = dtypes

    def find_class(self, module: str, name: str) -> Callable[..., Any]:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return _ALLOWED[module, name]

    def persistent_load(self, identifier: Any) -> str:
        kind, dtype, key, *_ = identifier
        if kind != "storage" or dtype not in (_float_storage, _long_storage):
            raise pickle.UnpicklingError("it asks for something other than a storage")
        self._dtypes[key] = dtype()
        return str(key)
