"""What a search for duplicates finds, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from lookalike.stores.interface import Image

Kind: TypeAlias = Literal["exact", "copies", "near"]
KINDS: tuple[Kind, ...] = ("exact", "copies", "near")
"""From the strictest to the loosest.

exact   the same bytes
copies  the same picture, saved again, resized, cropped, turned, mirrored, brightened …
near    another picture of the same: two shots of one scene
"""

Stage: TypeAlias = Literal["hashes", "neighbours", "comparing"]


@dataclass(frozen=True, slots=True)
class Member:
    """One image of a group. `file` is where it is now.

    kind        what it is to the best image of the group; of the best itself, "exact"
    similarity  to the best image: 1 for the same bytes, else the part of the picture that agrees, or,
                of similar groups, the similarity of their vectors
    evidence    in words, why it is in the group
    keep        somebody decided to keep it
    """

    image: Image
    file: Path
    kind: Kind
    similarity: float
    evidence: str
    keep: bool = False


@dataclass(frozen=True, slots=True)
class Group:
    """Images that belong together; the first is the one to keep: what somebody decided to keep, else
    the most pixels, then the most bytes, then the oldest. The others follow by similarity.

    kind  the loosest of its members
    """

    kind: Kind
    members: tuple[Member, ...]

    @property
    def best(self) -> Member:
        return self.members[0]

    @property
    def spare(self) -> int:
        """Bytes that all but the best take."""
        return sum(member.image.size for member in self.members[1:])


@dataclass(frozen=True, slots=True)
class Duplicates:
    """The groups, the largest gain of disk space first.

    searched    images that were looked at
    compared    pairs of pictures that were laid upon each other
    unreadable  pairs that could not be: a file is gone, changed or broken. They count as copies only
                where their hashes leave no doubt
    hidden      pairs that are not shown because somebody decided that they are no duplicates
    missing     what more would be found, in words with the remedy; "" if nothing is known
    seconds     by stage: "hashes", "neighbours", "comparing", "total"
    """

    groups: tuple[Group, ...]
    searched: int
    compared: int
    unreadable: int
    hidden: int
    missing: str
    seconds: Mapping[str, float]

    def __len__(self) -> int:
        return len(self.groups)
