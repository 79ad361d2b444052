"""What people decided about the pictures of a served library."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from lookalike.client.connection import Connection
from lookalike.client.decode import decided
from lookalike.client.images import id_of
from lookalike.feedback.judgements import Decided
from lookalike.stores.records import Decision, DecisionKind


class Decisions:
    """The decisions of a served library, as `Library.decisions`: `Client.decisions`. Pictures are named by
    their id or their path in the library."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(
        self,
        kind: DecisionKind,
        picture: int | Path | str,
        *others: int | Path | str,
        who: str = "",
    ) -> list[Decision]:
        """Decide something on a picture, and on each of the others with it: see
        `lookalike.feedback.judgements.Decisions.add`."""
        meant = {**self._meant(kind, picture, others), "who": who}
        document = self._connection.send("POST", "/api/decisions", meant)
        return [decided(one).decision for one in document["decisions"]]

    def forget(
        self, kind: DecisionKind, picture: int | Path | str, *others: int | Path | str
    ) -> int:
        """Take decisions back; how many there were."""
        meant = self._meant(kind, picture, others)
        return int(self._connection.send("DELETE", "/api/decisions", meant)["forgotten"])

    def all(self, kinds: Iterable[DecisionKind] | None = None) -> list[Decided]:
        """Every decision (of these kinds), with the paths in the library that it is about."""
        wanted = None if kinds is None else set(kinds)
        document = self._connection.get("/api/decisions")
        return [
            decided(one) for one in document["decisions"] if wanted is None or one["kind"] in wanted
        ]

    def lines(self) -> Iterator[str]:
        """The decisions as JSON, one a line, for `load` of this or another library."""
        yield from self._connection.fetch("GET", "/api/decisions/lines").decode().splitlines()

    def load(self, lines: Iterable[str]) -> int:
        """Take over what `lines` gave; how many are new. `UsageError` names the line that is wrong, and
        then nothing is taken over."""
        sent = "".join(f"{line.rstrip()}\n" for line in lines).encode()
        kind = {"Content-Type": "application/x-ndjson"}
        answered = self._connection.fetch("POST", "/api/decisions/lines", sent, kind)
        return int(json.loads(answered)["new"])

    def _meant(
        self, kind: DecisionKind, picture: int | Path | str, others: Iterable[int | Path | str]
    ) -> dict[str, Any]:
        image, *rest = (id_of(self._connection, one) for one in (picture, *others))
        return {"kind": kind, "image": image, "others": rest}
