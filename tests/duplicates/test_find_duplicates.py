"""Duplicates and similar groups of a whole library, and the feedback that changes them."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.duplicates.image_builders import save, scene
from tests.library.image_builders import album

from lookalike import Library, Query
from lookalike.duplicates.report import Duplicates, Scope
from lookalike.errors import UsageError
from lookalike.query import Term


@pytest.fixture(scope="module")
def indexed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Index six scenes: 0 with an equal, a smaller and a grey copy, 1 with a mirrored and a cropped one."""
    folder = tmp_path_factory.mktemp("duplicates") / "photos"
    images = [scene(number) for number in range(6)]
    for number, image in enumerate(images):
        save(folder / f"{number}.png", image)
    (folder / "again").mkdir()
    shutil.copy(folder / "0.png", folder / "again" / "equal.png")
    save(folder / "small.jpg", np.ascontiguousarray(images[0][::2, ::2]), quality=60)
    grey = images[0].mean(axis=2, keepdims=True).astype(np.uint8).repeat(3, axis=2)
    save(folder / "grey.jpg", grey)
    save(folder / "mirrored.jpg", np.ascontiguousarray(images[1][:, ::-1]))
    save(folder / "cropped.jpg", np.ascontiguousarray(images[1][18:162, 24:216]))
    with Library.create(folder) as library:
        library.add([folder], extractors=["color", "phash", "dhash"])
    return folder


@pytest.fixture
def photos(indexed: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(indexed, tmp_path / "photos", copy_function=shutil.copy2))


@pytest.fixture
def library(photos: Path) -> Iterator[Library]:
    with Library.open(photos) as library:
        yield library


def names(found: Duplicates) -> list[list[str]]:
    return [[member.image.path for member in group.members] for group in found.groups]


def test_the_same_bytes_are_found_with_the_older_path_first(library: Library) -> None:
    found = library.duplicates(kind="exact")
    assert names(found) == [["0.png", "again/equal.png"]]
    [group] = found.groups
    assert (group.kind, group.best.similarity, group.members[1].evidence) == (
        "exact",
        1.0,
        "the same bytes",
    )
    assert group.reclaimable_bytes == group.best.image.size
    assert found.compared == 0


def test_edited_copies_are_found(library: Library) -> None:
    found = library.duplicates()
    assert {frozenset(group) for group in names(found)} == {
        frozenset({"0.png", "again/equal.png", "small.jpg", "grey.jpg"}),
        frozenset({"1.png", "mirrored.jpg", "cropped.jpg"}),
    }
    assert {group[0] for group in names(found)} == {"0.png", "1.png"}  # the most bytes
    assert [group.kind for group in found.groups] == ["edit", "edit"]
    assert (found.searched, found.unreadable, found.missing) == (11, 0, "")


def test_only_the_given_images_are_compared(library: Library, photos: Path) -> None:
    found = library.duplicates([photos / "mirrored.jpg", photos / "cropped.jpg", photos / "again"])
    assert {frozenset(group) for group in names(found)} == {
        frozenset({"mirrored.jpg", "cropped.jpg"})
    }
    assert found.searched == 3


def test_a_pair_marked_as_not_duplicate_is_hidden(library: Library, photos: Path) -> None:
    library.feedback.add("not-duplicate", photos / "mirrored.jpg", photos / "1.png")
    library.feedback.add("not-duplicate", photos / "cropped.jpg", photos / "1.png")
    found = library.duplicates()
    assert sorted(map(sorted, names(found)))[1:] == [["cropped.jpg", "mirrored.jpg"]]
    assert found.hidden == 2


def test_an_image_marked_to_keep_becomes_the_best(library: Library, photos: Path) -> None:
    library.feedback.add("keep", photos / "small.jpg", who="Ann")
    group = next(g for g in library.duplicates().groups if len(g.members) == 4)
    assert group.best.image.path == "small.jpg"
    assert group.best.keep


def test_feedback_survives_moved_files_and_reindexing(library: Library, photos: Path) -> None:
    library.feedback.add("not-duplicate", photos / "1.png", photos / "mirrored.jpg")
    (photos / "mirrored.jpg").rename(photos / "moved.jpg")
    library.remove([photos / "1.png"])
    library.add([photos])
    [decided] = library.feedback.all()
    assert {*decided.first, *decided.second} == {photos / "1.png", photos / "moved.jpg"}
    group = next(g for g in names(library.duplicates()) if "1.png" in g)
    assert "moved.jpg" not in group


def test_feedback_can_be_copied_to_another_library(
    library: Library, photos: Path, tmp_path: Path
) -> None:
    library.feedback.add("keep", photos / "0.png", who="Ann")
    library.feedback.add("relevant", photos / "0.png", photos / "1.png", photos / "2.png")
    lines = list(library.feedback.export_lines())
    with Library.create(tmp_path / "other", folder=tmp_path / "other" / ".lookalike") as other:
        assert other.feedback.import_lines(lines) == 3
        assert other.feedback.import_lines(lines) == 0
        assert list(other.feedback.export_lines()) == lines
        with pytest.raises(UsageError, match="line 2 is not a judgement"):
            other.feedback.import_lines([lines[0], '{"kind": "keep"}'])
    assert library.feedback.remove("relevant", photos / "0.png", photos / "2.png") == 1
    assert len(library.feedback.all(["relevant"])) == 1


