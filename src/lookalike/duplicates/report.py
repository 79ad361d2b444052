"""Results of a search for duplicates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from lookalike.stores.interface import Image

Kind: TypeAlias = Literal["exact", "copy", "edit", "raw-jpeg", "live-photo", "burst", "near"]
KINDS: tuple[Kind, ...] = (
    "exact",
    "copy",
    "edit",
    "raw-jpeg",
    "live-photo",
    "burst",
    "near",
)
"""How two images are related, from the strictest to the loosest.

exact       the same bytes
copy        the same image: saved again, resized, turned as the camera should have, uniformly lighter, grey
edit        made from the same image: cropped, framed, lettered, mirrored, tilted, other colours
raw-jpeg    a raw file and the JPEG of the same shot
live-photo  the still image and the video of one shot
burst       two shots of one series
near        other images of one subject: another shot of the scene, another text on the form
"""

Scope: TypeAlias = Literal["exact", "copies", "near"]
LOOSEST: Mapping[Scope, Kind] = {"exact": "exact", "copies": "edit", "near": "near"}
"""What a search for duplicates includes: the loosest kind."""


def includes(scope: Scope, kind: Kind) -> bool:
    """Return whether a search of this scope includes a kind."""
    return KINDS.index(kind) <= KINDS.index(LOOSEST[scope])


@dataclass(frozen=True, slots=True)
class Link:
    """Why two images belong together: kind, similarity (0 to 1), and an explanation for people."""

    kind: Kind
    similarity: float
    evidence: str


@dataclass(frozen=True, slots=True)
class Member:
    """One image of a group.

    file        its current path
    kind        its relation to the best image of the group; "exact" for the best image itself
    similarity  to the best image: 1 for the same bytes, else the share of the image that agrees or, in
                similar groups, the similarity of the vectors
    evidence    why it is in the group
    keep        whether a person marked it to be kept
    """

    image: Image
    file: Path
    kind: Kind
    similarity: float
    evidence: str
    keep: bool = False


@dataclass(frozen=True, slots=True)
class Group:
    """Images that belong together, the one to keep first, then the others by similarity.

    The one to keep is the one that a person marked, else the one with the most pixels, then the most
    bytes, then the oldest. `kind` is the loosest of the members' kinds.
    """

    kind: Kind
    members: tuple[Member, ...]

    @property
    def best(self) -> Member:
        """The image to keep."""
        return self.members[0]

    @property
    def reclaimable_bytes(self) -> int:
        """Bytes taken by all members but the best."""
        return sum(member.image.size for member in self.members[1:])


@dataclass(frozen=True, slots=True)
class Duplicates:
    """Groups of duplicates, the largest gain of disk space first.

    searched    number of images
    compared    pairs of images whose pixels were compared
    unreadable  pairs that could not be compared because a file is missing, changed or broken; they
                count as copies only where their hashes leave no doubt
    hidden      pairs left out because a person marked them as not duplicates
    missing     what else could be found and how; "" if nothing is known
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
