"""`lookalike index` as a user runs it."""

import os
import shutil
import signal
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests.cli.program_runner import (
    PROGRAM,
    Album,
    draw,
    environment,
    lookalike,
    make_photos,
    process,
)

from lookalike.cli import open_library
from lookalike.library import Library
from lookalike.stores.local.store import LocalStore


def test_the_result_is_two_lines_on_stdout_and_a_pipe_gets_no_progress(album: Album) -> None:
    run = album.indexed
    assert run.returncode == 0
    first, second = run.stdout.splitlines()
    assert first.startswith("Indexed 8 images in ")
    assert first.endswith(" a second.")
    assert second.startswith("2 failed: ")
    assert "1 truncated" in second
    assert second.endswith("`lookalike failures --library photos` lists them.")
    assert run.stderr == ""


def test_a_second_run_finds_everything_unchanged(tmp_path: Path, album: Album) -> None:
    shutil.copytree(album.photos, tmp_path / "photos", copy_function=shutil.copy2)
    run = lookalike("index", "photos", cwd=tmp_path)
    assert run.returncode == 0
    first, second = run.stdout.splitlines()
    assert first.startswith("Indexed 0 images (8 unchanged) in ")
    assert second == "2 failed earlier, unchanged since: --retry-failed tries them again."


def test_changed_moved_copied_and_removed_images_are_distinguished(
    tmp_path: Path, album: Album
) -> None:
    photos = tmp_path / "photos"
    shutil.copytree(album.photos, photos, copy_function=shutil.copy2)
    draw(photos / "0.png", 100)
    (photos / "moved").mkdir()
    (photos / "1.png").rename(photos / "moved" / "one.png")
    shutil.copy2(photos / "2.png", photos / "two.png")
    (photos / "3.png").unlink()
    draw(photos / "new.png", 101)
    run = lookalike("index", "photos", "--retry-failed", cwd=tmp_path)
    first, second = run.stdout.splitlines()
    assert first.startswith(
        "Indexed 4 images (1 changed, 1 moved, 1 copied, 1 removed, 5 unchanged) in "
    )
    assert second.startswith("2 failed: ")


def test_strict_exits_with_3_when_files_failed_now_or_earlier(tmp_path: Path) -> None:
    make_photos(tmp_path / "photos")
    assert process("index", "photos", "--strict", cwd=tmp_path).returncode == 3
    assert lookalike("index", "photos", "--strict", cwd=tmp_path).returncode == 3
    assert lookalike("index", "photos", cwd=tmp_path).returncode == 0


