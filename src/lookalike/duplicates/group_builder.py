"""Builds groups: one member a file, the one to keep first, and which of the others can go."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence

from lookalike.duplicates.companions import FolderListings
from lookalike.duplicates.detail_reader import DetailReader
from lookalike.duplicates.file_identity import (
    FileIdentities,
    one_per_file,
    removable_paths,
)
from lookalike.duplicates.keeper import Candidate, Keeper, Rules
from lookalike.duplicates.report import KINDS, Group, Kind, Link, Member
from lookalike.images.formats import DOCUMENTS, VIDEO_FORMATS, name_of
from lookalike.images.pages import is_page
from lookalike.stores.interface import Image, Snapshot

SAME_BYTES = Link("exact", 1.0, "the same bytes")


class GroupBuilder:
    """Builds groups from ids. Each image is read once from the snapshot.

    same        ids of images of equal content
    rules       which files may go
    details     measures the detail of images of which one is a copy or an edit of another
    need_files  leave out images whose files are missing, or changed since they were indexed
    """

    def __init__(
        self,
        snapshot: Snapshot,
        same: Iterable[Sequence[int]] = (),
        rules: Rules | None = None,
        *,
        details: DetailReader | None = None,
        need_files: bool = True,
    ) -> None:
        self._snapshot = snapshot
        self._rules = rules or Rules()
        self._keeper = Keeper(self._rules)
        self._details = details
        self._need_files = need_files
        self._images: dict[int, Image] = {}
        self._marked = {decision.first for decision in snapshot.decisions(["keep"])}
        self._files = FileIdentities(snapshot)
        self._folders = FolderListings()
        self._stale: set[int] = set()
        self._same: dict[int, list[int]] = {}
        self.copies: set[int] = set()
        for ids in same:
            self._add_same(ids)

    def _add_same(self, ids: Sequence[int]) -> None:
        """Note images of equal content. The first one whose file exists represents them."""
        self.load(ids)
        first = next((id for id in ids if self.is_present(id)), ids[0])
        self._same[first] = [first, *(id for id in ids if id != first and self.is_present(id))]
        self.copies |= {id for id in ids if id != first}

    @property
    def stale(self) -> int:
        """Images left out because their files are missing or changed."""
        return len(self._stale)

    def load(self, ids: Iterable[int]) -> None:
        """Read these images in one call."""
        self._images |= self._snapshot.images(id for id in ids if id not in self._images)

    def is_present(self, id: int) -> bool:
        """Return whether the file of an image is as it was when it was indexed."""
        self.load([id])
        present = not self._need_files or self._files.find(self._images[id]) is not None
        if not present:
            self._stale.add(id)
        return present

    def are_present(self, *ids: int) -> bool:
        """Return whether all of these images have a file that is as it was."""
        return {*map(self.is_present, ids)} == {True}

    def measure(self, links: Iterable[tuple[int, int]]) -> None:
        """Measure the detail of linked images, each once."""
        if self._details:
            self._details.measure({id for link in links for id in link})

    def best(self, ids: Sequence[int]) -> int:
        """Return the image to keep."""
        self.load(ids)
        owners = {candidate.image.id: id for id in ids for candidate in self._candidates(id)}
        candidates = [candidate for id in ids for candidate in self._candidates(id)]
        return owners[self._keeper.choose(candidates).image.id]

    def groups(
        self,
        found: Iterable[Sequence[int]],
        link: Callable[[int, int], Link],
        *,
        exact: bool = True,
    ) -> tuple[Group, ...]:
        """Return groups of more than one file, the largest gain of disk space first.

        found  groups of ids, the best one first
        link   returns the link of the best image with another
        exact  add groups of images of equal content that are in no other group
        """
        every = list(found)
        if exact:
            grouped = {id for ids in every for id in ids}
            every += [[id] for id in self._same if id not in grouped and self.is_present(id)]
        self.load(id for ids in every for id in ids)
        groups = [self._group(ids, link) for ids in every if not self._are_copied_pages(ids)]
        archive = self._rules.archive
        return tuple(
            sorted(
                (group for group in groups if group and _is_wanted(group, archive)),
                key=lambda group: (-group.reclaimable_bytes, _path_key(group.best.image)),
            )
        )

    def _are_copied_pages(self, ids: Sequence[int]) -> bool:
        """Return whether images are pages of files that are copies of each other, which are a group."""
        same = [self._images[other] for id in ids for other in self._same.get(id, [id])]
        return len({image.hash for image in same}) == 1 and all(
            is_page(self._files.path(image)) for image in same
        )

    def _group(self, ids: Sequence[int], link: Callable[[int, int], Link]) -> Group | None:
        """Return the group of these ids; None if all of them are one file."""
        first = self._keeper.choose(self._candidates(ids[0]))
        known = {first.file.identity}
        members: list[tuple[Candidate, Link]] = []
        for id in ids:
            found = SAME_BYTES if id == ids[0] else link(ids[0], id)
            for candidate in self._candidates(id):
                if candidate.file.identity not in known:
                    known.add(candidate.file.identity)
                    members.append((candidate, found))
        if not members:
            return None
        reason = self._keeper.reason(first, [candidate for candidate, _ in members])
        best = self._member(first, SAME_BYTES, reason)
        others = [
            self._member(candidate, found, self._objection(first, candidate, found), other=True)
            for candidate, found in members
        ]
        others.sort(key=lambda m: (KINDS.index(m.kind), -m.similarity, _path_key(m.image)))
        return Group(max((m.kind for m in others), key=KINDS.index), (best, *others))

    def _objection(self, best: Candidate, other: Candidate, link: Link) -> str:
        """Return why a file is not spare; "" if it is."""
        if is_page(other.file.path):
            is_frame = other.image.format in VIDEO_FORMATS
            return "stays: a frame of a video" if is_frame else "stays: a page of a file"
        documents = DOCUMENTS & {best.image.format, other.image.format}
        if link.kind != "exact" and documents:
            return f"stays: a {name_of(min(documents))} is compared by its looks only"
        spare_kinds: tuple[Kind, ...] = ("exact", "copy", "edit" if self._rules.edits else "copy")
        if link.kind not in spare_kinds:
            return "stays: an edit" if link.kind == "edit" else "stays: another image"
        if not best.file.hard_links and not is_page(best.file.path):
            return "stays: the file to keep is missing"
        if other.is_among(self._rules.archive):
            return "stays: in the archive"
        if other.marked and link.kind != "exact":
            return "stays: marked to be kept"
        if not removable_paths(other.paths):
            return "stays: reached through a link, or has other hard links"
        return "" if link.kind == "exact" else self._keeper.objection(best, other)

    def _member(self, one: Candidate, link: Link, reason: str, *, other: bool = False) -> Member:
        spare = other and not reason
        return Member(
            one.image,
            one.file.path,
            link.kind,
            link.similarity,
            link.evidence,
            keep=one.marked,
            spare=spare,
            reason=reason,
            aliases=tuple(
                dict.fromkeys(f.image.path for f in one.paths if f.path != one.file.path)
            ),
            links=removable_paths(one.paths) if spare else (),
        )

    def _candidates(self, id: int) -> list[Candidate]:
        """Return the files with the content of an image."""
        images = [self._images[other] for other in self._same.get(id, [id])]
        return [
            Candidate(
                tuple(paths),
                marked=paths[0].image.hash in self._marked,
                pinned=not removable_paths(paths) or any(file.linked for file in paths),
                raw=any(self._folders.companions(file.path).raw for file in paths),
                detail=self._details.get(id) if self._details else None,
            )
            for paths in one_per_file(self._files.expect(image) for image in images)
        ]


def _is_wanted(group: Group, archive: Collection[int]) -> bool:
    """Return whether a group has files inside and outside the archive, if there is one."""
    inside = {member.image.id in archive for member in group.members}
    return not archive or len(inside) == 2


def _path_key(image: Image) -> tuple[int, str]:
    return image.root, image.path
