"""Copying a library into another store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tests.stores.builders import entry, failed, put, space, vector_of
from tests.stores.conftest import STORES

from lookalike.errors import LibraryError, UsageError
from lookalike.images.metadata.facts import Facts
from lookalike.images.reading import InodeState
from lookalike.indexing import copy_library as copying
from lookalike.indexing.copy_library import copy_library
from lookalike.stores.interface import Decision, Store

BOXES = np.array([[0, 0, 1, 1], [0, 0, 0.5, 1], [0.5, 0, 0.5, 1]])
FACTS = Facts(
    640, 480, "jpeg", taken="2024-05-01T12:30:00", latitude=48.1, longitude=11.5, caption="ein Café",
    keywords=("beach", "Summer"), frames=3, note="cut off", dominant_color="#123456",
)  # fmt: skip


def fill(store: Store) -> None:
    """Fill a library with something of everything."""
    random = np.random.default_rng(3)
    with store.writer() as writer:
        writer.add_root(Path("/photos"))
        writer.set_exclude(1, ["*.tmp"])
        writer.set_root_identity(1, "disk-1")
        writer.add_space(space("toy@1", dtype="f16"))
        writer.add_space(space("toy@2"))
        writer.add_space(space("far@1", similarity="euclidean", normalised=False))
        writer.add_space(space("regions@1", dim=9, normalised=False, fitted={"boxes": BOXES}))
        imported = writer.add_imported_root()
        ids = writer.put(
            [
                entry(
                    f"{n}/caf\udce9.jpg",
                    str(n),
                    facts=FACTS if n % 2 else None,
                    inode=InodeState(n, -n),
                    vectors={
                        "toy@1": vector_of(str(n)),
                        "far@1": random.normal(size=3).astype(np.float32) * 1e3,
                        "regions@1": random.normal(size=9).astype(np.float32),
                    },
                )
                for n in range(12)
            ]
        )
        writer.put([failed("b.jpg", hash=None), entry("only", root=imported.id, facts=None)])
        writer.set_metadata({ids[3]: {"price": 3, "tags": ["a", "b"]}, ids[4]: {"caption": "x"}})
        writer.sidecars.put({ids[3]: ("mark", {"price": 1, "kind": "shoe"}), ids[5]: ("m", {})})
        writer.add_decisions([Decision("relevant", bytes(32), bytes([1]) * 32, "me", "2024")])


@pytest.fixture(params=sorted(STORES))
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    store = STORES[request.param](tmp_path / "target")
    yield store
    store.close()


@pytest.fixture(params=sorted(STORES))
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    store = STORES[request.param](tmp_path / "source")
    fill(store)
    yield store
    store.close()


def test_a_copy_has_everything_and_the_same_answers(source: Store, target: Store) -> None:
    report = copy_library(source, target)
    assert (report.files, report.copied) == (14, 14)
    assert report.vectors == {"toy@1": 13, "toy@2": 0, "far@1": 12, "regions@1": 12}
    assert report.queries == 37
    with source.snapshot() as old, target.snapshot() as new:
        assert [root.identity for root in new.roots()] == ["disk-1", ""]
        assert [root.exclude for root in new.roots()] == [("*.tmp",), ()]
        assert old.decisions() == new.decisions()
        assert new.select("kind = 'shoe' and price = 3").tolist() == [4]
        assert new.images([4]) == old.images([4])
        assert new.images([4])[4].dominant_color == "#123456"
        assert new.metadata_sources([4]) == old.metadata_sources([4])
        for key in ("toy@1", "far@1", "regions@1"):
            ids = np.arange(1, 13)
            mine, theirs = (one.vectors(key, ids, whole_rows=True) for one in (old, new))
            assert np.array_equal(mine, theirs)
    assert target.check() == []
    again = copy_library(source, target)
    assert (again.files, again.copied) == (14, 0)


def test_an_interrupted_copy_goes_on(
    source: Store, target: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copying, "BATCH", 4)

    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        copy_library(source, target, progress=interrupt)
    assert copy_library(source, target).copied == 10


def test_what_the_target_has_beside_the_copy_is_reported(target: Store, tmp_path: Path) -> None:
    source = STORES["memory"](tmp_path)
    fill(source)
    copy_library(source, target)
    put(target, entry("stranger.jpg"))
    with pytest.raises(LibraryError, match="other numbers"):
        copy_library(source, target)
    with target.writer() as writer:
        writer.add_root(Path("/other"))
    with pytest.raises(UsageError, match="/other"):
        copy_library(source, target)
