"""Columns in memory, put together of the parts that the catalogue keeps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from lookalike.stores.filters import Value
from lookalike.stores.local.columns import BLOCK, Numbers, unpack_texts

FEW_TEXTS = 10_000
"""So few are brought into one order, whether or not the blocks share them."""


@dataclass(frozen=True, slots=True)
class Texts:
    """Texts at some positions.

    at      a run of positions, or any positions one by one
    codes   as many places in `texts`, -1 where there is none
    texts   sorted, unless only patterns are to be compared with them
    """

    at: slice | NDArray[np.int64]
    codes: NDArray[np.integer]
    texts: Sequence[str]


@dataclass(frozen=True, slots=True)
class Apart:
    """Texts of every block in an order of their own.

    codes  (blocks, BLOCK) int16 place among the texts of the block, -1 where there is none
    texts  sorted, block by block
    """

    codes: NDArray[np.int16]
    texts: Sequence[Sequence[str]]

    def parts(self) -> Iterator[Texts]:
        """Block by block."""
        for block, texts in enumerate(self.texts):
            if texts:
                yield Texts(slice(block * BLOCK, (block + 1) * BLOCK), self.codes[block], texts)


@dataclass(frozen=True, slots=True)
class Column:
    """One field of n positions; a position is a place in a block, whether or not it holds an image.

    numbers       (n,) float64, NaN where there is none; None where no position has one
    more_at       positions of further numbers, and more_numbers these
    texts         texts in one order for all blocks, where these share their values, and further ones
    apart         else: texts block by block, because to sort a million of them takes seconds
    """

    numbers: Numbers | None = None
    more_at: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    more_numbers: Numbers = field(default_factory=lambda: np.empty(0))
    texts: Sequence[Texts] = ()
    apart: Apart | None = None

    def parts(self) -> Iterator[Texts]:
        """All texts."""
        yield from self.texts
        if self.apart is not None:
            yield from self.apart.parts()

    @property
    def bytes(self) -> int:
        """Memory it takes; a text is taken for 80."""
        numbers = 0 if self.numbers is None else self.numbers.nbytes
        texts = sum(part.codes.nbytes + 80 * len(part.texts) for part in self.parts())
        return numbers + 2 * self.more_at.nbytes + texts

    def present(self, count: int) -> NDArray[np.bool_]:
        """(count,) which positions have a value."""
        found = np.zeros(count, np.bool_) if self.numbers is None else ~np.isnan(self.numbers)
        for part in self.texts:
            found[part.at] |= part.codes >= 0
        if self.apart is not None:
            found |= self.apart.codes.ravel() >= 0
        return found


class Builder:
    """A column that grows by parts."""

    def __init__(self, blocks: int) -> None:
        self._blocks = blocks
        self._numbers: NDArray[np.float64] | None = None
        self._codes: list[tuple[int, NDArray[np.integer], Sequence[str] | bytes]] = []
        self._texts: dict[Sequence[str] | bytes, Sequence[str]] = {}
        self._more: list[tuple[int, Value]] = []

    def add_numbers(self, place: int, numbers: NDArray[np.floating]) -> None:
        if self._numbers is None:
            self._numbers = np.full((self._blocks, BLOCK), np.nan)
        self._numbers[place] = numbers

    def add_texts(
        self, place: int, codes: NDArray[np.integer], texts: Sequence[str] | bytes
    ) -> None:
        """`texts` packed or not: many blocks have the same ones, which are unpacked once."""
        key = texts if isinstance(texts, bytes) else tuple(texts)
        if key not in self._texts:
            self._texts[key] = unpack_texts(key) if isinstance(key, bytes) else key
        self._codes.append((place, codes, key))

    def add_more(self, place: int, more: Sequence[tuple[int, Value]]) -> None:
        self._more += [(place * BLOCK + position, value) for position, value in more]

    def column(self) -> Column:
        numbers = [(at, value) for at, value in self._more if not isinstance(value, str)]
        alike = self._alike()
        return Column(
            None if self._numbers is None else self._numbers.ravel(),
            np.array([at for at, _ in numbers], np.int64),
            np.array([value for _, value in numbers], np.float64),
            [*(self._together() if alike else ()), *self._further()],
            None if alike else self._apart(),
        )

    def _alike(self) -> bool:
        """Whether the blocks share their values, by a few of them."""
        several = list(self._texts.values())
        few = several[:: len(several) // 8 + 1]
        total = sum(map(len, few))
        return sum(map(len, several)) < FEW_TEXTS or 2 * len(set().union(*few)) < total

    def _together(self) -> Iterator[Texts]:
        texts = sorted(set[str]().union(*self._texts.values()))
        place_of = {text: number for number, text in enumerate(texts)}
        # One more for the code that means "none".
        remaps = {
            key: np.array([*map(place_of.__getitem__, own), -1], np.int32)
            for key, own in self._texts.items()
        }
        if self._codes:
            codes = np.full((self._blocks, BLOCK), -1, np.int32)
            for place, own_codes, key in self._codes:
                np.take(remaps[key], own_codes, out=codes[place])
            yield Texts(slice(0, self._blocks * BLOCK), codes.ravel(), texts)

    def _apart(self) -> Apart:
        codes = np.full((self._blocks, BLOCK), -1, np.int16)
        texts: list[Sequence[str]] = [()] * self._blocks
        for place, own_codes, key in self._codes:
            texts[place] = self._texts[key]
            codes[place] = own_codes
            codes[place][own_codes == len(texts[place])] = -1
        return Apart(codes, texts)

    def _further(self) -> Iterator[Texts]:
        more = sorted((value, at) for at, value in self._more if isinstance(value, str))
        if more:
            at = np.array([at for _, at in more], np.int64)
            yield Texts(at, np.arange(len(more)), [text for text, _ in more])
