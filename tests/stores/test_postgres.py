"""The store in PostgreSQL: ANN indexes, errors, passwords, and a server that is killed."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

psycopg = pytest.importorskip("psycopg", reason="psycopg is not installed (lookalike[postgres])")

from tests.stores.ann_spaces import KEY, add, fill, image_vectors  # noqa: E402
from tests.stores.builders import begin, content, entry, put, space  # noqa: E402
from tests.stores.conftest import in_postgres  # noqa: E402
from tests.stores.postgres_server import new_url, server  # noqa: E402

from lookalike.errors import (  # noqa: E402
    LibraryBusy,
    LibraryDamaged,
    LibraryError,
    LibraryTooNew,
    LookalikeError,
    NoLibrary,
    Outcome,
    UsageError,
)
from lookalike.stores.ann_index import Index, IndexBuildOptions  # noqa: E402
from lookalike.stores.interface import Store  # noqa: E402
from lookalike.stores.open_store import shown_location  # noqa: E402
from lookalike.stores.postgres import vchord  # noqa: E402
from lookalike.stores.postgres.ann_search import search_effort  # noqa: E402
from lookalike.stores.postgres.store import PostgresStore  # noqa: E402


def url_of(store: Store) -> str:
    """Return the URL of a store of the test's server, which needs no password."""
    return store.location


@pytest.fixture
def store() -> Iterator[Store]:
    made = in_postgres()
    yield made
    made.close()


