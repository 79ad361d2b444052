"""Jobs: processes for what takes long, results that are shared, and changes of the library one at a time."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from filelock import FileLock
from tests.library.image_builders import album
from tests.server.conftest import ADDRESS, CSRF_HEADERS
from tests.server.live_server import run_async

from lookalike.errors import LibraryError, NoLibrary, UsageError
from lookalike.library import Library
from lookalike.server.app import create_app
from lookalike.server.duplicate_sheets import DuplicateSheets
from lookalike.server.jobs.job_folder import JobFolder
from lookalike.server.jobs.runner import JobRunner
from lookalike.server.jobs.write_queue import WaitingJob, WriteQueue, mergeable
from lookalike.server.responses import HTTPError
from lookalike.server.routes.jobs import events
from lookalike.server.settings import Settings
from lookalike.wire.http import JobState

RUN_JOB = "from lookalike.server.jobs.process import main; main()"


def app_with_program(library: Library, program: str, settings: Settings) -> FastAPI:
    """Return a server whose jobs run this Python program."""
    app = create_app(library, settings)
    states = app.state.server.job_states
    jobs = JobRunner(library.folder, states, program=(sys.executable, "-c", program))
    sheets = DuplicateSheets(jobs, app.state.server.job_results)
    app.state.server = replace(
        app.state.server, jobs=jobs, sheets=sheets, writes=WriteQueue(jobs, states)
    )
    return app


def wait_until(condition: Callable[[], bool]) -> None:
    for _ in range(1200):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("the condition never became true")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs a named pipe")
def test_searches_are_answered_while_a_job_looks_for_duplicates(
    library: Library, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    program = f"open({str(gate)!r}).read(); {RUN_JOB}"
    app = app_with_program(library, program, Settings(job_wait=120.0))
    with TestClient(app, base_url=ADDRESS) as client, ThreadPoolExecutor(1) as visitor:
        slow = visitor.submit(client.get, "/api/duplicates?kind=near")
        with gate.open("w"):  # opens when the process is running and waits
            assert client.get("/api/search?image=1&k=1").json()["hits"][0]["id"] == 1
            assert client.get("/api/images/1/thumbnail").status_code == 200
            assert not slow.done()
        found = slow.result(60).json()
    ours = library.duplicates(kind="near")
    assert (found["total"], found["searched"]) == (len(ours), 40)
    assert [[m["id"] for m in group["members"]] for group in found["groups"]] == [
        [member.image.id for member in group.members] for group in ours.groups
    ]


def test_a_job_that_dies_or_fails_raises_an_error_with_the_reason(
    library: Library, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="nonsense"):
        JobRunner(library.folder).run("similar-groups", {"extractor": "nonsense"})
    dying = JobRunner(library.folder, program=(sys.executable, "-c", "import os; os._exit(9)"))
    with pytest.raises(LibraryError, match="status 9"):
        dying.run("map", {})
    with pytest.raises(NoLibrary):
        JobRunner(tmp_path).run("duplicates", {})
    assert dying.running == []


def test_no_job_outlives_the_server(library: Library) -> None:
    waiting = "import sys; sys.stdin.readline(); sys.stdin.read()"
    jobs = JobRunner(library.folder, program=(sys.executable, "-c", waiting))
    with ThreadPoolExecutor(1) as pool:
        hanging = pool.submit(jobs.run, "map", {})
        wait_until(lambda: bool(jobs.running))
        jobs.close()
        with pytest.raises(LibraryError, match="ended early"):
            hanging.result(60)
    with pytest.raises(LibraryError, match="shutting down"):
        jobs.run("map", {})


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs a named pipe")
def test_a_result_is_computed_once_and_given_to_all_who_ask_again(
    library: Library, tmp_path: Path
) -> None:
    gate, runs = tmp_path / "gate", tmp_path / "runs"
    os.mkfifo(gate)
    program = f"open({str(runs)!r}, 'a').write('x'); open({str(gate)!r}).read(); {RUN_JOB}"
    app = app_with_program(library, program, Settings(job_wait=0.05))
    address = "/api/duplicates?kind=exact"
    with TestClient(app, base_url=ADDRESS) as client:
        assert client.get(address).status_code == 202
        with gate.open("w"):
            early = client.get(address)
            assert (early.status_code, early.json()["running"]) == (202, True)
            assert early.json()["kind"] == "duplicates"
            assert early.headers["retry-after"] == "2"
        wait_until(lambda: client.get(address).status_code == 200)
        assert client.get(address).json()["searched"] == 40
    assert runs.read_text() == "x"


HANGS = "import sys; sys.stdin.readline(); sys.stdin.read()"


def states_of(client: TestClient) -> list[str]:
    return [job["state"] for job in client.get("/api/jobs").json()["jobs"]]


def test_a_job_that_reads_is_listed_and_can_be_cancelled(library: Library) -> None:
    app = app_with_program(library, HANGS, Settings(job_wait=0.05))
    with TestClient(app, base_url=ADDRESS, headers=CSRF_HEADERS) as client:
        assert client.get("/api/duplicates").status_code == 202
        wait_until(lambda: states_of(client) == ["running"])
        (job,) = client.get("/api/jobs").json()["jobs"]
        assert (job["kind"], job["run"], job["result"]) == ("duplicates", 0, None)
        assert client.get("/api/duplicates").json()["id"] == job["id"]
        assert client.delete(f"/api/jobs/{job['id']}").status_code == 200
        wait_until(lambda: states_of(client) == ["cancelled"])
        assert client.get(f"/api/jobs/{job['id']}").json()["message"] == "cancelled"
        assert client.delete(f"/api/jobs/{job['id']}").status_code == 409
        assert client.delete(f"/api/jobs/{'0' * 16}").status_code == 404


def test_jobs_that_change_the_library_can_be_cancelled_while_they_wait_and_run(
    library: Library, photos: Path
) -> None:
    app = app_with_program(library, HANGS, Settings(writable=True))
    with TestClient(app, base_url=ADDRESS, headers=CSRF_HEADERS) as client:
        running = client.post("/api/images").json()["id"]
        wait_until(lambda: client.get(f"/api/jobs/{running}").json()["state"] == "running")
        waiting = client.post("/api/images", json={"prune": True}).json()["id"]
        assert states_of(client) == ["waiting", "running"]
        for id in (waiting, running):
            assert client.delete(f"/api/jobs/{id}").status_code == 200
        wait_until(lambda: set(states_of(client)).isdisjoint({"waiting", "running"}))
        assert client.get(f"/api/jobs/{waiting}").json()["state"] == "cancelled"


def test_visitors_of_a_public_read_only_server_cancel_nothing(library: Library) -> None:
    app = app_with_program(library, HANGS, Settings(job_wait=0.05, exposed=True))
    with TestClient(app, base_url=ADDRESS, headers=CSRF_HEADERS) as client:
        client.get("/api/duplicates")
        wait_until(lambda: states_of(client) == ["running"])
        (job,) = client.get("/api/jobs").json()["jobs"]
        assert client.delete(f"/api/jobs/{job['id']}").status_code == 403
        assert states_of(client) == ["running"]


def test_the_time_left_follows_the_pace_of_the_stage(library: Library) -> None:
    program = (
        "import json, sys, time\n"
        "sys.stdin.readline()\n"
        "def report(done, stage):\n"
        "    print(json.dumps({'progress': {'done': done, 'total': 30, 'stage': stage}}), flush=True)\n"
        "report(10, 'a'); time.sleep(1.1); report(20, 'a'); sys.stdin.read()\n"
    )
    jobs = JobRunner(library.folder, program=(sys.executable, "-c", program))
    job = jobs.start("map", {})
    with ThreadPoolExecutor(1) as pool:
        ended = pool.submit(job.wait)
        wait_until(lambda: job.state.done == 20)
        left = job.state.seconds_left
        jobs.end(job)
        state = ended.result(60)
    assert left is not None and left >= 1.1
    assert (state.state, state.seconds_left) == ("failed", None)


# ---- jobs that change the library ----


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return album(tmp_path / "photos", 6)


@pytest.fixture
def library_of_six(folder: Path) -> Iterator[Library]:
    with Library.create(folder) as library:
        library.add([folder], extractors=["color"])
        yield library


def index_arguments(path: Path | str) -> dict[str, Any]:
    return {"paths": [str(path)], "options": {}}


def finished(queue: WriteQueue, id: str) -> JobState:
    wait_until(lambda: not queue.state(id).running)
    return queue.state(id)


def test_several_server_processes_share_the_states_of_jobs(
    library_of_six: Library, folder: Path, tmp_path: Path
) -> None:
    jobs = JobRunner(library_of_six.folder)
    mine, theirs = (WriteQueue(jobs, JobFolder(tmp_path / "shared")) for _ in range(2))
    with FileLock(tmp_path / "shared" / "lock"):
        first = mine.submit("index", index_arguments(folder / "odd"))
        others = [
            theirs.submit("index", index_arguments(folder / name)) for name in ("000.jpg", "odd")
        ]
        assert not mine.state().running and mine.state().id == ""  # nothing has run yet
        assert theirs.state(first.id).state == "waiting"
    states = [finished(mine, one.id) for one in (first, *others)]
    assert [state.message for state in states] == ["3 unchanged", "4 unchanged", "4 unchanged"]
    assert {state.state for state in states} == {"done"} and states[0].started
    assert states[1].run == states[2].run != states[0].run
    assert mine.state().run == 2
    for id in ("0" * 16, "../../etc/passwd", "run-1"):
        with pytest.raises(HTTPError, match="job"):
            mine.state(id)
    mine.close()
    theirs.close()


def test_nothing_is_promised_that_cannot_be_stored(
    library_of_six: Library, folder: Path, tmp_path: Path
) -> None:
    settings = Settings(writable=True, folder=tmp_path / "states")
    with TestClient(create_app(library_of_six, settings), base_url=ADDRESS) as client:
        client.headers.update(CSRF_HEADERS)
        (tmp_path / "states" / "jobs").rename(tmp_path / "full")
        refused = client.post("/api/ann", json={})
        assert refused.status_code == 507 and "the job cannot be stored" in refused.json()["error"]
        folder.rename(tmp_path / "unmounted")
        assert client.put("/api/searches/red", json={"query": "text=red"}).status_code == 507
        library_of_six.thumbnails._cache.put((bytes(32), 64), b"x")
        assert not folder.exists()


def test_jobs_that_wait_when_the_server_ends_fail_with_a_reason(tmp_path: Path) -> None:
    queue = WriteQueue(JobRunner(tmp_path / "nothing"), JobFolder(tmp_path / "shared"))
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    with FileLock(tmp_path / "shared" / "lock"):
        waiting = queue.submit("index", index_arguments("x"), scratch=scratch)
        queue.close()
        state = queue.state(waiting.id)
    assert (state.state, state.error) == ("failed", "LibraryError")
    assert "shut down" in state.message and not scratch.exists()


def test_a_job_that_ends_while_its_state_is_written_is_done(tmp_path: Path) -> None:
    class SlowFolder(JobFolder):
        def write(self, state: JobState) -> None:
            super().write(state)
            time.sleep(1.0 if state.running else 0.0)

    program = 'import time; time.sleep(0.7); print(\'{"result": {}, "message": "ended"}\')'
    runner = JobRunner(tmp_path, program=(sys.executable, "-c", program))
    queue = WriteQueue(runner, SlowFolder(tmp_path / "shared"))
    job = queue.submit("index", {})
    wait_until(lambda: queue.state(job.id).message == "ended")
    assert queue.state(job.id).state == "done"


def test_states_of_old_jobs_are_deleted(tmp_path: Path) -> None:
    queue = WriteQueue(JobRunner(tmp_path / "nothing"), JobFolder(tmp_path / "shared", keep=1))
    ids = []
    for _ in range(2):
        ids.append(queue.submit("index", {"paths": [], "options": {}}).id)
        state = finished(queue, ids[-1])
        assert (state.error, state.result) == ("NoLibrary", None)
    queue.close()
    left = sorted(file.suffix for file in (tmp_path / "shared").glob("*.*"))
    assert left == [".job", ".json"]
    with pytest.raises(HTTPError, match="not known"):
        queue.state(ids[0])


def test_a_clock_that_jumps_ends_no_job_and_revives_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs, id = JobFolder(tmp_path), "a" * 16
    jobs.write(JobState(id=id, kind="map", state="running"))
    jobs.assign("b" * 16, "index")
    for stamp in (
        0,
        time.time() - 3600,
        1 << 33,
    ):  # what a jump makes of the time since the last change
        for name in (f"{id}.json", f"{'b' * 16}.job"):
            os.utime(tmp_path / name, (stamp, stamp))
        assert jobs.state(id).state == "running"
        assert jobs.state("b" * 16).state == "waiting"
    now = time.monotonic()
    for other in (now + 60, now - 60):  # a minute later; before the machine was started
        monkeypatch.setattr(time, "monotonic", lambda other=other: other)
        assert jobs.state(id).state == jobs.state("b" * 16).state == "failed"


def test_a_job_that_is_cancelled_stores_what_is_finished_and_says_so(
    library_of_six: Library, tmp_path: Path
) -> None:
    program = (
        "import sys, threading, time\n"
        "from lookalike.server.jobs import process\n"
        "process.WRITERS['index'] = lambda *_: [time.sleep(0.05) for _ in range(1200)]\n"
        "process.main()"
    )
    jobs = JobRunner(library_of_six.folder, program=(sys.executable, "-c", program))
    job = jobs.start("index", index_arguments("."))
    with ThreadPoolExecutor(1) as pool:
        ended = pool.submit(job.wait)
        time.sleep(1.0)
        job.cancel()
        state = ended.result(60)
    jobs.end(job)
    assert state.state == "cancelled" and "what was finished is stored" in state.message


def test_one_run_does_jobs_that_differ_in_their_paths_alone(tmp_path: Path) -> None:
    def waiting(kind: str, scratch: Path | None = None, **arguments: Any) -> WaitingJob:
        return WaitingJob("", kind, arguments, scratch)

    build, other = waiting("build-ann", name="made"), waiting("build-ann", name="other")
    assert mergeable([build, other, waiting("build-ann", name="made")]) == [build, build]
    imports = [waiting("import-vectors", tmp_path / name, name="made") for name in "ab"]
    assert mergeable(imports) == imports[:1]
    index = [waiting("index", paths=[name], options={}) for name in "ab"]
    assert mergeable([*index, build]) == index and mergeable([]) == []


def test_clients_beyond_the_limit_get_one_event_each(client: TestClient) -> None:
    state = client.app.state.server  # type: ignore[attr-defined]

    class AlwaysRunning:
        def state(self, _: str) -> JobState:
            return JobState(state="running")

    state = replace(state, writes=AlwaysRunning(), event_streams=set())

    async def listen() -> None:
        streams = [events(state, "latest", max_streams=2) for _ in range(3)]
        for one in streams:
            event = json.loads((await anext(one)).removeprefix(b"data: "))
            assert event["running"] is True
        assert len(state.event_streams) == 3
        with pytest.raises(StopAsyncIteration):
            await anext(streams[2])
        assert len(state.event_streams) == 2
        for one in streams:
            await one.aclose()  # type: ignore[attr-defined]
        assert not state.event_streams

    run_async(listen())
