"""Shards written as parts and imported into a library."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.library.fake_extractors import Revised
from tests.library.image_builders import album, draw

from lookalike import IndexOptions, Library, Outcome
from lookalike.errors import ObjectStorageError, UsageError
from lookalike.extractors import load
from lookalike.indexing import part_writer
from lookalike.indexing.index_parts import index_parts
from lookalike.indexing.report import IndexReport, Progress
from lookalike.indexing.shards import Shard

pytest.importorskip("pyarrow", reason="needs pyarrow (lookalike[parquet])")

ONE = IndexOptions(workers=1)
FILES = 18  # of the fixture `photos`, the sidecars included


def write(folder: Path, parts: Path, shard: str = "1/1", **options: Any) -> IndexReport:
    extractors = options.pop("extractors", None) or [load("phash")]
    return index_parts(
        [folder], extractors, parts, shard=Shard.parse(shard), options=ONE, **options
    )


def contents(library: Library) -> dict[str, tuple[Any, ...]]:
    """Return everything that is known of every file, without its id."""
    with library.snapshot() as snapshot:
        images = list(snapshot.iter_files())
        ids = np.array([image.id for image in images], np.int64)
        vectors = [snapshot.vectors(space.key, ids) for space in snapshot.spaces()]
        roots = {root.id: root.path for root in snapshot.roots()}
    return {
        image.path: (
            roots[image.root],
            *(image.size, image.mtime_ns, image.hash, image.outcome, image.reason),
            *(image.width, image.height, image.format, dict(image.metadata), dict(image.facts)),
            [rows[number].tobytes() for rows in vectors],
        )
        for number, image in enumerate(images)
    }


def ranking(library: Library, query: Path) -> list[tuple[float, str]]:
    """Return similarity and path of all hits; equally similar ones in the order of their paths."""
    return sorted((-(hit.similarity or 0), hit.path) for hit in library.search(query, k=13).hits)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Images, captions beside some, a copy, a broken image, a file of another kind, a broken link."""
    folder = album(tmp_path / "photos", 12)
    (folder / "000.txt").write_text("a red square")
    (folder / "odd" / "001.jpg.json").write_text('{"price": 3, "caption": "blue"}')
    (folder / "copy.jpg").write_bytes((folder / "002.jpg").read_bytes())
    (folder / "broken.jpg").write_bytes((folder / "004.jpg").read_bytes()[:300])
    (folder / "notes.doc").write_text("no image")
    (folder / "link.jpg").symlink_to(folder / "nowhere")
    return folder


@pytest.mark.parametrize("count", [1, 2, 3, 16, 1000])
def test_every_path_belongs_to_exactly_one_shard(count: int) -> None:
    paths = [
        "",
        "a.jpg",
        "A.jpg",
        "a/b.jpg",
        "ä.jpg",
        "a\udcff.jpg",
        *(f"{n}.png" for n in range(50)),
    ]
    for path in paths:
        owners = [n for n in range(1, count + 1) if Shard(n, count).contains(path)]
        assert len(owners) == 1


@pytest.mark.parametrize("text", ["0/4", "5/4", "4", "a/b", "1/0", "-1/4", "1/4/2", "", "³/4"])
def test_a_wrong_shard_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is not a shard"):
        Shard.parse(text)


def test_a_library_from_parts_equals_one_that_was_indexed(photos: Path, tmp_path: Path) -> None:
    extractors = ["lookalike", "phash"]
    for number in (5, 1, 4, 2, 3):
        write(photos, tmp_path / "parts", f"{number}/5", extractors=[*map(load, extractors)])
    with (
        Library.create(photos, folder=tmp_path / "direct") as direct,
        Library.create(photos, folder=tmp_path / "other") as imported,
    ):
        report = direct.add(photos, extractors=extractors, options=ONE)
        found = imported.import_parts(tmp_path / "parts")
        assert not found.refused
        assert not found.incomplete
        assert found.images["indexed"] == report.indexed == 13
        assert contents(imported) == contents(direct)
        assert imported.info().outcomes == direct.info().outcomes
        for query in (photos / "000.jpg", photos / "odd" / "005.jpg"):
            assert ranking(imported, query) == ranking(direct, query)
        assert [hit.path for hit in imported.search(text="red square").hits][:1] == ["000.jpg"]
        # The next run reads nothing again.
        again = imported.add(photos, options=ONE)
        assert (again.indexed, again.unchanged) == (0, 13)