def test_a_dry_run_estimates_and_writes_nothing(tmp_path: Path) -> None:
    photos = make_photos(tmp_path / "photos")
    before = sorted(tmp_path.rglob("*"))
    run = lookalike("index", "photos", "--dry-run", cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    lines = run.stdout.splitlines()
    assert " to index (timed on " in lines[0]
    assert [line.split("  ")[0] for line in lines[1:3]] == ["time", "disk"]
    assert sorted(tmp_path.rglob("*")) == before
    assert photos.exists()


def test_a_library_above_the_folder_is_used_and_no_second_one_created(
    tmp_path: Path, album: Album
) -> None:
    shutil.copytree(album.photos, tmp_path / "photos", copy_function=shutil.copy2)
    run = lookalike("index", "photos/pets", cwd=tmp_path)
    assert "(1 unchanged)" in run.stdout
    assert [p.parent.name for p in tmp_path.rglob(".lookalike")] == ["photos"]


def test_the_library_can_be_kept_elsewhere(tmp_path: Path) -> None:
    photos = draw(tmp_path / "photos" / "a.png", 1).parent
    run = lookalike("index", photos, "--library", "elsewhere", cwd=tmp_path)
    assert run.returncode == 0
    assert (tmp_path / "elsewhere" / ".lookalike").is_dir()
    assert not (photos / ".lookalike").exists()
    found = lookalike(
        "search", photos / "a.png", "--library", "elsewhere", "--format", "paths", cwd=tmp_path
    )
    assert found.stdout == "photos/a.png\n"


def test_files_that_are_not_images_are_not_failures_on_any_run(tmp_path: Path) -> None:
    draw(tmp_path / "photos" / "a.png", 1)
    (tmp_path / "photos" / "notes.txt").write_text("only text " * 30)
    for counted in ("Indexed 1 image in ", "Indexed 0 images (1 unchanged) in "):
        run = lookalike("index", "photos", "--strict", cwd=tmp_path)
        assert run.returncode == 0
        assert run.stdout.startswith(counted)
        assert "failed" not in run.stdout
    assert lookalike("failures", "--library", "photos", cwd=tmp_path).stdout == ""
    run = lookalike("failures", "photos/notes.txt", "--library", "photos", cwd=tmp_path)
    assert "not an image" in run.stdout
    info = lookalike("info", "--library", "photos", cwd=tmp_path).stdout
    assert "failed" not in info
    assert "skipped   1 file that is no image" in info


@pytest.mark.skipif(os.name == "nt", reason="links need privileges there")
def test_a_link_to_itself_is_an_error_of_one_line(tmp_path: Path) -> None:
    draw(tmp_path / "photos" / "a.png", 1)
    (tmp_path / "loop.png").symlink_to("loop.png")
    run = lookalike("index", "loop.png", cwd=tmp_path)
    assert (run.returncode, run.stderr.count("\n")) == (2, 1)
    assert "cannot read loop.png: " in run.stderr
    lookalike("index", "photos", "--extractor", "pixels", cwd=tmp_path)
    run = lookalike("search", "loop.png", "--library", "photos", cwd=tmp_path)
    assert (run.returncode, run.stderr.count("\n")) == (2, 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "no such file or folder: nowhere"),
        (["good", "nowhere"], "no such file or folder: nowhere"),
        (["good", "--extractor", "colour"], "color"),
        (["good", "--metadata", "nowhere.csv"], "nowhere.csv"),
        (["good", "--library", "good/a.png"], "good/a.png"),
    ],
)
def test_invalid_sources_and_options_are_errors_of_one_line(
    tmp_path: Path, arguments: list[str], message: str
) -> None:
    draw(tmp_path / "good" / "a.png", 1)
    run = lookalike("index", *arguments, cwd=tmp_path)
    assert run.returncode == 2, run.stderr
    assert run.stdout == ""
    assert run.stderr.startswith("Error: ")
    assert run.stderr.count("\n") == 1
    assert message in run.stderr


@pytest.mark.parametrize("name", [None, "notes.txt"])
def test_a_folder_without_images_exits_with_1(tmp_path: Path, name: str | None) -> None:
    (tmp_path / "empty").mkdir()
    if name:
        (tmp_path / "empty" / name).write_text("only text " * 30)
    run = lookalike("index", "empty", cwd=tmp_path)
    assert run.returncode == 1
    assert run.stderr.startswith("Error: there are no images in empty")
    assert run.stderr.count("\n") == 1
    assert not (tmp_path / "empty" / ".lookalike").exists()


def test_globs_that_match_no_image_are_named(album: Album, tmp_path: Path) -> None:
    run = lookalike("index", album.photos, "--library", "other", "--include", "zz*", cwd=tmp_path)
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr.endswith("passes --include and --exclude\n")


def test_a_file_that_is_not_an_image_is_reported_as_such(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("only text " * 30)
    run = lookalike("index", "notes.txt", cwd=tmp_path)
    assert run.returncode == 1
    assert run.stderr.startswith("Error: notes.txt is not an image")


def test_a_new_library_without_images_is_removed_with_the_folders_made_for_it(
    tmp_path: Path,
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "mine").mkdir()
    assert lookalike("index", "empty", "--library", "new/place", cwd=tmp_path).returncode == 1
    assert lookalike("index", "empty", "--library", "mine", cwd=tmp_path).returncode == 1
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["empty", "mine"]


def test_a_library_that_another_process_is_about_to_fill_is_not_removed(tmp_path: Path) -> None:
    """Two that start at once both find no library; one creates it, both open it."""
    photos = draw(tmp_path / "photos" / "a.png", 1).parent
    home = photos / ".lookalike"
    with ExitStack() as other:
        with open_library.open_for_indexing([photos], None):
            store = other.enter_context(LocalStore.open(home))
            writer = other.enter_context(store.writer())
        assert home.is_dir()
        writer.add_root(photos)
    with Library.open(photos) as library:
        assert [root.path for root in library.info().roots] == [photos]


def test_an_existing_library_is_kept_if_there_is_nothing_to_index(tmp_path: Path) -> None:
    draw(tmp_path / "photos" / "a.png", 1)
    (tmp_path / "photos" / "empty").mkdir()
    lookalike("index", "photos", cwd=tmp_path)
    assert lookalike("index", "photos/empty", cwd=tmp_path).returncode == 1
    assert Library.open(tmp_path / "photos").info().images == 1


def test_a_library_of_only_broken_images_is_kept_and_lists_them(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "none.jpg").write_bytes(b"this is not an image " * 10)
    assert lookalike("index", "photos", cwd=tmp_path).returncode == 0
    assert "none.jpg" in lookalike("failures", "--library", "photos", cwd=tmp_path).stdout


def test_a_folder_without_read_permission_is_an_error_of_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "secret").mkdir()
    monkeypatch.setattr(
        os, "access", lambda *_: False
    )  # tests may run as root, who may read everything
    run = lookalike("index", "secret", cwd=tmp_path)
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr == "Error: no permission to read secret: change its permissions\n"


