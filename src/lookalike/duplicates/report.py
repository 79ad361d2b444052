"""Results of a search for duplicates."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
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
copy        the same image: saved again, in another format or size
edit        made from the same image: cropped, framed, lettered, rotated, mirrored, tilted, lighter, grey
raw-jpeg    a raw file and the JPEG of the same shot
live-photo  the still image and the video of one shot
burst       two shots of one series
near        other images of one subject: another shot of the scene, another text on the form, a video of it
"""

Scope: TypeAlias = Literal["exact", "copies", "near", "burst", "raw-jpeg", "live-photo"]
SCOPES: Mapping[Scope, tuple[Kind, ...]] = {
    "exact": ("exact",),
    "copies": ("exact", "copy", "edit"),
    "near": ("exact", "copy", "edit", "burst", "near"),
    "burst": ("burst",),
    "raw-jpeg": ("raw-jpeg",),
    "live-photo": ("live-photo",),
}
"""Kinds of pairs that each scope includes. The first three scopes are ordered from strict to loose."""


def includes(scope: Scope, kind: Kind) -> bool:
    """Return whether a search of this scope includes a kind."""
    return kind in SCOPES[scope]


@dataclass(frozen=True, slots=True)
class Link:
    """Why two images belong together: kind, similarity (0 to 1), and an explanation for people."""

    kind: Kind
    similarity: float
    evidence: str


@dataclass(frozen=True, slots=True)
class Member:
    """One file of a group.

    file        its current path
    kind        its relation to the best image of the group; "exact" for the best image itself
    similarity  to the best image: 1 for the same bytes, else the share of the image that agrees or, in
                similar groups, the similarity of the vectors
    evidence    why it is in the group
    keep        whether a person marked it to be kept
    spare       whether it can go: the best image has the same content and is another file
    reason      why the best image is the best; why another one is not spare; "" for a spare one
    aliases     other paths of the same file, below their roots: hard links, and paths through symbolic links
    links       paths to remove so that a spare file is gone: its own and its hard links
    """

    image: Image
    file: Path
    kind: Kind
    similarity: float
    evidence: str
    keep: bool = False
    spare: bool = False
    reason: str = ""
    aliases: tuple[str, ...] = ()
    links: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class Group:
    """Images that belong together, the one to keep first, then the others by kind and similarity.

    `kind` is the loosest of the members' kinds. `keeper.Keeper` chooses the one to keep. `id` names the group
    by the contents of its files, the same whichever of them is kept; by default it is computed.
    """

    kind: Kind
    members: tuple[Member, ...]
    id: str = ""

    def __post_init__(self) -> None:
        if not self.id:
            object.__setattr__(self, "id", group_id(member.image for member in self.members))

    @property
    def best(self) -> Member:
        """The image to keep."""
        return self.members[0]

    @property
    def spare(self) -> tuple[Member, ...]:
        """The members that can go."""
        return tuple(member for member in self.members if member.spare)

    @property
    def reclaimable_bytes(self) -> int:
        """Bytes taken by the spare members."""
        return sum(member.image.size for member in self.spare)


def group_id(images: Iterable[Image]) -> str:
    """Return 16 hex digits that name a group of images by their contents, in whatever order."""
    contents = sorted(image.hash.hex() if image.hash else f"id:{image.id}" for image in images)
    return hashlib.blake2b("\n".join(contents).encode(), digest_size=8).hexdigest()


@dataclass(frozen=True, slots=True)
class Duplicates:
    """Groups of duplicates, the largest gain of disk space first.

    searched    number of images
    compared    pairs of images whose pixels were compared
    unreadable  pairs that could not be compared because a file is missing, changed or broken; they
                are no duplicates as long as nobody has seen both
    hidden      pairs left out because a person marked them as not duplicates
    stale       images left out because their files are missing, or changed since they were indexed
    missing     what else could be found and how; "" if nothing is known
    seconds     by stage: "hashes", "neighbours", "comparing", "detail", "total"
    """

    groups: tuple[Group, ...]
    searched: int
    compared: int
    unreadable: int
    hidden: int
    missing: str
    seconds: Mapping[str, float]
    stale: int = 0

    def __len__(self) -> int:
        return len(self.groups)
