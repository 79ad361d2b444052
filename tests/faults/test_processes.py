"""Processes that are killed or stopped, full disks, and images that change or vanish while they are read."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from tests.library.image_builders import album, draw
from tests.library.stored_rows import vectors

from lookalike import Library
from lookalike.errors import LibraryBusy, LibraryDamaged
from lookalike.indexing.report import IndexOptions

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="signals and mounts as Linux has them"
)
KILLS = int(os.environ.get("KILLS", "1000"))
"""Writers killed in `make torture`; a 25th as many indexers, a 60th as many clients of PostgreSQL."""

ROOT = Path(__file__).parents[2]
PROGRAM = [sys.executable, "-m", "lookalike"]


def equal_to_undisturbed(library: Path, photos: Path, place: Path) -> None:
    """Check that indexing once more makes the library that an undisturbed run makes."""
    with Library.create(photos, folder=library) as disturbed:
        disturbed.add([photos], extractors=["histogram"], options=IndexOptions(prune=True))
        assert disturbed.check() == []
        with Library.create(photos, folder=place) as whole:
            whole.add([photos], extractors=["histogram"])
            found, expected = vectors(disturbed), vectors(whole)
            assert disturbed.info().outcomes == whole.info().outcomes
    assert found.keys() == expected.keys()
    assert all(np.array_equal(found[path], expected[path]) for path in expected)


WRITER = """
import sys
from pathlib import Path
from tests.faults.disk import write
for _ in write(Path(sys.argv[1])):
    print("committed", flush=True)
"""


def test_a_writer_that_is_stopped_keeps_the_lock_and_goes_on_later(tmp_path: Path) -> None:
    from tests.faults.disk import contents, run_undisturbed

    from lookalike.stores.local.store import LocalStore

    folder = tmp_path / ".lookalike"
    child = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder)], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert child.stdout and child.stdout.readline()
    child.send_signal(signal.SIGSTOP)
    before = contents(folder)
    with LocalStore.open(folder) as store:
        assert store.check() == []
        if child.poll() is None:
            with pytest.raises(LibraryBusy), store.writer():
                pass
    assert contents(folder) == before
    child.send_signal(signal.SIGCONT)
    child.communicate()
    assert child.returncode == 0
    states = run_undisturbed(tmp_path / "whole")
    assert before in states and contents(folder) == states[-1]


def test_a_server_survives_a_vector_file_that_is_cut_and_a_repair_beside_it(tmp_path: Path) -> None:
    """With the server's own threads; `test_mapped_files` tries all files and sizes."""
    from fastapi.testclient import TestClient

    from lookalike.server.app import create_app
    from lookalike.server.settings import Settings

    photos = album(tmp_path / "photos", 6)
    with Library.create(photos) as library:
        library.add([photos], extractors=["pixels"])
        settings = Settings()
        with TestClient(create_app(library, settings), base_url="http://127.0.0.1:8484") as client:
            query = {"image": 1, "k": 3}
            before = client.get("/api/search", params=query).json()["hits"]
            [file] = library.folder.glob("spaces/*/vectors-*")
            os.truncate(file, 5000)
            for id in (2, 3):  # the first is cached
                response = client.get("/api/search", params=query | {"image": id})
                assert response.status_code == 503 and "damaged" in response.text
            assert client.get("/api/images").status_code == 200
            with Library.open(photos) as other, pytest.raises(LibraryDamaged):
                other.search(photos / "000.jpg")
            with Library.open(photos) as other:
                other.repair()
                assert other.check() == []
            after = client.get("/api/search", params=query).json()["hits"]
            assert [hit["path"] for hit in after] == [hit["path"] for hit in before]


@pytest.mark.torture
def test_a_writer_killed_a_thousand_times(tmp_path: Path) -> None:
    program = (
        "import sys; from tests.stores.local.killed_writer import main; main(sys.argv[1], KILLS)"
    )
    program = program.replace("KILLS", str(KILLS))
    run = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    print("kills and finished writers:", run.stdout)