@pytest.mark.parametrize(
    ("others", "message"),
    [([], "at least two"), (["again/equal.png"], "same bytes"), (["no.jpg"], "is not a file")],
)
def test_an_invalid_pair_is_refused(
    library: Library, photos: Path, others: list[str], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        library.feedback.add("not-duplicate", photos / "0.png", *(photos / o for o in others))


def test_files_that_cannot_be_compared_are_no_copies(library: Library, photos: Path) -> None:
    for file in ("1.png", "small.jpg"):
        (photos / file).unlink()
    found = library.duplicates()
    assert found.unreadable > 0
    first = next(group for group in names(found) if "0.png" in group)
    assert {*first} == {"0.png", "again/equal.png", "grey.jpg"}


def test_a_library_without_hashes_names_the_missing_extractors(
    photos: Path, tmp_path: Path
) -> None:
    with Library.create(photos, folder=tmp_path / "lib") as library:
        library.add([photos], extractors=["color"])
        found = library.duplicates()
    assert "--extractor phash,dhash" in found.missing
    assert any({"1.png", "cropped.jpg"} <= {*group} for group in names(found))


def test_a_new_library_has_no_duplicates(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with Library.create(tmp_path / "empty") as library:
        assert library.duplicates().groups == ()


def test_a_misspelt_choice_is_refused_with_the_right_ones(library: Library, tmp_path: Path) -> None:
    np.save(tmp_path / "v.npy", np.ones((2, 3), np.float32))
    vectors: Any = library.vectors
    misspelt: Any = "copy"
    for call, choices in (
        (lambda: library.duplicates(kind=misspelt), "kind is exact or copies or near or burst"),
        (lambda: library.similar_groups(min_relevance=misspelt), "min_relevance is weak or"),
        (lambda: vectors.stream_vectors("pixels", io.BytesIO(), misspelt), "format is npy or"),
        (
            lambda: vectors.import_vectors(tmp_path / "v.npy", "x", similarity=misspelt),
            "similarity is cosine or",
        ),
        (lambda: vectors.import_vectors(tmp_path / "v.npy", "x", dtype=misspelt), "dtype is f32"),
    ):
        with pytest.raises(UsageError, match=f"{choices}.*not 'copy'"):
            call()


def test_similar_groups_use_the_given_similarity(library: Library) -> None:
    found = library.similar_groups(min_similarity=0.9, extractor="color")
    assert {frozenset(group) for group in names(found)} >= {
        frozenset({"1.png", "mirrored.jpg", "cropped.jpg"})
    }
    assert all(member.similarity >= 0.9 for group in found.groups for member in group.members)
    with pytest.raises(UsageError, match="--extractor clip"):
        library.similar_groups(extractor="clip")


def test_feedback_changes_the_ranking_of_a_query(library: Library, photos: Path) -> None:
    def ranks(*, feedback: bool) -> dict[str, float]:
        query = Query(
            (Term(image=photos / "0.png"),), k=11, extractors=("color",), feedback=feedback
        )
        return {hit.path: hit.similarity or 0.0 for hit in library.search(query).hits}

    assert ranks(feedback=True) == ranks(feedback=False)
    library.feedback.add("relevant", photos / "0.png", photos / "3.png")
    library.feedback.add("not-relevant", photos / "0.png", photos / "4.png")
    before, after = ranks(feedback=False), ranks(feedback=True)
    assert after["3.png"] > before["3.png"] + 0.1
    with library.snapshot() as snapshot:
        images = [snapshot.lookup(1, f"{number}.png") for number in (0, 3, 4)]
        key = next(space.key for space in snapshot.spaces() if space.name == "color")
        ids = np.array([image.id for image in images if image])
        zero, three, four = snapshot.vectors(key, ids).astype(float)
    moved = zero + 0.75 * three - 0.15 * four
    moved /= np.linalg.norm(moved)
    for name, vector in (("3.png", three), ("4.png", four)):
        assert after[name] == pytest.approx(float(moved @ vector), abs=1e-5)


def test_progress_is_reported(library: Library) -> None:
    seen: list[tuple[int, int]] = []
    found = library.duplicates(progress=lambda done, total: seen.append((done, total)))
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})  # strictly increasing
    assert all(0 < done <= total for done, total in seen)
    assert seen[-1][0] == seen[-1][1] > found.compared  # copies were measured, too


def test_comparisons_are_remembered_by_content(library: Library, photos: Path) -> None:
    first = library.duplicates()
    for file in photos.glob("*.jpg"):
        file.unlink()  # what was compared need not be read again
    again = library.duplicates()
    assert (again.compared, again.unreadable) == (first.compared, 0)
    assert again.stale == 4


def test_an_interrupted_search_goes_on_where_it_stopped(library: Library, photos: Path) -> None:
    class Stopped(Exception):
        pass

    def stop(done: int, total: int) -> None:
        raise Stopped

    with pytest.raises(Stopped):
        library.duplicates(progress=stop)
    for file in photos.glob("*.jpg"):
        file.unlink()
    found = library.duplicates()
    assert found.compared > 0 and found.unreadable > 0  # some pairs were remembered


def test_a_library_that_cannot_be_written_to_is_searched_without_remembering(
    library: Library, photos: Path
) -> None:
    with library._store.writer():  # another one writes
        found = library.duplicates()
    assert len(found) == 2


@pytest.mark.parametrize("kind", ["exact", "copies", "near", "burst", "raw-jpeg"])
@pytest.mark.parametrize("images", [0, 1])
def test_a_library_without_two_images_has_no_duplicates(
    tmp_path: Path, kind: Scope, images: int
) -> None:
    folder = album(tmp_path / "photos", 2)
    with Library.create(folder) as empty:
        empty.add([folder], extractors=["color", "phash", "dhash"])
        empty.remove([folder])
        if images:
            empty.add([folder / "000.jpg"])
        assert empty.duplicates(kind=kind, thorough=True).groups == ()
        assert empty.similar_groups().groups == ()
