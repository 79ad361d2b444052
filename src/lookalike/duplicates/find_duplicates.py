"""Finds duplicates: candidate pairs are compared by their pixels, then grouped."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Sequence
from itertools import chain
from pathlib import Path

import numpy as np

from lookalike.duplicates.archive import split
from lookalike.duplicates.candidates import Hashes, nearest_pairs, neighbours
from lookalike.duplicates.comparison import Change, Comparison
from lookalike.duplicates.detail_reader import DetailReader
from lookalike.duplicates.group_builder import GroupBuilder
from lookalike.duplicates.grouping import (
    DisjointSets,
    Exclusions,
    Pair,
    group_links,
    pair,
)
from lookalike.duplicates.keeper import Rules
from lookalike.duplicates.pair_verifier import PairVerifier
from lookalike.duplicates.report import Duplicates, Kind, Link, Scope, includes
from lookalike.duplicates.shots import by_time, companion_groups
from lookalike.extractors.registry import HASHES
from lookalike.stores.interface import Ids, Snapshot, Space
from lookalike.stores.paths import ids_below, images_below

# Largest number of images for which neighbours are compared by default: it takes quadratic time where the
# store has no ANN index, and most of the time goes into comparing pixels.
MAX_IMAGES_FOR_NEIGHBOURS = 100_000

# Changes that make no duplicates where the user says so.
ROTATED: tuple[Change, ...] = ("rotated", "mirrored")
EXPOSURE: tuple[Change, ...] = ("lighter",)


class DuplicateSearch:
    """One search for duplicates in one snapshot of a library."""

    def __init__(
        self,
        snapshot: Snapshot,
        verifier: PairVerifier,
        ids: Ids,
        scope: Scope,
        archive: Collection[int] = frozenset(),
        ignored: Collection[Change] = frozenset(),
    ) -> None:
        self._ignored = {*ignored}
        self._snapshot = snapshot
        self._verifier = verifier
        self._ids = ids
        self._scope = scope
        self._links: dict[Pair, Link] = {}
        self.exclusions = Exclusions(snapshot, archive)
        self.seconds: dict[str, float] = {}

    def exact(self) -> list[list[int]]:
        """Return the images of equal content."""
        among = set(self._ids.tolist())
        kept = ([id for id in ids if id in among] for ids in self._snapshot.exact_duplicates())
        return [ids for ids in kept if len(ids) > 1]

    def by_hashes(self, spaces: Sequence[Space], ids: Ids) -> None:
        """Compare the pairs of similar hashes."""
        started = time.perf_counter()
        hashes = [Hashes(self._snapshot, space, ids) for space in spaces]
        found = chain.from_iterable(one.pairs() for one in hashes)
        allowed = self.exclusions.allowed(nearest_pairs(found))
        self.seconds["hashes"] = time.perf_counter() - started
        self._compare(p for p in allowed if p not in self._links)

    def by_neighbours(self, space: Space, ids: Ids) -> None:
        """Compare the nearest neighbours in a space, of images that are not linked yet."""
        started = time.perf_counter()
        sets = DisjointSets()
        for p in self._links:
            if self._is_link(p):
                sets.join(*p)
        representatives = np.array(sorted({sets.find(id) for id in ids.tolist()}), np.int64)
        nearest = {p for p, _ in neighbours(self._snapshot, space, representatives)}
        pairs = self.exclusions.allowed({p for p in nearest if p not in self._links})
        self.seconds["neighbours"] = time.perf_counter() - started
        self._compare(pairs)

    def groups(self, builder: GroupBuilder) -> list[list[int]]:
        """Return groups of ids, the best image of each first."""

        def find_links(pairs: Sequence[Pair]) -> set[Pair]:
            self._compare(self.exclusions.allowed(pairs))
            return {p for p in pairs if self._is_link(p)}

        links = [p for p in sorted(self._links) if self._is_link(p)]
        builder.load({id for link in links for id in link})
        links = [(one, other) for one, other in links if builder.are_present(one, other)]
        started = time.perf_counter()
        builder.measure(p for p in links if self._links[p].kind in ("copy", "edit"))
        self.seconds["detail"] = time.perf_counter() - started
        return group_links(links, builder.best, find_links)

    def link(self, one: int, other: int) -> Link:
        """Return what links two images of a group."""
        return self._links[pair(one, other)]

    def _is_link(self, p: Pair) -> bool:
        link = self._links.get(p)
        return link is not None and includes(self._scope, link.kind)

    def _compare(self, pairs: Iterable[Pair]) -> None:
        """Compare the pixels of pairs and record their links."""
        started = time.perf_counter()
        unknown = sorted(p for p in pairs if p not in self._links)
        comparisons = self._verifier.compare(unknown) if unknown else {}
        links = {
            p: link_of(comparison.kind, comparison)
            for p, comparison in comparisons.items()
            if comparison.kind is not None and self._ignored.isdisjoint(comparison.changes)
        }
        images = self._snapshot.images({id for p in links for id in p})
        self._links |= {p: by_time(link, images[p[0]], images[p[1]]) for p, link in links.items()}
        taken = time.perf_counter() - started
        self.seconds["comparing"] = self.seconds.get("comparing", 0.0) + taken


def link_of(kind: Kind, comparison: Comparison) -> Link:
    """Return the link that a comparison of pixels proves."""
    return Link(kind, comparison.similarity, comparison.evidence)


def find_duplicates(
    snapshot: Snapshot,
    verifier: PairVerifier,
    paths: Sequence[Path],
    *,
    kind: Scope,
    thorough: bool | None,
    archive: Sequence[Path] = (),
    prefer: Sequence[Path] = (),
    edits: bool = False,
    rotated: bool = True,
    exposure: bool = True,
    details: DetailReader | None = None,
) -> Duplicates:
    """Return the duplicates among the images at or below the paths.

    kind      the loosest kind to include
    thorough  also compare neighbours in a space, which finds crops, frames and tilted copies; None:
              for up to 100,000 images
    archive   compare them only with the images at or below these paths, which are never spare
    prefer    folders whose files are kept, the most important first
    edits     edits are spare, too
    rotated   include images that were rotated or mirrored
    exposure  include images that were made lighter or darker
    details   measures the detail of copies; None: their pixels are counted
    """
    started = time.perf_counter()
    ids, kept = ids_below(snapshot, paths), np.empty(0, np.int64)
    if archive:
        ids, kept = split(snapshot, paths, archive)
    for folder in prefer:
        images_below(
            snapshot, folder, limit=1
        )  # a misspelt one would keep other files than the user wants
    rules = Rules(tuple(prefer), frozenset(kept.tolist()), edits)
    ids = np.union1d(ids, kept)
    if kind == "raw-jpeg" or kind == "live-photo":
        images = snapshot.images(ids.tolist()).values()
        return Duplicates(
            groups=companion_groups(snapshot, images, kind),
            searched=len(ids),
            compared=0,
            unreadable=0,
            hidden=0,
            missing="",
            seconds={"total": time.perf_counter() - started},
        )
    ignored = (*(() if rotated else ROTATED), *(() if exposure else EXPOSURE))
    search = DuplicateSearch(snapshot, verifier, ids, kind, rules.archive, ignored)
    builder = GroupBuilder(snapshot, search.exact(), rules, details=details)
    missing = ""
    found: list[list[int]] = []
    if kind != "exact":
        alone = np.array([id for id in ids.tolist() if id not in builder.copies], np.int64)
        spaces = [space for space in snapshot.spaces() if space.current]
        hashed = [space for space in spaces if space.name in HASHES]
        space = next((space for space in spaces if space.name not in HASHES), None)
        missing = _missing(hashed, space, len(alone), thorough)
        search.by_hashes(hashed, alone)
        small = len(alone) <= MAX_IMAGES_FOR_NEIGHBOURS
        if space is not None and (thorough or (thorough is None and small)):
            search.by_neighbours(space, alone)
        found = search.groups(builder)
    groups = builder.groups(found, search.link, exact=includes(kind, "exact"))
    search.seconds["total"] = time.perf_counter() - started
    return Duplicates(
        groups=groups,
        searched=len(ids),
        compared=verifier.compared,
        unreadable=verifier.unreadable,
        hidden=len(search.exclusions.hidden),
        missing=missing,
        seconds=search.seconds,
        stale=builder.stale,
    )


def _missing(
    hashed: Sequence[Space], space: Space | None, images: int, thorough: bool | None
) -> str:
    """Return what else could be found, and the remedy."""
    lacking = [name for name in HASHES if name not in {space.name for space in hashed}]
    if lacking:
        return (
            "grey, brightened and mirrored copies are found more reliably with hashes: "
            f"`lookalike index --extractor {','.join(lacking)}`"
        )
    if space is None:
        return (
            "crops and frames are found with one more extractor: "
            "`lookalike index --extractor lookalike`"
        )
    if thorough is False or (thorough is None and images > MAX_IMAGES_FOR_NEIGHBOURS):
        return "crops, frames and tilted copies were not searched for; use --thorough"
    return ""
