"""Shards: every file of the sources belongs to exactly one, on every machine and in every run."""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import sha256
from typing import Self

from lookalike.errors import UsageError
from lookalike.images.archives import split_member

MAX_SHARDS = 1_000_000


@dataclass(frozen=True, slots=True)
class Shard:
    """One of `count` shares of the files; `number` counts from 1."""

    number: int
    count: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the shard that "3/16" names. Raises UsageError."""
        found = re.fullmatch(r"(\d{1,7})/(\d{1,7})", text.strip(), re.ASCII)
        number, count = (int(found[1]), int(found[2])) if found else (0, 0)
        if not 1 <= number <= count <= MAX_SHARDS:
            raise UsageError(
                f"{text!r} is not a shard: write the number and the count, 1/16 to 16/16"
            )
        return cls(number, count)

    def contains(self, path: str) -> bool:
        """Return whether a file belongs to the shard, by its path relative to the root.

        A hash, so that the folders of one machine may be mounted elsewhere on another, and files that are
        added or removed move no other file to another shard.
        """
        if self.count == 1:
            return True
        digest = sha256(path.encode("utf-8", "surrogatepass")).digest()
        return int.from_bytes(digest[:8]) % self.count == self.number - 1

    def __str__(self) -> str:
        """Return "3/16"."""
        return f"{self.number}/{self.count}"


def shard_key(path: str) -> str:
    """Return the part of a path that decides its shard: the members of an archive stay together."""
    member = split_member(path)
    return member[0] if member else path


WHOLE = Shard(1, 1)
"""All files."""
