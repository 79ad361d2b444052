"""The ANN indexes of a served library."""

from __future__ import annotations

from lookalike.ann.faiss_index import Progress, no_progress
from lookalike.client.connection import Connection
from lookalike.client.jobs import report_stages, wait_for
from lookalike.errors import UsageError
from lookalike.indexing.ann import CHECK_QUERIES, CheckResult
from lookalike.stores.ann_index import Index, IndexBuildOptions, IndexCheck
from lookalike.wire import decode
from lookalike.wire.http import CheckHistory


class Ann:
    """The ANN indexes of a served library, as `Library.ann`. `Client.info` tells of each space what its
    index is."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def build(
        self,
        extractor: str | None = None,
        options: IndexBuildOptions | None = None,
        *,
        progress: Progress = no_progress,
    ) -> dict[str, Index]:
        """Build indexes as `Library.ann.build` does, and wait for the end. The server chooses recipe and
        threads: `UsageError` if they are given."""
        options = options or IndexBuildOptions()
        if options.recipe is not None or options.threads is not None:
            raise UsageError("over HTTP the server chooses recipe and threads: leave them out")
        request = {"extractor": extractor, "target": options.target, "memory": options.memory}
        job = self._connection.send("POST", "/api/ann", request)
        built = wait_for(self._connection, job, report_stages(progress))
        return {name: decode(Index, one) for name, one in built.items()}

    def remove(self, extractor: str | None = None) -> list[str]:
        """Search exactly from now on, as `Library.ann.remove`; return the names of the spaces that had an
        index."""
        return list(
            self._connection.send("DELETE", "/api/ann", {"extractor": extractor})["removed"]
        )

    def check(
        self,
        extractor: str | None = None,
        *,
        queries: int = CHECK_QUERIES,
        rebuild: bool = True,
        progress: Progress = no_progress,
    ) -> list[CheckResult]:
        """Measure indexes as `Library.ann.check` does, and wait for the end."""
        request = {"extractor": extractor, "queries": queries, "rebuild": rebuild}
        job = self._connection.send("POST", "/api/ann/check", request)
        found = wait_for(self._connection, job, report_stages(progress))
        return [decode(CheckResult, one) for one in found["results"]]

    def history(self, extractor: str) -> list[IndexCheck]:
        """Return all measurements of a space's index, oldest first."""
        document = self._connection.get("/api/ann/history", {"extractor": extractor})
        return list(decode(CheckHistory, document).checks)
