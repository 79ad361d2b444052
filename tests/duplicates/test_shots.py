"""Kinds of kinship beyond copies: raw and JPEG, live photos, bursts; and what the user leaves out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.duplicates.image_builders import save, scene

from lookalike import Library
from lookalike.duplicates.report import Duplicates, Link
from lookalike.duplicates.shots import by_time
from lookalike.errors import Outcome, UsageError
from lookalike.stores.interface import Image as StoredImage


def search(folder: Path, **options: object) -> Duplicates:
    with Library.create(folder) as library:
        library.add([folder], extractors=["phash", "dhash"])
        return library.duplicates(**options)  # type: ignore[arg-type]


def paths(found: Duplicates) -> list[list[str]]:
    return [[member.image.path for member in group.members] for group in found.groups]


def shot(taken: str | None, camera: str | None = "Canon", exposure: str = "") -> StoredImage:
    values = (("taken", taken), ("camera", camera), ("exposure", exposure))
    facts = {name: value for name, value in values if value}
    return StoredImage(
        1, 1, "a.jpg", 1, 1, None, Outcome.INDEXED, "", 9, 9, "jpeg", metadata={}, facts=facts
    )


@pytest.mark.parametrize(
    ("kind", "other", "expected"),
    [
        ("near", "2024-05-01T12:00:02", "burst"),
        ("near", "2024-05-01T12:00:00", "burst"),
        ("near", "2024-05-01T12:00:30", "near"),
        ("copy", "2024-05-01T12:00:00", "copy"),
        ("copy", "2024-05-01T12:00:01", "burst"),
        ("edit", "2024-05-01T12:01:00", "near"),
        ("copy", "2024-05-01T14:00:00+02:00", "copy"),
        ("copy", None, "copy"),
        ("exact", "2024-05-01T12:00:01", "exact"),
    ],
)
def test_times_of_one_camera_tell_shots_apart(kind: str, other: str | None, expected: str) -> None:
    link = by_time(Link(kind, 1.0, ""), shot("2024-05-01T12:00:00"), shot(other))  # type: ignore[arg-type]
    assert link.kind == expected


def test_two_exposures_of_one_moment_are_two_shots() -> None:
    one, other = (shot("2024-05-01T12:00:00", exposure=f"1/{n} s") for n in (60, 250))
    for kind in ("copy", "edit", "near"):
        found = by_time(Link(kind, 1.0, ""), one, other)
        assert (found.kind, found.evidence) == ("burst", "exposed differently: 1/60 s and 1/250 s")
    for exposure in ("", "1/60 s ISO 100"):  # a program has dropped or added some values
        again = shot("2024-05-01T12:00:00", exposure=exposure)
        assert by_time(Link("copy", 1.0, ""), one, again).kind == "copy"


def test_times_of_two_cameras_tell_nothing() -> None:
    one, other = shot("2024-05-01T12:00:00"), shot("2024-05-01T12:00:01", "Nikon")
    assert by_time(Link("copy", 1.0, ""), one, other).kind == "copy"


def test_raw_files_and_videos_are_found_beside_their_images(tmp_path: Path) -> None:
    save(tmp_path / "day" / "IMG_1.jpg", scene(1))
    (tmp_path / "day" / "IMG_1.CR2").write_bytes(b"II*\0 raw" * 50)
    save(tmp_path / "IMG_2.jpg", scene(2))
    (tmp_path / "IMG_2.mov").write_bytes(b"video" * 50)
    save(tmp_path / "IMG_20.jpg", scene(3))
    found = search(tmp_path, kind="raw-jpeg")
    assert paths(found) == [["day/IMG_1.jpg", "day/IMG_1.CR2"]]
    assert found.groups[0].kind == "raw-jpeg" and not found.groups[0].spare
    assert paths(search(tmp_path, kind="live-photo")) == [["IMG_2.jpg", "IMG_2.mov"]]


def test_rotated_and_lighter_copies_can_be_left_out(tmp_path: Path) -> None:
    save(tmp_path / "a.png", scene(1))
    save(tmp_path / "b.png", np.ascontiguousarray(np.rot90(scene(1), 2)))
    save(tmp_path / "c.png", scene(2))
    lighter = np.clip(scene(2).astype(float) * 0.95, 0, 255).astype(np.uint8)
    save(tmp_path / "d.png", lighter)
    both = [["a.png", "b.png"], ["c.png", "d.png"]]
    assert sorted(map(sorted, paths(search(tmp_path)))) == both
    assert sorted(map(sorted, paths(search(tmp_path, rotated=False)))) == both[1:]
    assert sorted(map(sorted, paths(search(tmp_path, exposure=False)))) == both[:1]


def test_only_files_outside_the_archive_are_spare(tmp_path: Path) -> None:
    for name in ("archive/1.png", "archive/twice.png", "inbox/a.png", "inbox/b.png"):
        save(tmp_path / name, scene(1))
    save(tmp_path / "inbox" / "new.png", scene(2))
    save(tmp_path / "inbox" / "new again.png", scene(2))
    Image.fromarray(scene(3)).save(tmp_path / "archive" / "3.png")
    Image.fromarray(scene(3)).save(tmp_path / "inbox" / "3.jpg", quality=80)
    found = search(tmp_path, paths=[tmp_path / "inbox"], against=[tmp_path / "archive"])
    spare = sorted(m.image.path for group in found.groups for m in group.spare)
    assert spare == ["inbox/3.jpg", "inbox/a.png", "inbox/b.png"]
    whole = search(tmp_path, paths=[tmp_path], against=[tmp_path / "archive"])
    assert paths(whole) == paths(found)


def test_the_archive_may_be_another_library(tmp_path: Path) -> None:
    save(tmp_path / "archive" / "year" / "1.png", scene(1))
    save(tmp_path / "archive" / "year" / "2.png", scene(2))
    save(tmp_path / "inbox" / "same.png", scene(1))
    Image.fromarray(scene(2)).save(tmp_path / "inbox" / "saved.jpg", quality=80)
    save(tmp_path / "inbox" / "new.png", scene(3))
    save(tmp_path / "inbox" / "new again.png", scene(3))
    with Library.create(tmp_path / "archive") as library:
        library.add([tmp_path / "archive"], extractors=["phash", "dhash"])
    for place in ("archive", "archive/year"):
        found = search(tmp_path / "inbox", against=[tmp_path / place])
        assert sorted(m.image.path for g in found.groups for m in g.spare) == [
            "same.png",
            "saved.jpg",
        ]
        assert {g.best.file.parent for g in found.groups} == {tmp_path / "archive" / "year"}
    with pytest.raises(UsageError, match="is not indexed"):
        search(tmp_path / "inbox", against=[tmp_path])