def test_an_index_of_vchord_is_built_where_the_extension_is(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Its access method is played by that of pgvector, which lacks lists and options: see below.
    monkeypatch.setattr("lookalike.stores.postgres.indexes.QUERIES", 20)
    fill(store, image_vectors(400))
    with pytest.raises(UsageError, match="extension vchord") as caught:
        store.indexes.build(KEY, IndexBuildOptions(recipe="RaBitQ"))
    assert "\n" not in str(caught.value)
    with psycopg.connect(server().get_uri(), autocommit=True) as connection:
        connection.execute("CREATE ACCESS METHOD vchordrq TYPE INDEX HANDLER hnswhandler")
        try:
            connection.execute(
                "CREATE OPERATOR CLASS halfvec_ip_ops FOR TYPE halfvec USING vchordrq AS "
                "OPERATOR 1 <#> (halfvec, halfvec) FOR ORDER BY float_ops, "
                "FUNCTION 1 halfvec_negative_inner_product(halfvec, halfvec), "
                "FUNCTION 3 hnsw_halfvec_support(internal)"
            )
            built = store.indexes.build(KEY, IndexBuildOptions(target=0.3))
            assert (built.recipe, built.nprobe, built.rows) == ("RaBitQ", 0, 400)
            with store.snapshot() as snapshot:
                found = snapshot.search(KEY, image_vectors(5, seed=9), 10)
                among = snapshot.sample(KEY, 400)[::2]
                some = snapshot.search(KEY, image_vectors(5, seed=9), 10, among=among)
            assert not found.exact
            assert np.isin(some.ids, among).all()
            assert store.indexes.build(KEY, IndexBuildOptions(recipe="HNSW16")).recipe == "HNSW16"
        finally:
            connection.execute("DROP ACCESS METHOD vchordrq CASCADE")


def test_lists_and_options_of_vchord_are_those_of_its_documentation() -> None:
    assert [vchord.recipe_for(n) for n in (127_999, 128_000, 1_000_000, 4_000_000)] == [
        "RaBitQ",
        "IVF256,RaBitQ",
        "IVF2000,RaBitQ",
        "IVF12000,RaBitQ",
    ]
    assert vchord.build_options(space(dim=8), 256, 4) == (
        "WITH (options = 'residual_quantization = false\n[build.internal]\nlists = [256]\n"
        "spherical_centroids = true\nbuild_threads = 4')"
    )
    euclidean = vchord.build_options(space(dim=8, similarity="euclidean"), 256, None)
    assert "residual_quantization = true" in euclidean
    assert "spherical_centroids = false" in euclidean
    index = Index("IVF256,RaBitQ", 0.98, 0.98, 1.0, 1, 1.0, 1, 20, 20, "")
    assert search_effort(index, 10) == (20, 20)
    assert search_effort(index, 4000)[0] == 256  # all lists


def kill_backends() -> None:
    """Kill one process of the server with SIGKILL, which makes the server end all others and recover.

    Returns when the processes of all connections have ended.
    """
    with psycopg.connect(server().get_uri(), autocommit=True) as connection:
        found = connection.execute(
            "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend'"
        ).fetchall()
        os.kill(connection.info.backend_pid, signal.SIGKILL)
        with pytest.raises(psycopg.Error):
            for _ in range(100):
                connection.execute("SELECT pg_sleep(0.1)")
    deadline = time.monotonic() + 20
    while any(Path(f"/proc/{pid}").exists() for (pid,) in found) and time.monotonic() < deadline:
        time.sleep(0.02)


def test_a_server_that_is_killed_loses_at_most_the_batch_in_flight(store: Store) -> None:
    begin(store)
    with pytest.raises(LibraryError, match="was lost") as caught, store.writer() as writer:
        writer.put([entry("a.jpg")])
        kill_backends()
        writer.put([entry("b.jpg")])
    assert "\n" not in str(caught.value)
    with store.writer() as writer:
        assert writer.file_states(1, ["a.jpg", "b.jpg"]).keys() == {"a.jpg"}
        writer.put([entry("b.jpg")])
    assert store.check() == []


def test_searches_go_on_after_the_server_was_killed(store: Store) -> None:
    begin(store)
    put(store, entry("a.jpg"))
    query = np.ones((1, 3), np.float32)
    with store.snapshot() as snapshot:
        kill_backends()
        with pytest.raises(LibraryError, match="was lost"):
            for _ in range(100):  # until this process of the server has ended, too
                snapshot.images([1])
                time.sleep(0.05)
    with store.snapshot() as snapshot:
        assert snapshot.search("toy@1", query, 1).ids.tolist() == [[1]]


def test_one_writer_at_a_time_beside_readers(store: Store) -> None:
    begin(store)
    with store.writer() as writer:
        with (
            pytest.raises(LibraryBusy, match=r"another process .*postgres.* is writing"),
            store.writer(),
        ):
            pass
        with store.snapshot() as before:
            writer.put([entry("a.jpg")])
            writer.add_space(space("toy@2"))
            writer.promote("toy@2")
            assert before.counts() == {}
            assert before.search("toy@1", np.ones((1, 3), np.float32), 1).ids.tolist() == [[-1]]
    with store.snapshot() as after:
        assert after.counts() == {Outcome.INDEXED: 1}
        assert [one.key for one in after.spaces()] == ["toy@2"]


def test_a_library_of_an_interrupted_creation_is_finished() -> None:
    url = new_url()
    with pytest.raises(NoLibrary, match="make one with"):
        PostgresStore.open(url)
    with psycopg.connect(server().get_uri(), autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {url.rpartition('=')[2]}")
    with PostgresStore.create(url) as store:
        begin(store)
        assert store.check() == []


@pytest.mark.parametrize(
    ("change", "kind", "says"),
    [
        ("ALTER TABLE library RENAME TO invoices", LibraryDamaged, "belongs to another program"),
        ("UPDATE library SET format = 99", LibraryTooNew, "pip install --upgrade"),
    ],
)
def test_what_is_no_library_of_this_version_is_refused(
    change: str, kind: type[LibraryError], says: str
) -> None:
    url = new_url()
    PostgresStore.create(url).close()
    with psycopg.connect(server().get_uri(), autocommit=True) as connection:
        connection.execute(f"SET search_path TO {url.rpartition('=')[2]}")
        connection.execute(change)
    with pytest.raises(kind, match=says) as caught:
        PostgresStore.open(url)
    assert "\n" not in str(caught.value)


def test_a_server_that_is_too_old_is_refused_and_a_newer_one_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url = new_url()
    for version, taken in ((130_022, False), (140_001, True), (190_000, True)):
        monkeypatch.setattr(psycopg.ConnectionInfo, "server_version", version)
        if taken:
            PostgresStore.create(url).close()
            continue
        with pytest.raises(LibraryError, match=r"PostgreSQL 13: .* 14 or newer") as caught:
            PostgresStore.create(url)
        assert "\n" not in str(caught.value)


def test_a_pgvector_that_is_too_old_is_refused_with_its_remedy(store: Store) -> None:
    with psycopg.connect(server().get_uri(), autocommit=True) as connection:
        before = connection.execute("SELECT extversion FROM pg_extension WHERE extname = 'vector'")
        [was] = before.fetchone() or ("",)
        connection.execute("SET allow_system_table_mods = on")
        change = "UPDATE pg_extension SET extversion = %s WHERE extname = 'vector'"
        connection.execute(change, ("0.6.2",))
        try:
            for location in (store.location, new_url()):
                with pytest.raises(
                    LibraryError, match=r"pgvector 0\.6\.2: .*0\.7.*UPDATE"
                ) as caught:
                    PostgresStore.create(location)
                assert "\n" not in str(caught.value)
        finally:
            connection.execute(change, (was,))


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("postgresql://me:geh:eim%40@127.0.0.1:1/db", "no connection to postgresql://me@127.0.0.1:1/db"),
        ("postgresql://me:geh:eim@@127.0.0.1/db", "write %40"),
        ("postgresql://me:geh/eim@127.0.0.1/db", "write %40, %2F or %3F"),
        ("postgresql://me:geheim%zz@127.0.0.1/db", "not a URL that libpq reads"),
        ("postgresql://127.0.0.1:1/db?user=me&password=geheim", "no connection to"),
        ("postgresql://me:geheim@127.0.0.1:port/db", "postgresql://me@127.0.0.1:port/db"),
        ("postgresql://me:geheim@127.0.0.1/db?schema=a;b", "no name of a schema"),
        ("postgresql://me:geheim@127.0.0.1/db?schema=public", "not for a library"),
        ("postgresql://me:gehe?im@127.0.0.1/db", "write %40, %2F or %3F"),
        ("postgresql://me:ge/he?im@127.0.0.1/db", "write %40, %2F or %3F"),
        ("postgresql://me:gehe#im@127.0.0.1/db", "write %23"),
        ("postgresql://me:geheim@127.0.0.1:1/db?sslmode=on", "write sslmode=verify-full"),
    ],
)  # fmt: skip
def test_errors_have_one_line_and_no_password(url: str, says: str) -> None:
    with pytest.raises(LookalikeError, match=says) as caught:
        PostgresStore.open(url)
    said = str(caught.value)
    assert "\n" not in said
    assert "geh" not in said
    assert "geh" not in shown_location(url)


