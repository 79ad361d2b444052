"""Judgements of people about the images of a served library."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from lookalike.client.connection import Connection
from lookalike.client.images import id_of
from lookalike.feedback.judgements import Judgement
from lookalike.stores.records import Decision, DecisionKind
from lookalike.wire import decode
from lookalike.wire.http import FeedbackList, FeedbackRecord


class Feedback:
    """The judgements stored in a served library, as `Library.feedback`.

    Images are named by their id, or by their path in the library.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(
        self,
        kind: DecisionKind,
        image: int | Path | str,
        *others: int | Path | str,
        who: str = "",
    ) -> list[Decision]:
        """Store a judgement: see `lookalike.feedback.judgements.Feedback.add`."""
        body = {**self._body(kind, image, others), "who": who}
        document = self._connection.send("POST", "/api/feedback", body)
        return [judgement(one).decision for one in decode(FeedbackList, document).decisions]

    def remove(self, kind: DecisionKind, image: int | Path | str, *others: int | Path | str) -> int:
        """Remove judgements and return how many there were."""
        body = self._body(kind, image, others)
        return int(self._connection.send("DELETE", "/api/feedback", body)["removed"])

    def all(self, kinds: Iterable[DecisionKind] | None = None) -> list[Judgement]:
        """Return every judgement (of these kinds), with the paths in the library it is about."""
        wanted = None if kinds is None else set(kinds)
        document = self._connection.get("/api/feedback")
        return [
            judgement(one)
            for one in decode(FeedbackList, document).decisions
            if wanted is None or one.kind in wanted
        ]

    def export_lines(self) -> Iterator[str]:
        """Yield the judgements as JSON lines, for `import_lines` of this or another library."""
        yield from self._connection.request("GET", "/api/feedback/lines").decode().splitlines()

    def import_lines(self, lines: Iterable[str]) -> int:
        """Store exported judgements and return how many are new.

        `UsageError` names the first line that is wrong; then nothing is stored.
        """
        body = "".join(f"{line.rstrip()}\n" for line in lines).encode()
        headers = {"Content-Type": "application/x-ndjson"}
        answer = self._connection.request(
            "POST", "/api/feedback/lines", content=body, headers=headers
        )
        return int(json.loads(answer)["added"])

    def _body(
        self, kind: DecisionKind, image: int | Path | str, others: Iterable[int | Path | str]
    ) -> dict[str, Any]:
        first, *rest = (id_of(self._connection, one) for one in (image, *others))
        return {"kind": kind, "image": first, "others": rest}


def judgement(record: FeedbackRecord) -> Judgement:
    """Return a record as `Library.feedback` has it."""
    second = bytes.fromhex(record.second) if record.second else None
    return Judgement(
        Decision(record.kind, bytes.fromhex(record.first), second, record.who, record.when),
        tuple(map(Path, record.paths)),
        tuple(map(Path, record.other_paths)),
    )
