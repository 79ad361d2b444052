"""What a walk did not see: reasons not to forget the pictures that it did not meet."""

from __future__ import annotations

import os
from collections.abc import Sequence

from lookalike.indexing.sources import Source, relatives
from lookalike.stores.interface import Writer


class Unseen:
    """Folders and files that a run could not enter.

    places  them, with the reasons
    """

    def __init__(self) -> None:
        self.places: list[tuple[str, str]] = []
        self._links: list[str] = []
        self._lost = False

    def note(self, path: str, reason: str) -> None:
        """A link that leads nowhere is what it is, unless pictures were below it; anything else was there a
        moment ago, and whoever has lost one file may have lost the drive with all others."""
        self.places.append((path, reason))
        if os.path.islink(path):  # noqa: PTH114 - pathlib raises where a path is too long
            self._links.append(path)
        else:
            self._lost = True

    def hides(self, writer: Writer, source: Source) -> bool:
        """Whether pictures of the source may be there all the same."""
        return self._lost or any(
            writer.sweep(source.root.id, link, dry_run=True) for link in self._links_in(source)
        )

    def _links_in(self, source: Source) -> Sequence[str]:
        inside = os.path.join(source.path, "")  # noqa: PTH118
        return relatives((link for link in self._links if link.startswith(inside)), source.root)
