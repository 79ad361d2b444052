"""The connection to a Milvus server, and the collections in it: one for the vectors of each space.

Needs no more than Milvus 2.3 has. Malkov & Yashunin, 2018 (see `ann_search`), describe the index.
"""

from __future__ import annotations

import logging
import os
import re
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import LibraryDamaged, LibraryError, LookalikeError, MissingExtra, StorageFull
from lookalike.stores.postgres.url import milvus_address
from lookalike.stores.records import Ids, Space

OLDEST_SERVER = (2, 3)

CONNECT_SECONDS = 10
"""Time to wait for a server that does not answer."""

HEALTH_SECONDS = 2
"""Time to wait for an answer where somebody asks whether there is one."""

STARTING_SECONDS = 30
"""Time to wait for a server that says that it is starting or still loading."""

RETRIES = 5
"""Attempts of pymilvus to reach a server that has broken the connection; they take about a second."""

LINKS, EF_CONSTRUCTION = 32, 200
"""Of the HNSW graphs. Milvus builds them by segments, and changes them only while nobody can search."""

MAX_DIM = 32_768
"""Numbers of the longest vector that Milvus holds."""

MESSAGE_BYTES = 16 << 20
"""Vectors that travel in one message; Milvus sends at most 64 MB."""

INDEXED_ROWS = 1_024
"""Rows of a segment below which Milvus builds no index for it."""

LOADING_SECONDS = 300
"""Time to wait until an index that is built is also searched."""

IDS_AT_A_TIME = 2_048
"""Rows that are named one by one in a request."""

_COLLECTION_NOT_FOUND, _NOT_LOADED = 100, 101
_STARTING = (
    "not ready",
    "recovering",
    "no available",
    "not available",
    "is not serving",
    "not fully loaded",
)


_AWAY = (
    *_STARTING,
    "fail connecting",
    "retry run out",
    "unavailable",
    "connection refused",
    "closed channel",
    "deadline",
    "timeout",
)
"""What it, or the client, says when a part of it does not answer."""