@pytest.mark.torture
def test_an_indexer_killed_with_its_workers_at_random_moments(tmp_path: Path) -> None:
    photos, library = album(tmp_path / "photos", 200), tmp_path / "library"
    chance, kills = random.Random(5), 0
    rounds = max(4, KILLS // 25)
    for number in range(rounds):
        draw(photos / f"new {number}.jpg", 1000 + number)
        child = subprocess.Popen(
            [*PROGRAM, "index", str(photos), "--library", str(library), "-e", "histogram"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            child.wait(chance.uniform(0.2, 4.0))
        except subprocess.TimeoutExpired:
            # The whole group at once, or one of its processes.
            if chance.random() < 0.5:
                os.killpg(child.pid, signal.SIGKILL)
            else:
                child.kill()
            child.wait()
            kills += 1
        if (library / ".lookalike" / "catalogue.sqlite").exists():
            with Library.open(library) as opened:
                assert opened.check() == []
    assert kills > rounds // 4
    equal_to_undisturbed(library / ".lookalike", photos, tmp_path / "whole")


FULL = """
set -e
mount -t tmpfs -o size=$1k tmpfs "$2"
"$3" -m lookalike index "$4" --library "$2/library" -e histogram,dhash && code=0 || code=$?
mount -o remount,size=100m "$2"
"$3" -m lookalike check --library "$2/library" > "$2/check" 2>&1 ||
  grep -q "was not finished" "$2/check" || test ! -e "$2/library/.lookalike/catalogue.sqlite"
"$3" -m lookalike index "$4" --library "$2/library" -e histogram,dhash
"$3" -m lookalike check --library "$2/library"
echo "code $code"
"""


@pytest.mark.torture
@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs mount namespaces")
@pytest.mark.parametrize("size", [64, 300, 420, 500, 600, 5000])
def test_indexing_onto_a_full_disk_goes_on_when_there_is_space(tmp_path: Path, size: int) -> None:
    photos = album(tmp_path / "photos", 120)
    place = tmp_path / "small"
    place.mkdir()
    arguments = [str(size), str(place), sys.executable, str(photos)]
    run = subprocess.run(
        ["unshare", "-m", "bash", "-c", FULL, "full", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    if "permission denied" in run.stderr.lower() and not run.stdout:
        pytest.skip("no permission to mount")
    assert run.returncode == 0, run.stdout + run.stderr
    assert "Traceback" not in run.stderr
    code = int(run.stdout.split()[-1])
    assert code == 0 or "space" in run.stderr or "full" in run.stderr


@pytest.mark.torture
def test_images_that_change_shrink_and_vanish_while_they_are_indexed(tmp_path: Path) -> None:
    photos, library = album(tmp_path / "photos", 150), tmp_path / "library"
    files = sorted(photos.rglob("*.jpg"))
    stop = threading.Event()

    def disturb() -> None:
        chance = random.Random(6)
        while not stop.is_set():
            file = chance.choice(files)
            match chance.randrange(4):
                case 0:
                    draw(file, chance.randrange(10_000))
                case 1:
                    if file.exists():
                        os.truncate(file, file.stat().st_size // 2)
                case 2:
                    file.unlink(missing_ok=True)
                case 3:  # what a wrong clock writes
                    if file.exists():
                        os.utime(file, (chance.choice((0, 2**33)),) * 2)
            time.sleep(0.002)

    thread = threading.Thread(target=disturb)
    thread.start()
    try:
        for _ in range(4):
            with Library.create(photos, folder=library) as opened:
                opened.add([photos], extractors=["histogram"])
                assert opened.check() == []
    finally:
        stop.set()
        thread.join()
    with Library.open(library) as opened:
        assert opened.check() == []
    equal_to_undisturbed(library, photos, tmp_path / "whole")


@pytest.mark.torture
def test_a_reader_of_a_library_that_is_compacted_all_the_time(tmp_path: Path) -> None:
    from tests.stores.builders import begin, entry, put, vector_of

    from lookalike.stores.local.store import LocalStore

    with LocalStore.create(tmp_path / ".lookalike") as store:
        begin(store)
        store.compact_at_least = 1
        kept = put(store, *(entry(f"{n}.jpg") for n in range(50)))
        stop, read, wrong = threading.Event(), [0], []

        def search() -> None:
            with LocalStore.open(tmp_path / ".lookalike") as reader:
                while not stop.is_set():
                    with reader.snapshot() as snapshot:
                        found = snapshot.search("toy@1", vector_of("7.jpg")[None], 1)
                    if found.ids[0, 0] != kept[7]:
                        wrong.append(found)
                    read[0] += 1

        threads = [threading.Thread(target=search) for _ in range(3)]
        for thread in threads:
            thread.start()
        with store.writer() as writer:
            for number in range(150):
                ids = writer.put([entry(f"x{number}-{n}.jpg") for n in range(40)])
                writer.remove(ids)
        stop.set()
        for thread in threads:
            thread.join()
        assert not wrong and read[0] > 10
        assert store.check() == []


CLOCK = """
import datetime, os, random, time
now, now_ns, chance = time.time, time.time_ns, random.Random(os.getpid())
def jumped():
    return chance.choice((-now(), -86400.0 * 3650, -3600.0, 0.0, 3600.0, 86400.0 * 10950))
time.time = lambda: now() + jumped()
time.time_ns = lambda: now_ns() + int(jumped() * 1e9)
class Jumping(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls.fromtimestamp(time.time(), tz)
datetime.datetime = Jumping
"""


@pytest.mark.torture
def test_a_clock_that_jumps_changes_no_answer(tmp_path: Path) -> None:
    """Each question after the time gets another answer, up to 30 years apart, in the workers as well."""
    photos, library = album(tmp_path / "photos", 20), tmp_path / "library"
    (tmp_path / "clock").mkdir()
    (tmp_path / "clock" / "sitecustomize.py").write_text(CLOCK)
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "clock")}
    for number in range(3):
        file = draw(photos / f"new {number}.jpg", 500 + number)
        shutil.copy(file, photos / f"copy {number}.jpg")
        os.utime(file, (chance := (0, 2**31, 2**33)[number % 3], chance))
        record = str(tmp_path / f"{number}.jsonl")
        draw(photos / f"{number:03d}.jpg", 700 + number)
        os.utime(photos / f"{number:03d}.jpg", (1, 1))
        for line in (
            ["index", str(photos), "-e", "histogram", "--prune"],
            ["feedback", "add", "keep", str(file)],
            ["ann", "build", "-e", "histogram"],
            [
                "duplicates",
                "--kind",
                "exact",
                "--move-to",
                str(tmp_path / "moved"),
                "--record",
                record,
            ],
            ["duplicates", "--undo", record],
            ["search", str(file), "-e", "histogram"],
            ["check"],
        ):
            run = subprocess.run(
                [*PROGRAM, *line],
                env=environment | {"LOOKALIKE_LIBRARY": str(library)},
                capture_output=True,
                text=True,
                check=False,
            )
            assert run.returncode == 0, (line, run.stdout, run.stderr)
    equal_to_undisturbed(library / ".lookalike", photos, tmp_path / "whole")


KILLED_CLIENT = """
import os, random, signal, sys, threading, time
from tests.stores.builders import entry
from lookalike.stores.postgres.store import PostgresStore
threading.Timer(float(sys.argv[2]), lambda: os.kill(os.getpid(), signal.SIGKILL)).start()
with PostgresStore.open(sys.argv[1]) as store, store.writer() as writer:
    with store.snapshot() as snapshot:
        start = sum(image.path.startswith("batch") for image in snapshot.iter_files())
    for number in range(start, 1000):
        writer.put([entry(f"{number}-{n}.jpg") for n in range(9)] + [entry(f"batch {number}")])
        print(number, flush=True)
"""


@pytest.mark.torture
def test_a_killed_client_of_postgresql_loses_only_its_batch(tmp_path: Path) -> None:
    from tests.stores.builders import begin
    from tests.stores.postgres_server import new_url

    from lookalike.stores.postgres.store import PostgresStore

    url, chance = new_url(), random.Random(7)
    with PostgresStore.create(url) as store:
        begin(store)
        for _ in range(max(3, KILLS // 60)):
            run = subprocess.run(
                [sys.executable, "-c", KILLED_CLIENT, url, str(chance.uniform(0.8, 2.5))],
                capture_output=True,
                text=True,
                cwd=ROOT,
                check=False,
            )
            assert run.returncode == -signal.SIGKILL, run.stderr
            assert store.check() == []
            with store.snapshot() as snapshot:
                paths = {image.path for image in snapshot.iter_files()}
            batches = sum(path.startswith("batch") for path in paths)
            assert len(paths) == 10 * batches
            committed = run.stdout.split()
            assert not committed or batches - 1 in (int(committed[-1]), int(committed[-1]) + 1)
        assert batches > 2