def test_thumbnails_come_with_the_parts(photos: Path, tmp_path: Path) -> None:
    wide = draw(photos / "wide.png", 99, size=900)
    write(photos, tmp_path / "parts")
    wide.unlink()
    with Library.create(photos, folder=tmp_path / "library") as library:
        library.import_parts(tmp_path / "parts")
        with library.snapshot() as snapshot:
            image = next(one for one in snapshot.iter_files() if one.path == "wide.png")
        made = library.thumbnails.get(image.id, 256)
    assert made.data[:2] == b"\xff\xd8"


def test_parts_are_imported_once_and_in_any_order(photos: Path, tmp_path: Path) -> None:
    parts = tmp_path / "parts"
    write(photos, parts, "2/2")
    with Library.create(photos, folder=tmp_path / "library") as library:
        first = library.import_parts(parts)
        assert first.incomplete == ("1/2",)
        write(photos, parts, "1/2")
        second = library.import_parts(parts)
        assert (second.parts, second.known, second.incomplete) == (2, 1, ())
        before = contents(library)
        third = library.import_parts(parts)
        assert (third.known, third.images) == (2, {})
        assert contents(library) == before
        assert len(before) == FILES


def test_a_shard_continues_where_it_was_interrupted(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_steps: None
) -> None:
    def interrupt(progress: Progress) -> None:
        if progress.done >= 6:
            raise KeyboardInterrupt

    monkeypatch.setattr(part_writer, "PART_ROWS", 2)
    parts = tmp_path / "parts"
    counted = Revised("1")
    with pytest.raises(KeyboardInterrupt):
        write(photos, parts, progress=interrupt, extractors=[counted])
    manifest = json.loads((parts / "shard-1-of-1.json").read_text())
    assert not manifest["complete"]
    done = counted.extracted
    # What a killed process leaves: a part that no manifest names, and one that was cut short.
    (parts / "shard-1-of-1-0123456789abcdef.parquet").write_bytes(b"PAR1")
    report = write(photos, parts, extractors=[counted])
    stored = sum(one["outcomes"].get("indexed", 0) for one in manifest["parts"])
    assert 0 < stored <= done
    assert report.unchanged == stored
    with Library.create(photos, folder=tmp_path / "library") as library:
        library.register(Revised("1"))
        found = library.import_parts(parts)
        assert not found.refused
        assert not found.incomplete
        assert len(contents(library)) == FILES


def damage_truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-50])


def damage_flip(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 3] ^= 0xFF
    file.write_bytes(bytes(data))


def damage_empty(file: Path) -> None:
    file.write_bytes(b"")


def damage_remove(file: Path) -> None:
    file.unlink()


def damage_replace(file: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"a": [1, 2]}), file)


def test_damaged_parts_are_refused_and_the_others_are_loaded(photos: Path, tmp_path: Path) -> None:
    intact = tmp_path / "intact"
    for shard in ("1/2", "2/2"):
        write(photos, intact, shard)
    for damage in (damage_truncate, damage_flip, damage_empty, damage_remove, damage_replace):
        parts = tmp_path / damage.__name__
        shutil.copytree(intact, parts)
        (part,) = parts.glob("shard-1-of-2-*.parquet")
        damage(part)
        with Library.create(photos, folder=tmp_path / f"library {damage.__name__}") as library:
            found = library.import_parts(parts)
            assert [name for name, _ in found.refused] == [part.name]
            assert "write shard 1/2 again" in found.refused[0][1]
            assert "\n" not in found.refused[0][1]
            assert 0 < found.images["indexed"] < 13
            assert not library.check()
    write(photos, parts, "1/2")  # its part is read again, found damaged, and written anew
    with Library.open(tmp_path / f"library {damage.__name__}") as library:
        assert not library.import_parts(parts).refused
        assert len(contents(library)) == FILES


