"""Indexing on a Ray cluster."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import pytest
from tests.library.image_builders import album

from lookalike import IndexOptions, Library
from lookalike.errors import LookalikeError
from lookalike.extractors import load
from lookalike.images.reading import InodeState
from lookalike.images.walk import FoundFile
from lookalike.indexing.file_lists import cut, list_size
from lookalike.indexing.ray_driver import index_with_ray

SCRIPT = Path(__file__).parent / "ray_cluster.py"

needs_ray = pytest.mark.skipif(find_spec("ray") is None, reason="needs ray (lookalike[ray])")


@needs_ray
def test_a_node_killed_in_the_middle_costs_no_file_and_repeats_none(tmp_path: Path) -> None:
    photos = album(tmp_path / "photos", 48)
    (photos / "broken.jpg").write_bytes((photos / "000.jpg").read_bytes()[:300])
    (photos / "000.txt").write_text("a red square")
    run = subprocess.run(
        [sys.executable, SCRIPT, photos, tmp_path / "parts"],
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert run.returncode == 0, run.stderr[-2000:]
    # Ray writes to stdout, too.
    found = json.loads(next(line for line in run.stdout.splitlines() if line.startswith("{")))
    assert found == {
        "indexed": 48,
        "failures": 1,
        "alive": 1,  # of two nodes
        "done": 50,
        "again": [0, 48, 2],
    }
    manifest = json.loads((tmp_path / "parts" / "shard-1-of-1.json").read_text())
    assert manifest["complete"]
    assert sum(part["rows"] for part in manifest["parts"]) == 50
    with (
        Library.create(photos, folder=tmp_path / "imported") as imported,
        Library.create(photos, folder=tmp_path / "direct") as direct,
    ):
        assert not imported.import_parts(tmp_path / "parts").refused
        direct.add(photos, extractors=["phash"], options=IndexOptions(workers=1))
        kept = slice(1, None)  # without the root
        rows = {path: row[kept] for path, row in _contents(direct)}
        assert {path: row[kept] for path, row in _contents(imported)} == rows


@needs_ray
def test_an_address_without_a_cluster_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(LookalikeError, match=r"no Ray cluster at 127\.0\.0\.1:9"):
        index_with_ray([tmp_path], [load("phash")], tmp_path / "parts", "127.0.0.1:9")


def test_a_cluster_that_wants_another_token_is_named_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class RefusedError(Exception):
        """Stands for `ray.exceptions.AuthenticationError`."""

    def init(*_: object, **__: object) -> None:
        raise RefusedError("Token was invalid.\nSee the docs.")

    fake = SimpleNamespace(
        is_initialized=lambda: False, init=init, exceptions=SimpleNamespace(RayError=RefusedError)
    )
    monkeypatch.setitem(sys.modules, "ray", fake)
    with pytest.raises(
        LookalikeError, match=r"\(Token was invalid\.\): set RAY_AUTH_TOKEN"
    ) as caught:
        index_with_ray([tmp_path], [load("phash")], tmp_path / "parts", "auto")
    assert "\n" not in str(caught.value)


def test_lists_are_the_shorter_the_fewer_files_are_left() -> None:
    left = [0, 10_000, 2_000, 400, 10, None]  # first while they are counted, last in a bucket
    total = SimpleNamespace(left=lambda done: left.pop(0))
    sizes = [list_size(total, 0, actors=2) for _ in range(len(left))]  # type: ignore[arg-type]
    assert sizes == [32, 512, 250, 50, 32, 512]


def test_lists_are_cut_between_images_and_not_before_their_sidecars() -> None:
    names = ["a.jpg", "a.jpg.json", "b.jpg", "b.txt", "c.jpg", "d.jpg", "d.jpg.txt"]
    found = [FoundFile(f"/x/{name}", 1, 1, InodeState(1, 1)) for name in names]
    lists = [[Path(file.path).name for file in one] for one in cut(iter(found), lambda: 1)]
    assert lists == [["a.jpg", "a.jpg.json"], ["b.jpg", "b.txt"], ["c.jpg"], ["d.jpg", "d.jpg.txt"]]
    assert [len(one) for one in cut(iter(found), lambda: 100)] == [7]


def _contents(library: Library) -> Iterator[tuple[str, tuple[object, ...]]]:
    for image in library.files():
        yield (
            image.path,
            (
                image.root,
                image.hash,
                image.outcome,
                image.reason,
                dict(image.metadata),
                dict(image.facts),
            ),
        )
