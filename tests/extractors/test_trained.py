"""Tests of extractors made by `lookalike train`, and of the errors for damaged folders."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest

from lookalike.errors import UsageError
from lookalike.extractors import load, parse
from lookalike.extractors.trained import HEAD, read_trained, write_trained
from lookalike.models.files import TRAINED_RECORD, hash_file

IMAGES = [
    np.random.default_rng(seed).integers(0, 256, (64, 64, 3), dtype=np.uint8) for seed in range(3)
]


def made(folder: Path, *, revision: str | None = None, dim: int = 5) -> Path:
    """Write a model on plain histograms (96 numbers) that keeps the first few of them."""
    write_trained(
        folder,
        mean=np.zeros(96, np.float32),
        axes=np.eye(96, dim, dtype=np.float32),
        base="histogram",
        base_revision=revision or load("histogram").revision,
        learnt={"images": 3},
        figures={"after": {"mAP": 0.5}},
    )
    return folder


def test_vectors_are_projected_base_vectors_of_unit_length(tmp_path: Path) -> None:
    extractor = load(str(made(tmp_path / "mine")))
    vectors = extractor.extract(IMAGES)
    plain = load("histogram").extract(IMAGES)[:, :5]
    np.testing.assert_allclose(
        vectors, plain / np.linalg.norm(plain, axis=1, keepdims=True), rtol=1e-5
    )
    assert (extractor.dim, extractor.similarity) == (5, "cosine")
    assert extractor.extract([]).shape == (0, 5)


def test_it_can_be_named_by_its_folder_in_a_list_and_with_regions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = made(tmp_path / "mine")
    monkeypatch.chdir(tmp_path)
    full = f"trained:{folder.resolve().as_posix()}"
    assert parse("./mine,color") == parse("mine,color") == [full, "color"]
    assert load("./mine").name == load(full).name == full
    assert parse("./mine+regions") == [f"{full}+regions"]
    assert load("mine+regions").name == f"{full}+regions"


def test_it_can_be_pickled(tmp_path: Path) -> None:
    extractor = load(str(made(tmp_path / "mine")))
    there = pickle.loads(pickle.dumps(extractor))
    np.testing.assert_array_equal(there.extract(IMAGES), extractor.extract(IMAGES))


def test_the_revision_changes_with_the_numbers_and_not_with_the_folder(tmp_path: Path) -> None:
    here, there = made(tmp_path / "a"), made(tmp_path / "b")
    assert load(str(here)).revision == load(str(there)).revision
    assert load(str(made(tmp_path / "c", dim=4))).revision != load(str(here)).revision


def test_a_moved_library_finds_the_model_among_the_installed_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(tmp_path / "models" / "mine")
    monkeypatch.setenv("LOOKALIKE_MODELS", str(tmp_path / "models"))
    assert load("trained:/another/machine/mine").dim == 5


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ("altered", "damaged or was altered"),
        ("no head", "has no head.npz"),
        ("no record", "is not a trained model"),
        ("garbled", "is not the record of a trained model"),
        ("newer", "newer Lookalike"),
        ("other base", "train it again"),
        ("nowhere", "there is no folder"),
    ],
)
def test_an_invalid_model_folder_is_an_error_of_one_line(
    tmp_path: Path, broken: str, message: str
) -> None:
    folder = made(tmp_path / "mine", revision="older" if broken == "other base" else None)
    if broken == "altered":
        np.savez(folder / HEAD, mean=np.ones(96, np.float32), axes=np.eye(96, 5, dtype=np.float32))
    elif broken == "no head":
        (folder / HEAD).unlink()
    elif broken == "no record":
        (folder / TRAINED_RECORD).unlink()
    elif broken == "garbled":
        (folder / TRAINED_RECORD).write_text("[1]")
    elif broken == "newer":
        record = json.loads((folder / TRAINED_RECORD).read_text())
        (folder / TRAINED_RECORD).write_text(json.dumps(record | {"version": 99}))
    given = tmp_path / "nothing" if broken == "nowhere" else folder
    with pytest.raises(UsageError, match=message) as raised:
        load(str(given))
    assert "\n" not in str(raised.value)


def altered(folder: Path, **more: object) -> Path:
    """Change the record of a model, with a valid checksum of its arrays."""
    record = json.loads((folder / TRAINED_RECORD).read_text())
    more["sha256"] = hash_file(folder / HEAD)
    (folder / TRAINED_RECORD).write_text(json.dumps(record | more))
    return folder


@pytest.mark.parametrize("base", ["trained:{}", "{}", "trained:{}+regions"])
def test_a_model_that_is_trained_on_itself_is_refused(tmp_path: Path, base: str) -> None:
    folder = made(tmp_path / "mine")
    altered(folder, base=base.format(folder))
    with pytest.raises(UsageError, match="trained on a trained model"):
        load(str(folder))


@pytest.mark.parametrize("dim", [0, -5, 1 << 40])
def test_a_model_of_absurd_vectors_is_refused(tmp_path: Path, dim: int) -> None:
    folder = altered(made(tmp_path / "mine"), dim=dim)
    with pytest.raises(UsageError, match="is not the record of a trained model"):
        load(str(folder))


def test_arrays_that_unpack_to_more_than_stated_are_not_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("it was unpacked")

    folder = made(tmp_path / "mine")
    np.savez_compressed(
        folder / HEAD, mean=np.zeros(96, np.float32), axes=np.zeros((96, 5000), np.float32)
    )
    altered(folder)
    monkeypatch.setattr(np, "load", never)
    with pytest.raises(UsageError, match="does not contain what"):
        load(str(folder))


@pytest.mark.parametrize("head", [b"", b"PK\x03\x04 no archive", b"\x93NUMPY"])
def test_invalid_arrays_are_refused_in_one_line(tmp_path: Path, head: bytes) -> None:
    folder = made(tmp_path / "mine")
    (folder / HEAD).write_bytes(head)
    with pytest.raises(UsageError, match="does not contain what"):
        load(str(altered(folder)))


def test_a_model_replaces_a_model_and_nothing_else(tmp_path: Path) -> None:
    folder = made(tmp_path / "mine")
    made(folder, dim=3)
    assert read_trained(folder)[0].dim == 3
    assert sorted(p.name for p in tmp_path.iterdir()) == ["mine"]
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "cat.jpg").write_bytes(b"precious")
    with pytest.raises(UsageError, match="not empty"):
        made(photos)
    assert (photos / "cat.jpg").read_bytes() == b"precious"


def test_extractors_that_cannot_be_trained_on_say_so(tmp_path: Path) -> None:
    from lookalike.extractors.trained import check_trainable

    with pytest.raises(UsageError, match="different in every library"):
        check_trainable(load("keypoints"))
    with pytest.raises(UsageError, match="trained already"):
        check_trainable(load(str(made(tmp_path / "mine"))))