class Milvus:
    """A Milvus server. Connects on first use; one object serves all threads of a process."""

    def __init__(self, url: str) -> None:
        """url: `milvus://HOST:PORT/DATABASE`, without user and password, which are in MILVUS_TOKEN.

        `tables` is for `milvus_vectors`: by table, a state of a space, and its rows and images.
        """
        self.url = url
        self._client: Any = None
        self._lock = threading.Lock()
        self._ready: set[str] = set()
        self.tables: dict[str, tuple[UUID, tuple[Ids, Ids] | None]] = {}

    def call(self, method: str, *arguments: Any, **options: Any) -> Any:
        """Return what this method of `pymilvus.MilvusClient` returns; a starting server is waited for.

        `MissingExtra` without pymilvus; `LibraryError`, in a line, for a server that is away or refuses.
        """
        deadline = time.monotonic() + STARTING_SECONDS
        while True:
            client = self._connected()
            import grpc
            from pymilvus import MilvusException

            try:
                return getattr(client, method)(*arguments, retry_times=RETRIES, **options)
            except (MilvusException, grpc.RpcError) as error:
                starting = any(words in str(error) for words in _STARTING)
                if not starting or time.monotonic() > deadline:
                    raise self._library_error(error) from error
            time.sleep(0.2)

    def _connected(self) -> Any:
        with self._lock:
            if self._client is None:
                self._client = self._connect()
            return self._client

    def _connect(self) -> Any:
        try:
            # It writes every error to standard error, over many lines.
            logging.getLogger("pymilvus").setLevel(logging.CRITICAL + 1)
            import grpc
            from pymilvus import MilvusClient, MilvusException
        except ImportError as error:
            raise MissingExtra(
                "vectors in Milvus need pymilvus: pip install 'lookalike[milvus]'"
            ) from error
        uri, database = milvus_address(self.url)
        token = os.environ.get("MILVUS_TOKEN", "")
        try:
            client = MilvusClient(uri, token=token, db_name=database, timeout=CONNECT_SECONDS)
            version = str(client.get_server_version())
        except (MilvusException, grpc.RpcError) as error:
            raise self._library_error(error) from error
        found = re.match(r"v?(\d+)\.(\d+)", version)
        if found is not None and (int(found[1]), int(found[2])) < OLDEST_SERVER:
            client.close()
            raise LibraryError(
                f"{self.url} is Milvus {version}: a library needs Milvus 2.3 or newer"
            )
        return client

    def answers(self) -> bool:
        """Return whether the server answers now."""
        try:
            self._connected().list_collections(timeout=HEALTH_SECONDS)
        except LookalikeError:
            return False
        except Exception as error:
            from pymilvus import MilvusException

            if not isinstance(error, MilvusException):
                raise
            return False
        return True

    def written(self, collection: str) -> int:
        """Return the server's time of this process's last change of a collection; 0 if it is not known."""
        from pymilvus.client.ts_utils import get_collection_ts

        uri, database = milvus_address(self.url)
        return int(get_collection_ts(collection, uri.partition("://")[2], database) or 0)

    def is_ready(self, collection: str) -> bool:
        """Return whether this process knows that a collection is as it should be, and loaded."""
        return collection in self._ready

    def set_ready(self, collection: str, ready: bool) -> None:
        """Remember it."""
        (self._ready.add if ready else self._ready.discard)(collection)

    def close(self) -> None:
        """Close the connection; the next call opens one."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()

    def _library_error(self, error: Exception) -> LookalikeError:
        said = _said(error)
        code = getattr(error, "code", None)
        if code == _COLLECTION_NOT_FOUND:
            return LibraryDamaged(
                f"{self.url} has no such collection ({said}): name the right server in ?vectors=…, or "
                "restore a backup of it"
            )
        words, whole = said.lower(), str(error).lower()
        if any(one in whole for one in _AWAY):
            return LibraryError(
                f"no connection to {self.url}: is Milvus running, and the host right? What was committed "
                "before is safe; run the same again when it is back"
            )
        if "auth" in words or "permission" in words or "privilege" in words:
            return LibraryError(
                f"{self.url} refuses the login ({said}): set MILVUS_TOKEN to USER:PASSWORD of a user with "
                "the right to it"
            )
        if "quota" in words or "no space" in words or "out of memory" in words:
            return StorageFull(
                f"{self.url} has no room left ({said}): what was committed before is safe; make room and "
                "run the same again"
            )
        return LibraryError(f"{self.url}: {said}")


def _said(error: Exception) -> str:
    """Return what the server said in a line, without its stack."""
    text = str(getattr(error, "message", "") or error).partition("stack trace")[0]
    return " ".join(text.split())[:300].rstrip(".: ")


@dataclass(frozen=True, slots=True)
class Collection:
    """The collection of a space: rows of a number, `id`, which is never given again, and a `vector`.

    newest   the largest number that was given to a row
    written  the server's time (a hybrid timestamp) when the last row that the library knows was written
    """

    milvus: Milvus
    name: str
    newest: int
    written: int

    def create(self, space: Space) -> None:
        """Make the collection, with its index, which Milvus builds as vectors come. It is loaded later."""
        from pymilvus import DataType, MilvusClient

        schema = MilvusClient.create_schema(
            auto_id=False, enable_dynamic_field=False, description=f"lookalike: {space.key}"[:200]
        )
        schema.add_field("id", DataType.INT64, is_primary=True)
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=space.dim)
        index = MilvusClient.prepare_index_params()
        if space.boxes is None:
            parameters = {"M": LINKS, "efConstruction": EF_CONSTRUCTION}
            index.add_index(
                "vector", index_type="HNSW", metric_type=metric_of(space), params=parameters
            )
        else:  # vectors of regions are compared by this program
            index.add_index("vector", index_type="FLAT", metric_type=metric_of(space), params={})
        self.milvus.call(
            "create_collection", self.name, schema=schema, consistency_level="Eventually"
        )
        self.milvus.call("create_index", self.name, index, sync=False)

    def drop(self) -> None:
        """Drop the collection, if it is there."""
        self.milvus.set_ready(self.name, False)
        self.milvus.call("drop_collection", self.name)

    def ready(self, space: Space) -> None:
        """Load the collection, unless that is done.

        `LibraryDamaged` where it is missing, or is not that of the space.
        """
        if self.milvus.is_ready(self.name):
            return
        try:
            facts = self.milvus.call("describe_collection", self.name)
        except LibraryDamaged as error:
            raise LibraryDamaged(
                f"{self.milvus.url} has lost the vectors of {space.name} (collection {self.name}): name the "
                "right server in ?vectors=…, restore a backup, or run `lookalike drop "
                f"{space.name}` and index again"
            ) from error
        fields = {field["name"]: field for field in facts["fields"]}
        dim = fields.get("vector", {}).get("params", {}).get("dim")
        if dim != space.dim or fields.keys() != {"id", "vector"}:
            raise LibraryDamaged(
                f"the collection {self.name} in {self.milvus.url} holds "
                f"{f'vectors of {dim} numbers' if dim else 'no vectors'}, those of {space.name} have "
                f"{space.dim}: it belongs to another program; name the right server in ?vectors=…"
            )
        self.milvus.call("load_collection", self.name)
        self.milvus.set_ready(self.name, True)

    def insert(self, numbers: Ids, vectors: NDArray[np.float32]) -> int:
        """Write rows; return the server's time, from which on they can be found."""
        step = max(1, MESSAGE_BYTES // (vectors.shape[1] * 4))
        for start in range(0, len(numbers), step):
            rows = [
                {"id": id, "vector": vector}
                for id, vector in zip(
                    numbers[start : start + step].tolist(),
                    vectors[start : start + step],
                    strict=True,
                )
            ]
            self.milvus.call("insert", self.name, rows)
        return self.milvus.written(self.name)

    def delete(self, numbers: Ids) -> None:
        """Delete those of these rows that exist."""
        for start in range(0, len(numbers), IDS_AT_A_TIME):
            chosen = numbers[start : start + IDS_AT_A_TIME]
            self.milvus.call("delete", self.name, filter=one_of(chosen))

    def count(self, condition: str = "") -> int:
        """Return how many rows there are, as of now."""
        found = self._loaded(
            "query", filter=condition, output_fields=["count(*)"], consistency_level="Strong"
        )
        return int(found[0]["count(*)"])

    def vectors(self, condition: str, dim: int) -> tuple[Ids, NDArray[np.float32]]:
        """Return number (n,) and vector (n, dim) of the rows that satisfy a condition, by rising number."""
        found = self._loaded(
            "query",
            filter=condition,
            output_fields=["vector"],
            strict_float32=True,
            **self._at_least(),
        )
        numbers = np.array([row["id"] for row in found], np.int64)
        vectors = np.empty((len(found), dim), np.float32)
        for at, row in enumerate(found):
            vectors[at] = row["vector"]
        order = np.argsort(numbers)
        return numbers[order], vectors[order]

    def numbers(self, first: int, last: int) -> Ids:
        """Return the rising numbers of the rows in a range, as of now."""
        found = self._loaded(
            "query",
            filter=f"id >= {first} and id <= {last}",
            output_fields=["id"],
            consistency_level="Strong",
        )
        return np.sort(np.array([row["id"] for row in found], np.int64))

    def search(
        self,
        queries: NDArray[np.float32],
        limit: int,
        ef: int,
        *,
        condition: str = "",
        with_vectors: bool = False,
    ) -> Iterator[tuple[Ids, NDArray[np.float32]]]:
        """Yield for each query the numbers (n,) of at most `limit` rows, nearest first, and their vectors
        (n, dim), or (n, 0)."""
        hits = self._loaded(
            "search",
            data=list(queries),
            filter=condition,
            limit=limit,
            search_params={"params": {"ef": max(ef, limit)}},
            output_fields=["vector"] if with_vectors else [],
            **self._at_least(),
        )
        for found in hits:
            numbers = np.array([hit["id"] for hit in found], np.int64)
            vectors = [hit["entity"]["vector"] for hit in found] if with_vectors else []
            yield numbers, np.array(vectors, np.float32).reshape(len(numbers), -1)

    def seal(self) -> None:
        """Write what is in memory to segments, and wait until all of them are searched by their index."""
        self.milvus.call("flush", self.name)
        self._wait_for_indexes()
        # Built is not loaded: until then a coarser index answers, with a recall that says nothing.
        deadline, rows = time.monotonic() + LOADING_SECONDS, self.count()
        while time.monotonic() < deadline:
            loaded = self.milvus.call("list_loaded_segments", self.name)
            if sum(one.num_rows for one in loaded) >= rows and all(
                one.index_name for one in loaded if one.num_rows >= INDEXED_ROWS
            ):
                return
            time.sleep(0.2)

    def _wait_for_indexes(self) -> None:
        while True:
            facts = self.milvus.call("describe_index", self.name, "vector")
            if facts.get("state") == "Failed":
                raise LibraryError(
                    f"{self.milvus.url} could not build the index of {self.name}: see its log"
                )
            if not int(facts.get("pending_index_rows", 0)):
                return
            time.sleep(0.5)

    def _at_least(self) -> dict[str, Any]:
        """Return the consistency of searches: they see all that the library knows, and wait only for that."""
        if not self.written:
            return {"consistency_level": "Strong"}
        return {"consistency_level": "Customized", "guarantee_timestamp": self.written}

    def _loaded(self, method: str, **options: Any) -> Any:
        """Call a method; load the collection again if it was released meanwhile."""
        try:
            return self.milvus.call(method, self.name, **options)
        except LibraryError as error:
            if getattr(error.__cause__, "code", None) != _NOT_LOADED:
                raise
        self.milvus.call("load_collection", self.name)
        return self.milvus.call(method, self.name, **options)


def metric_of(space: Space) -> str:
    """Return Milvus's name of a space's similarity. For unit vectors the order is that of the cosine."""
    if space.similarity == "euclidean":
        return "L2"
    return "IP" if space.normalised else "COSINE"


def one_of(numbers: Sequence[int] | Ids) -> str:
    """Return the condition that a row is one of these."""
    return f"id in [{','.join(map(str, np.asarray(numbers).tolist()))}]"