def test_a_part_of_another_revision_is_refused(photos: Path, tmp_path: Path) -> None:
    parts = tmp_path / "parts"
    write(photos, parts, "1/2", extractors=[Revised("1")])
    write(photos, parts, "2/2", extractors=[Revised("2")])
    with Library.create(photos, folder=tmp_path / "library") as library:
        found = library.import_parts(parts)
        ((name, reason),) = found.refused
        assert name.startswith("shard-2-of-2-")
        assert "vectors of revision 2, the library has 1" in reason
        assert [space.key for space in library.info().spaces] == ["toy@1"]
        # Written again with the revision of the others, it is loaded.
        write(photos, parts, "2/2", extractors=[Revised("1")])
        assert not library.import_parts(parts).refused
        assert len(contents(library)) == FILES


def test_the_newer_state_of_a_file_is_kept_whatever_the_order(photos: Path, tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    write(photos, old)
    draw(photos / "000.jpg", 77)
    os.utime(photos / "000.jpg", (4e9, 4e9))
    write(photos, new)
    stored = []
    for number, order in enumerate(((old, new), (new, old))):
        with Library.create(photos, folder=tmp_path / f"library{number}") as library:
            for parts in order:
                library.import_parts(parts)
            stored.append(contents(library))
    assert stored[0] == stored[1]
    assert stored[0]["000.jpg"][2] == int(4e18)


def test_a_changed_sidecar_is_imported_without_its_image(photos: Path, tmp_path: Path) -> None:
    parts = tmp_path / "parts"
    write(photos, parts)
    (photos / "000.txt").write_text("a green circle")
    report = write(photos, parts)
    assert report.indexed == 0
    with Library.create(photos, folder=tmp_path / "library") as library:
        library.import_parts(parts)
        assert contents(library)["000.jpg"][9] == {"caption": "a green circle"}


def test_images_may_be_elsewhere_when_parts_are_imported(photos: Path, tmp_path: Path) -> None:
    write(photos, tmp_path / "parts")
    moved = photos.rename(tmp_path / "moved")
    with Library.create(moved) as library:
        library.import_parts(tmp_path / "parts", root=moved)
        assert library.search(moved / "000.jpg", k=1).hits[0].file == moved / "000.jpg"
        assert library.add(moved, options=ONE).indexed == 0


def test_where_there_are_no_parts_the_command_that_writes_them_is_named(tmp_path: Path) -> None:
    with (
        Library.create(tmp_path) as library,
        pytest.raises(UsageError, match=r"no parts at .* --shard 1/1 --parts"),
    ):
        library.import_parts(tmp_path / "nothing")


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"lookalike-parts": 99}', '{"lookalike-parts": 1}']
)
def test_a_damaged_manifest_is_refused(photos: Path, tmp_path: Path, text: str) -> None:
    parts = tmp_path / "parts"
    write(photos, parts, "1/2")
    (parts / "shard-2-of-2.json").write_text(text)
    with Library.create(photos, folder=tmp_path / "library") as library:
        found = library.import_parts(parts)
        assert [name for name, _ in found.refused] == ["shard-2-of-2.json"]
        assert found.incomplete == ("2/2",)
        assert found.images["indexed"] > 0


def test_a_place_that_cannot_be_written_is_reported_before_the_work(
    photos: Path, tmp_path: Path
) -> None:
    (tmp_path / "parts").write_text("a file")
    counted = Revised("1")
    with pytest.raises(ObjectStorageError, match="parts"):
        write(photos, tmp_path / "parts", extractors=[counted])
    assert counted.extracted == 0


def test_a_failed_file_is_imported_with_its_outcome(photos: Path, tmp_path: Path) -> None:
    write(photos, tmp_path / "parts")
    with Library.create(photos, folder=tmp_path / "library") as library:
        library.import_parts(tmp_path / "parts")
        outcomes = {image.path: image.outcome for image in library.files()}
    assert outcomes["broken.jpg"] is Outcome.TRUNCATED
    assert outcomes["notes.doc"] is Outcome.SKIPPED
    assert outcomes["link.jpg"] is Outcome.MISSING
