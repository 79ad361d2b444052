"""Lists of images: what a query without terms returns."""

from __future__ import annotations

import time

from lookalike.errors import Outcome
from lookalike.query import Hit, Hits, Query
from lookalike.search.stages import stage
from lookalike.stores.interface import Snapshot

PATH = "path"
"""The field by which a list is sorted unless the query says otherwise."""

SHOWN = ("metadata", "width", "height", "dominant_color")
"""Fields of an image that its hit has under the same name."""


def list_images(snapshot: Snapshot, query: Query) -> Hits:
    """Return the images that pass the filter of a query, all without one; `UsageError` for a field that the
    library does not have."""
    started = time.perf_counter()
    with stage("filter") as details:
        ids = snapshot.select(query.where or f"outcome = '{Outcome.INDEXED}'")
        details["passing"] = len(ids)
    field = query.sort or PATH
    with stage("sort", by=field):
        order = snapshot.sort(ids, field, reverse=query.reverse)[: query.k].tolist()
    with stage("hits", count=len(order)):
        fields = snapshot.hit_fields(order)
    folders = {root.id: root.path for root in snapshot.roots()}
    hits = []
    for rank, id in enumerate(order, start=1):
        image = fields[id]
        file = image.path, folders[image.root]
        shown = {name: getattr(image, name) for name in SHOWN}
        hits.append(Hit(rank, id, *file, None, **shown))
    took = time.perf_counter() - started
    return Hits(
        hits=tuple(hits),
        ranked_by=field,
        similarity=None,
        exact=True,
        searched_count=len(ids),
        seconds={"extract": 0.0, "search": took, "total": took},
    )