def test_a_wrong_password_is_named_with_its_remedy(tmp_path: Path) -> None:
    with psycopg.connect(server().get_uri(), autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS guest")
        connection.execute("CREATE ROLE guest LOGIN PASSWORD 'right'")
    pg_hba = Path(server().pgdata) / "pg_hba.conf"
    before = pg_hba.read_text()
    pg_hba.write_text("local all guest scram-sha-256\n" + before)
    try:
        with psycopg.connect(server().get_uri(), autocommit=True) as connection:
            connection.execute("SELECT pg_reload_conf()")
        url = new_url().replace("postgres:@", "guest:geheim@")
        for _ in range(50):  # the server reads the file a moment later
            with pytest.raises(LibraryError) as caught:
                PostgresStore.open(url)
            if "refuses the login" in str(caught.value):
                break
        assert "PGPASSWORD" in str(caught.value)
        assert "geheim" not in str(caught.value)
        with pytest.raises(LibraryError, match=r"may not|right to it"):
            PostgresStore.create(url.replace("geheim", "right"))
    finally:
        pg_hba.write_text(before)


def test_thumbnails_are_kept_in_the_database(store: Store) -> None:
    key = (content("a"), 256)
    assert store.thumbnails is not None
    assert store.thumbnails.get(key) is None
    store.thumbnails.put(key, b"jpeg")
    store.thumbnails.put(key, b"jpeg")
    assert store.thumbnails.get(key) == b"jpeg"


def test_thumbnails_go_with_the_last_image_of_their_content(store: Store) -> None:
    assert store.thumbnails is not None
    keys = [(content(name), side) for name in ("a.jpg", "b.jpg") for side in (64, 256)]
    begin(store)
    copied = [entry("a.jpg"), entry("copy.jpg", "a.jpg"), entry("b.jpg")]
    with store.writer() as writer:
        ids = writer.put(copied)
        for key in keys:
            store.thumbnails.put(key, b"jpeg")
        writer.remove(ids[:1])
        assert all(store.thumbnails.get(key) for key in keys)
        writer.put([entry("copy.jpg", "changed")])
        assert [store.thumbnails.get(key) is None for key in keys] == [True, True, False, False]
    with store.writer() as writer:
        writer.sweep(1, "")
    assert [store.thumbnails.get(key) for key in keys] == [None] * 4


def test_exact_search_by_the_server_finds_what_numpy_finds(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lookalike.stores.postgres.vectors.FEW_IDS", 10)
    ids = fill(store, image_vectors())
    queries = image_vectors(3, seed=9)
    some = np.array(ids[::3])
    with store.snapshot() as snapshot:
        cached = snapshot.search(KEY, queries, 20), snapshot.search(KEY, queries, 20, among=some)
    monkeypatch.setattr("lookalike.stores.postgres.vectors.CHEAP_BYTES", 0)
    add(store, image_vectors(1, seed=1), "other")  # another state, so nothing is in memory
    with PostgresStore.open(url_of(store)) as fresh, fresh.snapshot() as snapshot:
        for among, known in ((None, cached[0]), (some, cached[1])):
            for number, query in enumerate(queries):
                found = PostgresStore.open(url_of(store))
                with found, found.snapshot() as own:
                    near = own.search(KEY, query[None], 20, among=among)
                assert near.exact
                kept = known.ids[number].tolist()
                assert [id for id in near.ids[0].tolist() if id != ids[-1] + 1][:19] == kept[:19]
        monkeypatch.setattr("lookalike.stores.postgres.vectors.BLOCK_BYTES", 10_000)
        monkeypatch.setattr(fresh._cache, "_max_bytes", 0)
        near = snapshot.search(KEY, queries, 20, among=some)
        assert near.ids.tolist() == cached[1].ids.tolist()
        assert near.similarities.tolist() == cached[1].similarities.tolist()
