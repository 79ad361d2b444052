"""Indexing of new, unchanged, changed, moved, copied, missing and broken files."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image
from tests.library.image_builders import album, draw
from tests.library.stored_rows import ids, vectors

from lookalike import IndexOptions, Library, Outcome, Progress
from lookalike.errors import FAILED, LibraryBusy, UsageError
from lookalike.extractors.extraction import ExtractionResult
from lookalike.extractors.interface import Extractor
from lookalike.images.jpeg import encode_jpeg
from lookalike.indexing import indexer
from lookalike.indexing.page_queue import PendingFile
from lookalike.stores.local.store import LocalStore
from lookalike.stores.local.writer import LocalWriter
from lookalike.viz.result_grid import result_grid
from lookalike.viz.style import save_figure


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return album(tmp_path / "photos", 8)


@pytest.fixture
def library(photos: Path) -> Iterator[Library]:
    with Library.create(photos) as library:
        library.add([photos], extractors=["histogram"])
        yield library


def test_every_image_of_a_new_folder_is_indexed_once(photos: Path) -> None:
    with Library.create(photos) as library:
        added = library.add([photos], extractors=["histogram"])
        assert (added.new, added.indexed, added.failures, added.unchanged) == (8, 8, 0, 0)
        assert added.spaces == ("histogram",)
        assert sorted(vectors(library)) == sorted(
            f"{'odd/' if n % 2 else ''}{n:03d}.jpg" for n in range(8)
        )


def test_the_second_run_does_nothing(library: Library, photos: Path) -> None:
    added = library.add([photos])
    assert (added.unchanged, added.indexed, added.removed) == (8, 0, 0)


def test_only_the_sizes_of_new_and_changed_files_are_looked_up(
    library: Library, photos: Path
) -> None:
    draw(photos / "000.jpg", 100)
    draw(photos / "new.jpg", 101)
    sizes: set[int] = set()

    def hashes_by_size(
        writer: LocalWriter, some: Iterable[int], **options: Any
    ) -> dict[int, tuple[bytes, ...]]:
        sizes.update(some)
        return original(writer, some, **options)

    original = LocalWriter.hashes_by_size
    with mock.patch.object(LocalWriter, "hashes_by_size", hashes_by_size):
        library.add([photos])
    assert sizes == {(photos / name).stat().st_size for name in ("000.jpg", "new.jpg")}


def test_a_changed_image_gets_new_vectors_under_its_old_id(library: Library, photos: Path) -> None:
    before, known = vectors(library), ids(library)
    draw(photos / "000.jpg", 100)
    added = library.add([photos])
    after = vectors(library)
    assert (added.changed, added.unchanged) == (1, 7)
    assert not np.allclose(before["000.jpg"], after["000.jpg"])
    assert ids(library) == known


def test_an_image_with_a_new_date_but_the_same_content_counts_as_unchanged(
    library: Library, photos: Path
) -> None:
    os.utime(photos / "000.jpg", (1, 1))
    assert library.add([photos]).unchanged == 8


def test_a_moved_folder_needs_no_extraction_and_keeps_its_ids(
    library: Library, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, known = vectors(library), ids(library)
    (photos / "odd").rename(photos / "even")
    added = library.add([photos])
    assert (added.moved, added.new, added.removed, added.unchanged) == (4, 0, 0, 4)
    after = vectors(library)
    for path, vector in before.items():
        path_now = path.replace("odd/", "even/")
        assert np.array_equal(after[path_now], vector)
        assert ids(library)[path_now] == known[path]


def test_a_copied_image_reuses_the_vectors_and_gets_its_own_id(
    library: Library, photos: Path
) -> None:
    shutil.copy(photos / "000.jpg", photos / "copy.jpg")
    added = library.add([photos])
    assert (added.copied, added.new, added.unchanged) == (1, 0, 8)
    after = vectors(library)
    assert np.array_equal(after["copy.jpg"], after["000.jpg"])
    assert len(set(ids(library).values())) == 9


def test_two_copies_of_an_image_that_is_gone_are_one_move_and_one_copy(
    library: Library, photos: Path
) -> None:
    shutil.copy(photos / "000.jpg", photos / "a.jpg")
    (photos / "000.jpg").rename(photos / "b.jpg")
    added = library.add([photos])
    assert (added.moved, added.copied, added.removed) == (1, 1, 0)
    assert {"a.jpg", "b.jpg"} < set(ids(library)) and "000.jpg" not in ids(library)


def test_many_copies_are_looked_up_once_per_batch_and_each_is_stored(
    library: Library, photos: Path
) -> None:
    for number in range(20):
        shutil.copy(photos / "000.jpg", photos / f"copy {number:02d}.jpg")
    assert library.add([photos]).copied == 20
    known = ids(library)
    for number in range(12):  # some move, a few are new, the others stand
        (photos / f"copy {number:02d}.jpg").rename(photos / f"moved {number:02d}.jpg")
    for number in range(3):
        shutil.copy(photos / "000.jpg", photos / f"new {number}.jpg")
    lookups = mock.Mock(side_effect=LocalWriter.same_content)
    with (
        mock.patch("lookalike.indexing.indexer.BATCH", 5),
        mock.patch.object(
            LocalWriter, "same_content", lambda self, *a, **k: lookups(self, *a, **k)
        ),
    ):
        added = library.add([photos])
    assert (added.moved, added.copied, added.unchanged, added.removed) == (12, 3, 16, 0)
    assert lookups.call_count <= 5  # 15 files, three batches
    now = ids(library)
    assert {now[f"moved {n:02d}.jpg"] for n in range(12)} == {
        known[f"copy {n:02d}.jpg"] for n in range(12)
    }
    assert len(set(now.values())) == 8 + 20 + 3


def test_a_changed_image_whose_old_content_was_copied_loses_neither(
    library: Library, photos: Path
) -> None:
    before = vectors(library)
    shutil.copy(photos / "000.jpg", photos / "z.jpg")
    draw(photos / "000.jpg", 100)
    with mock.patch(
        "lookalike.indexing.indexer.BATCH", 1
    ):  # 000.jpg is stored before z.jpg is settled
        added = library.add([photos])
    assert (added.changed, added.new + added.copied, added.failures) == (1, 1, 0)
    after = vectors(library)
    assert np.allclose(after["z.jpg"], before["000.jpg"], atol=1e-6)
    assert not np.allclose(after["000.jpg"], before["000.jpg"])


def test_missing_images_are_removed(library: Library, photos: Path) -> None:
    (photos / "000.jpg").unlink()
    assert library.add([photos]).removed == 1
    assert "000.jpg" not in ids(library)


def test_only_images_below_the_given_folder_are_removed(library: Library, photos: Path) -> None:
    (photos / "000.jpg").unlink()
    (photos / "odd" / "001.jpg").unlink()
    assert library.add([photos / "odd"]).removed == 1
    assert "000.jpg" in ids(library)


def test_an_empty_folder_is_treated_as_an_unmounted_drive(library: Library, photos: Path) -> None:
    for child in ("odd", *(f"{n:03d}.jpg" for n in range(0, 8, 2))):
        path = photos / child
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    added = library.add([photos])
    assert added.removed == 0 and len(ids(library)) == 8
    assert "no file in it" in added.unreadable[0][1]


@pytest.mark.usefixtures("small_steps")
@pytest.mark.parametrize("flat", [True, False])
def test_a_drive_unplugged_during_the_run_loses_no_image(tmp_path: Path, flat: bool) -> None:
    """The mount point of an unplugged drive is an empty folder, or has other files meanwhile."""
    photos = tmp_path / "drive"
    for number in range(24):
        draw(photos / ("." if flat else f"{number // 4}") / f"{number:02d}.jpg", number)
    pulled: list[Progress] = []

    def pull(progress: Progress) -> None:
        if progress.done == 8 and not pulled:
            pulled.append(progress)
            photos.rename(tmp_path / "unplugged")
            photos.mkdir()

    with Library.create(photos, folder=tmp_path / ".lookalike") as library:
        assert library.add([photos], extractors=["dhash"]).new == 24
        added = library.add([photos], progress=pull)
        assert (added.unchanged, added.removed) == (8, 0)
        assert added.unreadable
        assert library.info().images == 24
        shutil.rmtree(photos)
        (tmp_path / "unplugged").rename(photos)
        assert library.add([photos]).unchanged == 24


def test_a_broken_link_does_not_keep_missing_images(library: Library, photos: Path) -> None:
    (photos / "nowhere.jpg").symlink_to("gone.jpg")
    (photos / "000.jpg").unlink()
    assert library.add([photos]).removed == 1


@pytest.mark.skipif(os.name != "posix", reason="links need rights elsewhere")
def test_images_behind_a_broken_link_are_kept(
    library: Library, photos: Path, tmp_path: Path
) -> None:
    drive = album(tmp_path / "drive", 4)
    (photos / "drive").symlink_to(drive)
    assert library.add([photos]).indexed == 4
    drive.rename(tmp_path / "unplugged")
    assert library.add([photos]).removed == 0
    (tmp_path / "unplugged").rename(drive)
    assert library.add([photos]).unchanged == 12
    (photos / "drive").unlink()
    added = library.add([photos])
    assert (added.removed, added.missing) == (0, 4)  # a third of the library
    assert library.add([photos], options=IndexOptions(prune=True)).removed == 4


def test_at_most_a_tenth_of_the_library_is_forgotten_without_asking(
    library: Library, photos: Path
) -> None:
    more = album(photos / "more", 32)
    assert library.add([photos]).indexed == 32
    names = sorted(more.iterdir())
    for file in names[:4]:
        file.unlink()
    assert library.add([photos]).removed == 4
    for file in names[4:9]:
        file.unlink()
    added = library.add([photos])
    assert (added.removed, added.missing, added.unchanged) == (0, 5, 31)
    assert len(ids(library)) == 36
    assert library.add([photos], options=IndexOptions(prune=True)).removed == 5
    assert len(ids(library)) == 31


@pytest.mark.parametrize(
    ("outcome", "reason"),
    [
        (
            Outcome.MISSING,
            "there is no file at this path (any more); check the path, or connect its drive",
        ),
        (Outcome.UNREADABLE, "no permission to read it; change its permissions"),
        (Outcome.UNREADABLE, "cannot be read: input/output error; check the disk"),
    ],
)
def test_an_unreachable_file_is_tried_again_and_keeps_its_vectors(
    library: Library, photos: Path, outcome: Outcome, reason: str
) -> None:
    def unplugged(
        self: indexer.Indexer, pending: PendingFile, loaded: ExtractionResult
    ) -> ExtractionResult:
        return ExtractionResult(None, outcome, reason) if pending.path == "000.jpg" else loaded

    with mock.patch.object(indexer.Indexer, "_read_again_if_stale", unplugged):
        added = library.add([photos], extractors=["histogram", "color"])
    assert dict(added.failed) == {outcome: 1}
    assert "000.jpg" in vectors(library)  # those that it had
    assert library.add([photos], extractors=["histogram", "color"]).added_vectors == 1
    fresh = draw(photos / "fresh.jpg", 61)
    with mock.patch.object(
        indexer.Indexer, "_read_again_if_stale", lambda *_: ExtractionResult(None, outcome, reason)
    ):
        assert dict(library.add([photos]).failed) == {outcome: 1}
    again = library.add([photos])
    assert (again.changed, again.known_failures) == (1, 0)
    assert library.search(fresh, k=1).hits[0].path == "fresh.jpg"


def test_globs_select_files_and_remove_none(library: Library, photos: Path) -> None:
    draw(photos / "new.png", 50)
    added = library.add([photos], options=IndexOptions(include=("*.png",)))
    assert (added.new, added.removed, added.unchanged) == (1, 0, 0)
    assert len(ids(library)) == 9


def test_broken_files_are_stored_and_tried_again_only_on_request(
    library: Library, photos: Path
) -> None:
    whole = (photos / "000.jpg").read_bytes()
    (photos / "half.jpg").write_bytes(whole[: len(whole) // 2])
    (photos / "notes.txt").write_text("a long text about nothing in particular " * 20)
    added = library.add([photos])
    assert dict(added.failed) == {Outcome.TRUNCATED: 1}
    assert added.not_images == 1
    again = library.add([photos])
    assert (again.failures, again.known_failures, again.not_images) == (0, 1, 1)
    retried = library.add([photos], options=IndexOptions(retry_failed=True))
    assert (retried.failures, retried.known_failures, retried.not_images) == (1, 0, 1)
    (photos / "half.jpg").write_bytes(whole + b"mended")
    assert library.add([photos]).changed == 1


def test_an_image_that_breaks_loses_its_vectors(library: Library, photos: Path) -> None:
    (photos / "000.jpg").write_bytes(b"\xff\xd8\xff" + bytes(500))
    assert library.add([photos]).failures == 1
    assert "000.jpg" not in vectors(library)
    assert "000.jpg" not in {hit.path for hit in library.search(photos / "002.jpg", k=99).hits}


def test_a_space_added_later_holds_every_image(library: Library, photos: Path) -> None:
    added = library.add([photos], extractors=["histogram", "color"])
    assert (added.added_vectors, added.changed, added.indexed) == (8, 0, 8)
    with library.snapshot() as snapshot:
        assert {space.name: space.count for space in snapshot.spaces()} == {
            "histogram": 8,
            "color": 8,
        }


def test_a_changed_image_loses_vectors_that_the_run_does_not_update(
    library: Library, photos: Path
) -> None:
    library.add([photos], extractors=["color"])
    draw(photos / "000.jpg", 100)
    library.add([photos], extractors=["color"])
    with library.snapshot() as snapshot:
        assert {space.name: space.count for space in snapshot.spaces()} == {
            "histogram": 7,
            "color": 8,
        }
    assert library.add([photos]).added_vectors == 1  # all spaces of the library by default


def test_progress_rises_to_the_total(photos: Path) -> None:
    seen: list[Progress] = []
    with Library.create(photos) as library:
        library.add([photos], progress=seen.append)
    assert seen[-1].done == seen[-1].indexed == 8
    assert seen[-1].total in (None, 8)
    assert [p.done for p in seen] == sorted(p.done for p in seen)


@pytest.mark.usefixtures("small_steps")
def test_an_interrupted_run_keeps_its_results_and_the_next_one_resumes(photos: Path) -> None:
    album(photos, 40)

    def interrupt(progress: Progress) -> None:
        if progress.path and progress.done < 40:
            raise KeyboardInterrupt

    with Library.create(photos) as library:
        with pytest.raises(KeyboardInterrupt):
            library.add([photos], extractors=["histogram"], progress=interrupt)
        stored = len(vectors(library))
        added = library.add([photos], extractors=["histogram"])
        assert added.unchanged == stored and added.unchanged + added.new == 40


def test_metadata_of_a_table_reaches_the_hits(library: Library, photos: Path) -> None:
    table = photos / "table.csv"
    table.write_text("path,price,name\n000.jpg,3.5,mug\nodd/001.jpg,,007\nnone.jpg,1,x\n")
    added = library.add([photos], options=IndexOptions(metadata=table))
    assert (added.described, added.unmatched_rows) == (2, 1)
    hit = library.search(photos / "000.jpg", k=1).hits[0]
    assert dict(hit.metadata) == {"price": 3.5, "name": "mug"}
    hit = library.search(photos / "odd" / "001.jpg", k=1).hits[0]
    assert dict(hit.metadata) == {"price": None, "name": "007"}


def test_a_table_without_a_path_column_is_refused(library: Library, photos: Path) -> None:
    (photos / "table.csv").write_text("file,price\na,1\n")
    with pytest.raises(UsageError, match="needs a column `path`; it has: file, price"):
        library.add([photos], options=IndexOptions(metadata=photos / "table.csv"))


def test_a_missing_source_is_named(library: Library, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no such file or folder: .*nowhere"):
        library.add([tmp_path / "nowhere"])


def test_a_second_writer_is_refused_and_a_reader_is_not(library: Library, photos: Path) -> None:
    with LocalStore.open(photos / ".lookalike").writer(), Library.open(photos) as other:
        with pytest.raises(LibraryBusy):
            other.add([photos])
        assert len(other.search(photos / "000.jpg", k=3)) == 3


def test_an_estimate_counts_without_writing(library: Library, photos: Path) -> None:
    draw(photos / "new.png", 50)
    before = ids(library)
    promised = library.estimate([photos])
    assert (promised.files, promised.to_index, promised.sampled) == (9, 1, 1)
    assert promised.disk_bytes > 96 * 4
    assert ids(library) == before


def test_a_custom_extractor_works_like_a_builtin_one(photos: Path, toy: Extractor) -> None:
    with Library.create(photos) as library:
        library.add([photos], extractors=[toy])
        hits = library.search(photos / "000.jpg", k=2).hits
        assert hits[0].path == "000.jpg" and hits[0].similarity == pytest.approx(1.0)


def test_a_file_with_a_date_in_the_far_future_is_recognised(library: Library, photos: Path) -> None:
    far = draw(photos / "far.jpg", 50)
    os.utime(far, ns=(0, 1 << 63))  # beyond 64 bits with a sign
    if far.stat().st_mtime_ns < 1 << 63:
        pytest.skip("this file system knows no such date")
    assert library.add([photos]).new == 1
    assert library.add([photos]).unchanged == 9
    assert library.search(far, k=1).hits[0].path == "far.jpg"


@pytest.mark.skipif(os.name != "posix", reason="Windows refuses such a folder")
def test_folders_beyond_the_maximum_path_length_affect_only_themselves(
    library: Library, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(photos)
    for _ in range(25):  # of 200 letters each; a path has 4,095
        Path("d" * 200).mkdir()
        os.chdir("d" * 200)
    monkeypatch.undo()
    (photos / "000.jpg").unlink()
    draw(photos / "new.jpg", 50)
    added = library.add([photos])
    assert (added.new, added.unchanged, added.removed) == (1, 7, 0)
    [(path, reason)] = added.unreadable
    assert reason == "cannot be read: file name too long; shorten the names of its folders"
    assert path.startswith(str(photos))


@pytest.mark.skipif(os.name != "posix", reason="links need privileges elsewhere")
def test_links_to_nothing_are_listed_as_failures_until_they_are_repaired(
    library: Library, photos: Path
) -> None:
    broken = {
        "gone.jpg": "nowhere.jpg",
        "circle.jpg": "circle.jpg",
        "odd/folder": "/nowhere/at/all",
    }
    for name, target in broken.items():
        (photos / name).symlink_to(target)
    for _ in range(2):
        added = library.add([photos])
        assert dict(added.failed) == {Outcome.MISSING: 2, Outcome.UNREADABLE: 1}
        assert len(added.unreadable) == added.failures == 3 and added.unchanged == 8
        failures = {image.path: image.outcome for image in library.failures()}
        assert failures == {
            "gone.jpg": Outcome.MISSING,
            "circle.jpg": Outcome.UNREADABLE,
            "odd/folder": Outcome.MISSING,
        }
        outcomes = library.info().outcomes
        assert sum(n for outcome, n in outcomes.items() if outcome in FAILED) == 3
    (photos / "circle.jpg").unlink()
    (photos / "odd" / "folder").unlink()
    draw(photos / "nowhere.jpg", 60)
    added = library.add([photos])
    assert (added.failures, added.known_failures, added.unreadable) == (0, 0, ())
    assert list(library.failures()) == [] and library.info().images == 10


@pytest.mark.skipif(os.name != "posix", reason="links need privileges elsewhere")
def test_an_image_behind_a_link_is_kept_while_its_target_is_away(
    library: Library, photos: Path, tmp_path: Path
) -> None:
    drive = tmp_path / "drive"
    draw(drive / "a.jpg", 70)
    (photos / "linked.jpg").symlink_to(drive / "a.jpg")
    assert library.add([photos]).new == 1
    drive.rename(tmp_path / "unplugged")
    added = library.add([photos])
    assert (added.failures, added.removed) == (1, 0)
    assert library.search(tmp_path / "unplugged" / "a.jpg", k=1)[0].path == "linked.jpg"


def test_what_the_program_draws_is_not_indexed(library: Library, photos: Path) -> None:
    figure = Figure(figsize=(2, 2))
    figure.add_subplot().plot([1, 2, 3])
    kinds = ["png", "jpg", "jpeg", "webp", "tif", "svg"]
    kinds += ["pdf"] if find_spec("pypdfium2") else []
    for kind in kinds:
        save_figure(figure, photos / f"drawn.{kind}")
    hits = library.search(photos / "000.jpg", k=3)
    result_grid([photos / "000.jpg"], hits, photos / "grid.png")
    pixels = np.zeros((64, 64, 3), np.uint8)
    (photos / "thumbnail.jpg").write_bytes(encode_jpeg(pixels))
    (photos / "sheet.jpg").write_bytes(library.thumbnails.get(hits[0].id, 256).data)
    (photos / "renamed").write_bytes((photos / "drawn.png").read_bytes())
    for _ in range(2):
        added = library.add([photos])
        assert (added.drawings, added.not_images, added.new, added.failures) == (
            len(kinds) + 4,
            0,
            0,
            0,
        )
    assert library.info().outcomes == {Outcome.INDEXED: 8, Outcome.SKIPPED: len(kinds) + 4}
    assert library.search(photos / "grid.png", k=1)[0].path  # as a query it is an image like others
    Image.open(photos / "drawn.png").save(photos / "saved again.png")  # without the metadata
    assert library.add([photos]).new == 1


def found(library: Library) -> list[str]:
    return [hit.path for hit in library.search(sort="path", k=99)]


def test_exclusions_hold_in_later_runs_until_they_are_removed(
    library: Library, photos: Path
) -> None:
    for name in ("thumbs/a.jpg", "odd/thumbs/b.jpg", "odd/[x]/c.jpg", "notes.gif.jpg"):
        draw(photos / name, len(name))
    everything = sorted(
        [*found(library), "thumbs/a.jpg", "odd/thumbs/b.jpg", "odd/[x]/c.jpg", "notes.gif.jpg"]
    )
    assert library.add([photos]).new == 4 and found(library) == everything
    added = library.add([photos], options=IndexOptions(exclude=("thumbs", "*.gif.*")))
    kept = [name for name in everything if "thumbs" not in name and "gif" not in name]
    assert (added.removed, found(library)) == (3, kept)
    assert library.info().roots[0].exclude == ("thumbs", "*.gif.*")
    library.add([photos])
    assert found(library) == kept  # also without the option
    assert library.estimate([photos]).files == len(kept)
    with pytest.raises(UsageError, match=r"--no-exclude thumbs"):
        library.add([photos / "odd" / "thumbs"])
    with pytest.raises(UsageError, match=r"'nothing' is not excluded .* 'thumbs', '\*.gif.\*'"):
        library.add([photos], options=IndexOptions(no_exclude=("nothing",)))
    assert library.add([photos], options=IndexOptions(no_exclude=("thumbs",))).indexed == 2
    library.add([photos], options=IndexOptions(no_exclude=("*.gif.*",)))
    assert found(library) == everything and library.info().roots[0].exclude == ()
    draw(photos / "e\u0301" / "d.jpg", 1)  # decomposed, as macOS writes it
    library.add([photos], options=IndexOptions(exclude=("\u00e9",)))
    assert found(library) == everything
    library.add([photos], options=IndexOptions(no_exclude=("e\u0301",)))
    assert len(found(library)) == len(everything) + 1


def test_exclusions_of_a_folder_hold_below_it_only(library: Library, photos: Path) -> None:
    for name in ("raw/a.jpg", "odd/raw/b.jpg", "odd/2*/raw/c.jpg", "odd/22/raw/d.jpg"):
        draw(photos / name, len(name))
    library.add([photos])
    library.add([photos / "odd"], options=IndexOptions(exclude=("raw/**",)))
    library.add([photos / "odd" / "2*"], options=IndexOptions(exclude=("raw", "nothing")))
    library.add([photos])
    raw = [name for name in found(library) if "raw" in name]
    assert raw == ["odd/22/raw/d.jpg", "raw/a.jpg"]
    library.add([photos / "odd"], options=IndexOptions(no_exclude=("raw/**",)))
    assert "odd/raw/b.jpg" in found(library)
