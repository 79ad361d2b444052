"""The indexes of a served library."""

from __future__ import annotations

from lookalike.ann.faiss_index import Progress, no_progress
from lookalike.client.connection import Connection
from lookalike.client.decode import index, index_check, space
from lookalike.client.jobs import ended, staged
from lookalike.errors import UsageError
from lookalike.indexing.ann import CHECK_QUERIES, CheckResult
from lookalike.stores.ann_index import Index, IndexBuildOptions, IndexCheck


class Ann:
    """The indexes of a served library, as `Library.ann`: `Client.ann`. What they are, `Client.info`
    says of each space."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def build(
        self,
        extractor: str | None = None,
        options: IndexBuildOptions | None = None,
        *,
        progress: Progress = no_progress,
    ) -> dict[str, Index]:
        """As `Library.ann.build`, and waits for the end. Recipe and threads the server chooses itself:
        `UsageError` for options that name them."""
        options = options or IndexBuildOptions()
        if options.recipe is not None or options.threads is not None:
            raise UsageError("over HTTP the server chooses recipe and threads: leave them out")
        words = {"by": extractor, "target": options.target, "memory": options.memory}
        state = self._connection.send("POST", "/api/ann", words)
        built = ended(self._connection, state, staged(progress))
        return {name: index(one) for name, one in built.items()}

    def remove(self, extractor: str | None = None) -> list[str]:
        """As `Library.ann.remove`: search exactly from now on; whose index it was."""
        return list(self._connection.send("DELETE", "/api/ann", {"by": extractor})["removed"])

    def check(
        self,
        extractor: str | None = None,
        *,
        queries: int = CHECK_QUERIES,
        rebuild: bool = True,
        progress: Progress = no_progress,
    ) -> list[CheckResult]:
        """As `Library.ann.check`, and waits for the end."""
        words = {"by": extractor, "queries": queries, "rebuild": rebuild}
        state = self._connection.send("POST", "/api/ann/check", words)
        found = ended(self._connection, state, staged(progress))
        return [
            CheckResult(
                space(one["space"]),
                one["before"],
                one["check"] and index_check(one["check"]),
                one["rebuilt"],
            )
            for one in found["verdicts"]
        ]

    def history(self, extractor: str) -> list[IndexCheck]:
        """All checks of a space's index, oldest first."""
        document = self._connection.get("/api/ann/history", {"by": extractor})
        return [index_check(one) for one in document["checks"]]