@pytest.fixture(scope="module")
def many_photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four hundred images; tests copy them."""
    photos = tmp_path_factory.mktemp("many") / "photos"
    for number in range(400):
        draw(photos / f"{number:04d}.png", number)
    return photos


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signal")
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_ctrl_c_exits_with_130_and_the_next_run_continues(
    tmp_path: Path, many_photos: Path, name: str
) -> None:
    photos = tmp_path / "photos"
    shutil.copytree(many_photos, photos)
    running = subprocess.Popen(
        [*PROGRAM, "index", "photos", "--extractor", "color"],
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # a terminal sends Ctrl-C to the program and its workers alike
    )
    catalogue = photos / ".lookalike" / "catalogue.sqlite"
    until = time.monotonic() + 30
    while not catalogue.exists() and time.monotonic() < until:
        time.sleep(0.01)
    time.sleep(0.15)
    os.killpg(running.pid, getattr(signal, name))
    out, err = running.communicate(timeout=60)
    assert "Traceback" not in err, err
    if running.returncode == 0:
        pytest.skip("the run ended before the signal arrived")
    assert running.returncode == 130, err
    assert out == ""
    assert err.startswith("Interrupted.")
    assert err.count("\n") == 1
    again = lookalike("index", "photos", "--extractor", "color", cwd=tmp_path)
    assert again.returncode == 0
    info = lookalike("info", "--library", "photos", cwd=tmp_path)
    assert "400 images" in info.stdout


def test_an_interrupted_run_says_how_much_is_done_and_how_to_continue(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos = draw(tmp_path / "photos" / "a.png", 1).parent
    lookalike("index", "photos", cwd=tmp_path)
    draw(photos / "b.png", 2)

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Library, "add", interrupted)
    run = lookalike("index", "photos", cwd=tmp_path)
    assert run.returncode == 130
    assert run.stdout == ""
    assert run.stderr == (
        "Interrupted. 1 image is in the library; run the same command to continue.\n"
    )


def test_the_fields_of_a_table_are_shown_and_what_is_missing_is_kept(tmp_path: Path) -> None:
    album = tmp_path / "album"
    for number in range(12):
        draw(album / f"{number}.jpg", number)
    rows = "".join(f"{n}.jpg;{n},50 €;{n % 2 == 0};{n:02d}\n" for n in range(12))
    (album / "t.csv").write_text(f"path;price;sold;code\n{rows}", "utf-8")
    arguments = ("index", "album", "--extractor", "histogram", "--metadata", "album/t.csv")
    run = lookalike(*arguments, cwd=tmp_path)
    assert run.stdout.splitlines()[1:] == [
        "12 images got metadata.",
        "  price holds numbers: '0,50 €' is 0.5.",
        "  code is text: row 2 has '00', with a leading zero.",
    ]
    run = lookalike("info", "--fields", "--library", "album", cwd=tmp_path)
    shown = [line.split()[:4] for line in run.stdout.splitlines()]
    assert ["price", "number", "12", "0.5,"] in shown
    assert ["sold", "boolean", "12", "false,"] in shown
    assert ["code", "text", "12", "'00',"] in shown
    for number in range(2):
        (album / f"{number}.jpg").unlink()
    run = lookalike("index", "album", cwd=tmp_path)
    assert run.returncode == 0
    assert "The files of 2 images are gone, more than a tenth of the library" in run.stderr
    assert "indexed   12 images" in lookalike("info", "--library", "album", cwd=tmp_path).stdout
    run = lookalike("index", "album", "--prune", cwd=tmp_path)
    assert "2 removed" in run.stdout


@pytest.mark.skipif(os.name != "posix", reason="signals are sent in another way there")
def test_watching_indexes_what_changes_until_it_is_interrupted(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    for number in range(12):
        draw(photos / f"{number:02}.png", number)
    command = [*PROGRAM, "index", "photos", "-e", "color", "--watch"]
    log = tmp_path / "log"
    with log.open("w") as out:
        run = subprocess.Popen(
            command, cwd=tmp_path, env=environment(), stdout=out, stderr=subprocess.STDOUT
        )
    try:
        wait_for(log, "Watching for changes")
        draw(photos / "sub" / "new.png", 60)
        wait_for(log, "Indexed 1 image")
        (photos / "sub" / "new.png").rename(photos / "moved.png")
        wait_for(log, "1 moved")
        (photos / "00.png").unlink()
        wait_for(log, "1 removed")
        run.send_signal(signal.SIGINT)
        assert run.wait(20) == 0
    finally:
        run.kill()
        run.wait()
    said = log.read_text()
    assert "No longer watching." in said and "Error" not in said and "Traceback" not in said
    with Library.open(photos, read_only=True) as library:
        paths = {hit.path for hit in library.search(sort="path", k=99)}
    assert paths == {f"{number:02}.png" for number in range(1, 12)} | {"moved.png"}


def wait_for(log: Path, text: str) -> None:
    """Wait until the program has written a text."""
    for _ in range(600):
        if text in log.read_text():
            return
        time.sleep(0.1)
    raise AssertionError(f"{text!r} is not in: {log.read_text()}")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["photos", "--dry-run"], "--dry-run"), (["photos/a.png"], "--watch takes folders")],
)
def test_watching_refuses_what_it_cannot_do(
    tmp_path: Path, arguments: list[str], message: str
) -> None:
    draw(tmp_path / "photos" / "a.png", 1)
    run = lookalike("index", *arguments, "--watch", cwd=tmp_path)
    assert run.returncode == 2 and message in run.stderr


@pytest.mark.parametrize(
    ("arguments", "remedy"),
    [
        (["--shard", "1/2"], "--parts DIR"),
        (["--parts", "parts", "--watch"], "--watch"),
        (["--parts", "parts", "--dry-run"], "--dry-run"),
        (["--parts", "parts", "--shard", "3/2"], "1/16 to 16/16"),
    ],
)
def test_what_does_not_go_with_parts_is_refused_in_a_line(
    tmp_path: Path, arguments: list[str], remedy: str
) -> None:
    run = lookalike("index", ".", *arguments, cwd=tmp_path)
    assert run.returncode == 2
    assert remedy in run.stderr
    assert run.stderr.count("\n") == 1


def test_two_shards_are_imported_by_the_real_program(tmp_path: Path, album: Album) -> None:
    pytest.importorskip("pyarrow", reason="needs pyarrow (lookalike[parquet])")
    options = ("--parts", "parts", "--extractor", "color", "--workers", "1")
    for shard in ("1/2", "2/2"):
        run = lookalike("index", album.photos, "--shard", shard, *options, cwd=tmp_path)
        assert run.returncode == 0
        assert run.stdout.splitlines()[-1] == f"Shard {shard} is complete in parts."
    run = lookalike("import-parts", "parts", "--library", "new", "--strict", cwd=tmp_path)
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout.splitlines()[0] == "Imported 8 images from 2 parts."
    again = lookalike("import-parts", "parts", "--library", "new", cwd=tmp_path)
    assert again.stdout == "Imported 0 images from 2 parts, 2 of them known already.\n"
    (tmp_path / "parts" / "shard-2-of-2.json").unlink()
    run = lookalike("import-parts", "parts", "--library", "new", "--strict", cwd=tmp_path)
    assert run.returncode == 3
    assert "1 shard is missing or not complete (2/2)" in run.stderr
