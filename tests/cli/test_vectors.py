"""`lookalike import`, `export` and `ann`: imported vectors and their ANN indexes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.cli.program_runner import lookalike

from lookalike.indexing import ann

COUNT, DIM = 600, 16


def vectors() -> NDArray[np.float32]:
    random = np.random.default_rng(0)
    centres = random.normal(size=(8, DIM))
    made = centres[random.integers(8, size=COUNT)] + 0.4 * random.normal(size=(COUNT, DIM))
    return made.astype(np.float32)


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """Return a folder with made.npy imported, whose rows are named shop/N.jpg."""
    np.save(tmp_path / "made.npy", vectors())
    np.save(tmp_path / "query.npy", vectors()[5])
    (tmp_path / "paths.txt").write_text("".join(f"shop/{n}.jpg\n" for n in range(COUNT)))
    run = lookalike("import", "made.npy", "--paths", "paths.txt", cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    assert run.stdout == (
        "Imported 600 vectors of 16 numbers as made into this folder; 0 images have a file here.\n"
    )
    return tmp_path


def test_imported_vectors_are_searched_and_shown_by_name(shop: Path) -> None:
    run = lookalike("search", "--vector", "query.npy", "-k", "1", "--format", "paths", cwd=shop)
    assert run.stdout == "shop/5.jpg\n"
    run = lookalike("search", "id:6", "-k", "1", "--format", "json", cwd=shop)
    result = json.loads(run.stdout)
    assert result["hits"][0]["path"] == "shop/5.jpg"
    assert result["exact"] is True
    run = lookalike("info", cwd=shop)
    assert "images    imported vectors, known by name\n" in run.stdout


def test_an_index_is_built_shown_used_checked_and_removed(shop: Path) -> None:
    run = lookalike("ann", "build", cwd=shop)
    assert (run.returncode, run.stdout) == (0, "")
    assert "large enough" in run.stderr
    run = lookalike("ann", "build", "-e", "made", "--recall", "0.9", cwd=shop)
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith("made: 600 vectors in ")
    assert "recall@10" in run.stdout
    shown = lookalike("info", cwd=shop).stdout
    assert "index of made: " in shown
    assert "search --exact finds all" in shown
    index = json.loads(lookalike("info", "--format", "json", cwd=shop).stdout)["spaces"][0]["index"]
    assert index["rows"] == COUNT
    assert index["recall"] >= 0.9
    for flags, exact in (([], False), (["--exact"], True)):
        run = lookalike("search", "id:9", "-k", "2", "--format", "json", *flags, cwd=shop)
        assert json.loads(run.stdout)["exact"] is exact
    run = lookalike("ann", "check", "--format", "json", "--queries", "50", cwd=shop)
    assert run.returncode == 0, run.stdout
    assert json.loads(run.stdout)[0]["check"]["queries"] == 50
    run = lookalike("ann", "history", "--extractor", "made", "--format", "json", cwd=shop)
    assert len(json.loads(run.stdout)) == 1
    run = lookalike("ann", "remove", cwd=shop)
    assert run.stdout == "Removed 1 index: made.\n"


def test_a_check_rebuilds_an_index_that_is_not_good_enough(shop: Path) -> None:
    lookalike("ann", "build", "-e", "made", "--recall", "0.9", cwd=shop)
    [file] = (shop / ".lookalike").rglob("*.faiss")
    file.write_bytes(file.read_bytes()[:-100])
    assert "cannot be used" in lookalike("info", cwd=shop).stdout
    run = lookalike("ann", "check", "--no-rebuild", cwd=shop)
    assert run.returncode == 3
    assert "is not in use; ann-1.faiss is not the file that was written" in run.stdout
    run = lookalike("ann", "check", "--queries", "50", cwd=shop)
    assert run.returncode == 0, run.stdout
    assert "rebuilt: ann-1.faiss is not the file that was written" in run.stdout
    np.save(shop / "more.npy", vectors()[:200] + 0.01)
    lookalike("import", "more.npy", "--extractor", "made", "--no-ann", cwd=shop)
    run = lookalike("ann", "check", "--queries", "50", cwd=shop)
    assert "rebuilt: 200 vectors were added after it was built" in run.stdout


def test_large_spaces_get_an_index_automatically(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ann, "LARGE_BYTES", 1000)
    run = lookalike("import", "made.npy", "--extractor", "plain", "--no-ann", cwd=shop)
    assert len(run.stdout.splitlines()) == 1
    run = lookalike("import", "made.npy", "--extractor", "quick", cwd=shop)
    assert run.stdout.splitlines()[-1].startswith("quick: 600 vectors in ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["import", "nowhere.npy"], "no such file or folder: nowhere.npy"),
        (["import", "paths.txt"], "paths.txt is not a complete NPY file of numbers"),
        (["import", "made.npy", "--paths", "made.npy"], "has a zero byte"),
        (["import", "made.npy", "--extractor", "a@b"], "contain @"),
        (["ann", "build", "-e", "nothing"], "the library has no vectors of nothing, only of made"),
        (["ann", "build", "-e", "made", "--recipe", "Odd"], "the recipe 'Odd' does not work"),
        (["ann", "build", "-e", "made", "--max-memory", "1K"], "an index of 600 vectors takes"),
        (["ann", "check", "-e", "nothing"], "only of made"),
        (["export", "out.npy", "--extractor", "nothing"], "only of made"),
        (["export", "out.txt", "--extractor", "made"], "name a .npy or .parquet file"),
        (["import", "made.npy", "--path-column", "file"], "name it with --metadata FILE"),
        (["import", "made.npy", "--extractor", ""], "must not be empty"),
        (["index", ".", "--replace-metadata"], "name it with --metadata FILE"),
        (["search", "--sort", "path", "--exclude-query"], "--exclude-query needs an image or text"),
        (["search", "--sort", "path", "-e", "color"], "--extractor needs an image or text"),
        (["search", "--vector", "made.npy"], "made.npy holds (600, 16), not one vector"),
        (["search", "--vector", "paths.txt"], "paths.txt is not a complete NPY file"),
    ],
)
def test_wrong_use_is_an_error_of_one_line(shop: Path, arguments: list[str], message: str) -> None:
    run = lookalike(*arguments, cwd=shop)
    assert run.returncode == 2
    assert message in run.stderr
    assert run.stderr.startswith("Error: ")
    assert len(run.stderr.splitlines()) == 1


def test_vectors_are_exported_with_their_paths(shop: Path) -> None:
    run = lookalike("export", "out.npy", "--extractor", "made", "--paths", "out.txt", cwd=shop)
    assert run.stdout == "Wrote 600 vectors to out.npy.\n"
    assert (shop / "out.txt").read_text() == (shop / "paths.txt").read_text()
    made = vectors() / np.linalg.norm(vectors(), axis=1, keepdims=True)
    assert np.allclose(np.load(shop / "out.npy"), made, atol=1e-6)


def test_recipes_are_compared_and_drawn(shop: Path) -> None:
    run = lookalike(
        "benchmark",
        "ann",
        *("--recipe", "IVF8,Flat", "--recipe", "HNSW8", "--recipe", "Odd"),
        *("--plot", "curve.png"),
        cwd=shop,
    )
    assert run.returncode == 0, run.stderr
    rows = [line.split()[0] for line in run.stdout.splitlines()[2:]]
    assert rows[-3:] == ["exact", "IVF8,Flat", "HNSW8"]
    assert "the recipe 'Odd' does not work" in run.stderr
    assert (shop / "curve.png").stat().st_size > 5000


def test_contradictions_repeats_and_reserved_names_are_told(shop: Path) -> None:
    run = lookalike("import", "made.npy", "--similarity", "euclidean", cwd=shop)
    assert (run.returncode, run.stdout) == (2, "")
    assert "are compared by cosine, not euclidean" in run.stderr
    run = lookalike("import", "made.npy", "--extractor", "color", cwd=shop)
    assert "color is the name of an extractor" in run.stderr
    paths = (shop / "paths.txt").read_text().replace("shop/7.jpg", "shop/8.jpg")
    (shop / "paths.txt").write_text(paths)
    (shop / "t.csv").write_text("path;price\nshop/8.jpg;1,5\nshop/9.jpg;2,5\n")
    run = lookalike(
        *("import", "made.npy", "--extractor", "again", "--paths", "paths.txt"),
        *("--metadata", "t.csv"),
        cwd=shop,
    )
    assert run.stdout.splitlines() == [
        "Imported 599 vectors of 16 numbers as again into this folder; 0 images have a file here.",
        "1 row names a path that a later row names, too (shop/8.jpg): the later vector was stored.",
        "2 images got metadata.",
        "  price holds numbers: '1,5' is 1.5.",
    ]


def test_a_space_is_dropped(shop: Path) -> None:
    run = lookalike("drop", "other", cwd=shop)
    assert run.returncode == 2
    assert "no vectors of other, only of made" in run.stderr
    run = lookalike("drop", "made", cwd=shop)
    assert run.stdout == (
        "Deleted the vectors of made. 600 images known by name only went with them.\n"
    )
    assert "indexed   0 images" in lookalike("info", cwd=shop).stdout
