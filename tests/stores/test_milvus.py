"""PostgreSQL with the vectors in Milvus: searches, agreement of both sides after crashes, and errors."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

psycopg = pytest.importorskip("psycopg", reason="psycopg is not installed (lookalike[postgres])")
pymilvus = pytest.importorskip("pymilvus", reason="pymilvus is not installed (lookalike[milvus])")

from tests.library.image_builders import album  # noqa: E402
from tests.stores import milvus_server, postgres_server  # noqa: E402
from tests.stores.ann_spaces import COUNT, KEY, add, image_vectors, recall  # noqa: E402
from tests.stores.builders import (  # noqa: E402
    begin,
    entry,
    is_vector_of,
    put,
    space,
    stored_vector,
)
from tests.stores.conftest import Indexed, in_milvus  # noqa: E402

from lookalike import Library  # noqa: E402
from lookalike.errors import (  # noqa: E402
    LibraryDamaged,
    LibraryError,
    LookalikeError,
    MissingExtra,
    NoLibrary,
    UsageError,
)
from lookalike.stores.ann_index import IndexBuildOptions  # noqa: E402
from lookalike.stores.interface import Store  # noqa: E402
from lookalike.stores.open_store import shown_location  # noqa: E402
from lookalike.stores.postgres import apply_entries  # noqa: E402
from lookalike.stores.postgres.milvus import Collection  # noqa: E402
from lookalike.stores.postgres.store import PostgresStore  # noqa: E402

pytestmark = milvus_server.MILVUS

QUERY = np.ones((1, 3), np.float32)


@pytest.fixture
def store() -> Iterator[Store]:
    made = in_milvus()
    yield made
    made.close()


def collection(store: Store, key: str = "toy@1") -> Collection:
    """Return the collection of a space."""
    assert isinstance(store, PostgresStore)
    with store.snapshot() as snapshot:
        found = snapshot.space_row(key).collection
    assert found is not None
    return found


def one_line(error: pytest.ExceptionInfo[LookalikeError]) -> str:
    assert "\n" not in str(error.value)
    return str(error.value)


# Searching


@pytest.mark.parametrize("indexed", ["milvus"], indirect=True)
def test_filters_are_pushed_down_or_evaluated_afterwards(
    indexed: Indexed, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, ids = indexed.store, np.array(indexed.ids)
    assert indexed.built.recipe == "HNSW32"
    queries = image_vectors(20, seed=9)
    monkeypatch.setattr("lookalike.stores.postgres.milvus_vectors.GRAPH_SHARE", 0.3)
    for share in (0.7, 0.16):  # by asking for more, and by naming those that pass
        among = ids[np.random.default_rng(2).random(COUNT) < share]
        assert recall(store, queries, among=among) >= 0.9
    monkeypatch.setattr("lookalike.stores.postgres.milvus_vectors.MAX_NAMED", 100)
    with store.snapshot() as snapshot:  # a filter that nothing similar passes, named in parts
        own = snapshot.vectors(KEY, ids[:1])
        far = np.sort(snapshot.search(KEY, -own, 700, exact=True).ids[0])
        found = snapshot.search(KEY, own, 10, among=far)
        exact = snapshot.search(KEY, own, 10, among=far, exact=True)
    assert not found.exact
    assert len(np.intersect1d(found.ids, exact.ids)) >= 9
    with pytest.raises(UsageError, match="made with HNSW32"):
        store.indexes.build(KEY, IndexBuildOptions(recipe="HNSW16"))


@pytest.mark.parametrize("indexed", ["milvus"], indirect=True)
def test_a_snapshot_finds_what_was_removed_since_and_later_ones_do_not(indexed: Indexed) -> None:
    store, query = indexed.store, image_vectors(1, seed=8)
    new = add(store, query + 0.01 * image_vectors(40, seed=3), "near")
    with store.snapshot() as before:  # it may read them, so they are not deleted from Milvus
        near = before.search(KEY, query, 40).ids[0].tolist()
        with store.writer() as writer:
            writer.remove(new)
        with store.snapshot() as snapshot:
            found = snapshot.search(KEY, query, 5)
            exact = snapshot.search(KEY, query, 5, exact=True)
        assert not found.exact
        assert not set(new) & set(found.ids[0].tolist())
        assert len(np.intersect1d(found.ids, exact.ids)) >= 4
        assert before.search(KEY, query, 40).ids[0].tolist() == near


def test_snapshots_keep_the_vectors_of_their_time(store: Store) -> None:
    begin(store)
    first, second = put(store, entry("a.jpg", "one"), entry("b.jpg", "two"))
    with store.snapshot() as before:
        with store.writer() as writer:
            writer.put([entry("a.jpg", "other"), entry("c.jpg", "three")])
            writer.remove([second])
        assert is_vector_of(before.vectors("toy@1", np.array([first]))[0], "one")
        assert sorted(before.search("toy@1", QUERY, 3).ids[0].tolist()) == [-1, first, second]
    assert is_vector_of(stored_vector(store, first), "other")
    assert store.check() == []
    with store.writer():
        pass  # nothing reads any more, so the unused rows are deleted
    assert collection(store).count() == 2
    assert store.check() == []


def test_another_process_sees_what_was_written_at_once(store: Store) -> None:
    begin(store)
    ids = put(store, *(entry(f"{n}.jpg") for n in range(5)))
    assert collection(store).written > 0
    with PostgresStore.open(store.location) as other, other.snapshot() as snapshot:
        assert sorted(snapshot.search("toy@1", QUERY, 5).ids[0].tolist()) == ids


def test_a_library_is_copied_there_and_back(store: Store, tmp_path: Path) -> None:
    photos = album(tmp_path / "photos", 4)
    with Library.create(photos) as local:
        local.add([photos], extractors=["histogram"])
        copied = local.copy_to(store.location)
        assert (copied.copied, copied.queries) == (4, 4)
        assert local.copy_to(store.location).copied == 0
        with Library.open(store.location, read_only=True) as there:
            found, expected = (one.search(photos / "000.jpg", k=4) for one in (there, local))
            assert [(hit.path, hit.similarity) for hit in found.hits] == [
                (hit.path, hit.similarity) for hit in expected.hits
            ]
            assert there.copy_to(tmp_path / "again").copied == 4
    assert store.check() == []


# Crashes between the two


def test_what_was_not_confirmed_does_not_count_and_is_deleted(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(store)
    put(store, entry("a.jpg"))

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(apply_entries, "_write_images", crash)
        with pytest.raises(KeyboardInterrupt), store.writer() as writer:
            writer.put([entry("b.jpg"), entry("c.jpg")])
    assert collection(store).count() == 3
    with store.snapshot() as snapshot:
        assert snapshot.search("toy@1", QUERY, 3).ids.tolist() == [[1, -1, -1]]
    assert store.check() == []
    with store.writer() as writer:
        assert writer.file_states(1, ["a.jpg", "b.jpg"]).keys() == {"a.jpg"}
        assert collection(store).count() == 1
        writer.put([entry("b.jpg")])
    assert store.check() == []


def test_a_database_that_is_lost_after_the_write_to_milvus(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.stores.test_postgres import kill_backends

    begin(store)
    insert = Collection.insert

    def insert_and_kill(self: Collection, *given: object) -> int:
        written = insert(self, *given)  # type: ignore[arg-type]
        kill_backends()
        return written

    monkeypatch.setattr(Collection, "insert", insert_and_kill)
    with pytest.raises(LibraryError, match="was lost") as caught, store.writer() as writer:
        writer.put([entry("a.jpg")])
    one_line(caught)
    monkeypatch.undo()
    with store.snapshot() as snapshot:
        assert snapshot.counts() == {}
    put(store, entry("a.jpg"), entry("b.jpg"))
    assert collection(store).count() == 2
    assert store.check() == []


def test_rows_that_milvus_lost_are_reported_and_computed_again(store: Store) -> None:
    begin(store)
    put(store, *(entry(f"{n}.jpg") for n in range(4)))
    there = collection(store)
    there.delete(np.array([2]))
    assert there.count() == 3
    assert store.check() == [
        "toy@1: 1 vectors are missing in Milvus: `lookalike index` computes them again"
    ]
    with PostgresStore.open(store.location) as fresh, fresh.snapshot() as found:
        with pytest.raises(LibraryDamaged, match="lookalike index") as caught:
            found.search("toy@1", QUERY, 1, exact=True)
        one_line(caught)
    with store.writer() as writer:
        states = writer.file_states(1, [f"{n}.jpg" for n in range(4)])
        assert [path for path, state in states.items() if not state.spaces] == ["1.jpg"]
        writer.put([entry("1.jpg")])
    assert store.check() == []


def test_rows_that_no_image_has_are_reported_and_deleted(store: Store) -> None:
    begin(store)
    put(store, entry("a.jpg"))
    there = collection(store)
    there.insert(np.array([50]), np.ones((1, 3), np.float32))
    assert there.count() == 2
    assert store.check() == [
        "toy@1: 1 vectors in Milvus belong to no image: `lookalike index` deletes them"
    ]
    with store.snapshot() as snapshot:
        assert snapshot.search("toy@1", QUERY, 2).ids.tolist() == [[1, -1]]
    with store.writer():
        pass
    assert there.count() == 1
    assert store.check() == []


@pytest.mark.parametrize("other", [None, 5])
def test_a_collection_that_is_gone_or_another_programs_is_named(
    store: Store, other: int | None
) -> None:
    begin(store)
    put(store, entry("a.jpg"))
    there = collection(store)
    there.milvus.call("drop_collection", there.name)
    if other:
        there.create(space("toy@1", dim=other))
    with PostgresStore.open(store.location) as fresh:
        with fresh.snapshot() as snapshot, pytest.raises(LibraryDamaged) as caught:
            snapshot.search("toy@1", QUERY, 1)
        assert "right server" in one_line(caught)
        with pytest.raises(LibraryDamaged), fresh.writer() as writer:
            writer.file_states(1, ["a.jpg"])  # or `index` would take the images for complete
        with fresh.writer() as writer:
            writer.drop_space("toy")
            writer.add_space(space())
            writer.put([entry("a.jpg")])
        assert fresh.check() == []


@pytest.mark.torture
@pytest.mark.skipif("LOOKALIKE_TEST_MILVUS" in os.environ, reason="the server is not ours to kill")
def test_a_milvus_that_is_killed_loses_nothing_that_was_confirmed(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(store)
    put(store, entry("a.jpg"))

    def kill(*_: object) -> None:
        milvus_server.kill()
        raise LibraryError("the process ends, too")

    with monkeypatch.context() as patch:
        patch.setattr(apply_entries, "_write_images", kill)
        with pytest.raises(LibraryError, match="ends, too"), store.writer() as writer:
            writer.put([entry("b.jpg")])
    with pytest.raises(LibraryError, match="is Milvus running") as caught:
        put(store, entry("b.jpg"))
    one_line(caught)
    with PostgresStore.open(store.location) as fresh, fresh.snapshot() as own:
        assert own.lookup(1, "a.jpg") is not None  # rows need no vectors
        with pytest.raises(LibraryError, match="is Milvus running"):
            own.search("toy@1", QUERY, 1)
        assert fresh.reachable() == {"database": True, "vectors": False}
    milvus_server.restart()
    put(store, entry("b.jpg"))
    assert store.check() == []
    with store.snapshot() as snapshot:
        assert sorted(snapshot.search("toy@1", QUERY, 3).ids[0].tolist()) == [-1, 1, 2]
    assert store.reachable() == {"database": True, "vectors": True}
    assert collection(store).count() == 2


# Opening


def test_the_library_knows_where_its_vectors_are(store: Store) -> None:
    begin(store)
    [id] = put(store, entry("a.jpg"))
    bare = store.location.partition("&vectors=")[0]
    with PostgresStore.open(bare) as opened, opened.snapshot() as snapshot:
        assert snapshot.search("toy@1", QUERY, 1).ids.tolist() == [[id]]
    in_postgres = postgres_server.new_url()
    PostgresStore.create(in_postgres).close()
    with pytest.raises(UsageError, match="keeps its vectors in PostgreSQL") as caught:
        PostgresStore.open(f"{in_postgres}&vectors={milvus_server.milvus_url()}")
    one_line(caught)


def test_a_server_that_is_away_too_old_or_without_pymilvus_makes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url = postgres_server.new_url()
    with pytest.raises(LibraryError, match=r"no connection to milvus://127.0.0.1:1: ") as away:
        PostgresStore.create(f"{url}&vectors=milvus://127.0.0.1:1")
    one_line(away)
    with monkeypatch.context() as patch:
        patch.setattr(pymilvus.MilvusClient, "get_server_version", lambda self: "v2.2.16")
        with pytest.raises(LibraryError, match=r"is Milvus v2.2.16: .*2.3 or newer") as old:
            PostgresStore.create(f"{url}&vectors={milvus_server.milvus_url()}")
        one_line(old)
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "pymilvus", None)
        with pytest.raises(MissingExtra, match=r"pip install 'lookalike\[milvus\]'"):
            PostgresStore.create(f"{url}&vectors=milvus://127.0.0.1:1")
    with pytest.raises(NoLibrary):
        PostgresStore.open(url)


@pytest.mark.parametrize(
    ("said", "says"),
    [
        (
            "getID failed:stack trace: a.go:51 attempt #0: service not ready[standalone=1]",
            "is Milvus running",
        ),
        ("find no available datacoord, check datacoord state", "is Milvus running"),
        ("permission deny: privilege:stack trace: pkg/timer.go:5", "MILVUS_TOKEN"),
        ("quota exceeded[reason=memory]:stack trace: pkg/auth.go:5", "no room left"),
        ("number of fields is wrong:stack trace: pkg/auth.go:5", "number of fields is wrong$"),
    ],
)
def test_what_milvus_says_becomes_cause_and_remedy(
    store: Store, said: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(store)
    monkeypatch.setattr("lookalike.stores.postgres.milvus.STARTING_SECONDS", 0)

    def fail(*_: object, **__: object) -> None:
        raise pymilvus.MilvusException(65535, said)

    monkeypatch.setattr(pymilvus.MilvusClient, "insert", fail)
    with pytest.raises(LibraryError, match=says) as caught:
        put(store, entry("a.jpg"))
    assert "stack" not in one_line(caught)


@pytest.mark.parametrize(
    ("vectors", "says"),
    [
        ("http://127.0.0.1:1", "no address of a Milvus server"),
        ("milvus://", "no address of a Milvus server"),
        ("milvus://host:port", "no address of a Milvus server"),
        ("milvus://root:geheim@host", "MILVUS_TOKEN"),
        ("milvus://root:ge%40heim%40host", "MILVUS_TOKEN"),
        ("", "no address of a Milvus server"),
    ],
)
def test_addresses_of_milvus_are_checked(vectors: str, says: str) -> None:
    url = f"postgresql://me@127.0.0.1:1/db?vectors={vectors}"
    with pytest.raises(UsageError, match=says) as caught:
        PostgresStore.open(url)
    assert "heim" not in one_line(caught)
    assert "heim" not in shown_location(url)
