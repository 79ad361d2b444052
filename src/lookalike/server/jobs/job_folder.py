"""The folder in which the processes of one server share the states of their jobs.

run-N.json  the state of the Nth run of jobs that change the library (`JobState`)
ID.job      which run does the job of this id, or why none does: {"kind": …, "run": N, "error": "…"}
ID.json     the state of a job that reads
ID.cancel   that the job is to be cancelled; run-N.cancel: the run
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from lookalike.errors import PARSE_ERRORS
from lookalike.files import atomic_write
from lookalike.server.responses import HTTPError, storage_error
from lookalike.wire import decode, encode
from lookalike.wire.http import JobState

ID = re.compile(r"[0-9a-f]{16}")
LATEST = "latest"

# A state that nobody renewed for so long was left by a process that was killed.
STALE_SECONDS = 20.0

# When a state was written, by the clock that never jumps and all processes share. No field of `JobState`.
WRITTEN = "written"

# Ended jobs that a list shows.
MAX_ENDED = 20

DIED = "the process that did the job ended unexpectedly"
CANCELLED = "cancelled before its turn came"


class JobFolder:
    """States of jobs in a folder. Thread-safe, and shared by processes: every file is replaced as a whole.

    keep  runs, and jobs that read, whose state is kept after their end
    """

    def __init__(self, folder: Path, *, keep: int = 100) -> None:
        self.folder = folder
        self._keep = keep
        folder.mkdir(parents=True, exist_ok=True)

    def state(self, id: str = LATEST) -> JobState:
        """Return the state of a job, whichever process does it, or of the latest run. `HTTPError` 404 for an
        id that is not known (any more)."""
        if id == LATEST:
            runs = self.runs()
            return self._run_state(runs[-1]) if runs else JobState(state="done")
        if not ID.fullmatch(id):
            raise HTTPError(404, "a job's id is the 16 hex digits that the response to it gave")
        if (self.folder / f"{id}.json").exists():
            return self._read(f"{id}.json")
        file = self.folder / f"{id}.job"
        try:
            job = json.loads(file.read_bytes())
            stale = _is_stale(job)
            known = isinstance(job["run"], int) and isinstance(job["error"] + job["kind"], str)
            if not known:
                raise TypeError("a value of the wrong type")
        except (OSError, *PARSE_ERRORS):
            raise HTTPError(404, f"the job {id} is not known (any more)") from None
        if job["run"]:
            return replace(self._run_state(job["run"]), id=id)
        error = job["error"] or (DIED if stale else "")
        if error == CANCELLED:
            return JobState(id=id, kind=job["kind"], state="cancelled", message=error)
        if error:
            return JobState(
                id=id, kind=job["kind"], state="failed", message=error, error="LibraryError"
            )
        return JobState(id=id, kind=job["kind"], message="waiting")

    def jobs(self) -> list[JobState]:
        """Return the jobs that wait or run, and those that ended last, the newest first; the jobs of one run
        are one."""
        found: dict[str, tuple[float, JobState]] = {}
        for file in [*self.folder.glob("*.job"), *self.folder.glob("*.json")]:
            with suppress(HTTPError, OSError, *PARSE_ERRORS):
                changed = file.stat().st_mtime
                if file.name.startswith("run-"):
                    state = self._run_state(int(file.stem[4:]))
                else:
                    state = self.state(file.stem)
                key = f"run-{state.run}" if state.run else state.id
                if key not in found or file.suffix == ".json":
                    found[key] = changed, state
        newest = [state for _, state in sorted(found.values(), key=lambda one: -one[0])]
        ended = [state for state in newest if not state.running]
        return [state for state in newest if state.running] + ended[:MAX_ENDED]

    def cancel(self, id: str) -> JobState:
        """Ask the process that does a job to cancel it, and return its state. `HTTPError` 404, or 409 if it
        has ended."""
        state = self.state(id)
        if not state.running:
            raise HTTPError(409, f"the job has ended: {state.message or state.state}")
        (self.folder / f"{f'run-{state.run}' if state.run else id}.cancel").touch()
        return state

    def is_cancelled(self, name: str) -> bool:
        """Return whether a job (by id) or a run (run-N) is to be cancelled."""
        return (self.folder / f"{name}.cancel").exists()

    def runs(self) -> list[int]:
        """Return the numbers of the known runs, rising."""
        return sorted(int(file.stem[4:]) for file in self.folder.glob("run-*.json"))

    def add(self, id: str, kind: str) -> None:
        """Note a new job. `HTTPError` 507 where that cannot be stored: nobody could follow it."""
        try:
            self._write(f"{id}.job", {"kind": kind, "run": 0, "error": ""})
        except OSError as error:
            raise storage_error("the job", error) from None

    def assign(self, id: str, kind: str, *, run: int = 0, error: str = "") -> None:
        """Note which run does a job (0: none yet), or why none does."""
        self._put(f"{id}.job", {"kind": kind, "run": run, "error": error})

    def write(self, state: JobState) -> None:
        """Write the state of a run, or of a job that reads, which belongs to none."""
        self._put(f"run-{state.run}.json" if state.run else f"{state.id}.json", encode(state))

    def delete_old(self) -> None:
        """Delete the states of old runs and of their jobs, and of old jobs that read."""
        old = set(self.runs()[: -self._keep])
        if old:
            for file in self.folder.glob("*.job"):
                with suppress(OSError, *PARSE_ERRORS):
                    if json.loads(file.read_bytes())["run"] in old:
                        file.unlink()
        gone = [self.folder / f"run-{run}.json" for run in old]
        readers = [file for file in self.folder.glob("*.json") if ID.fullmatch(file.stem)]
        with suppress(OSError):
            readers.sort(key=lambda file: file.stat().st_mtime)
        for file in (*gone, *readers[: -self._keep]):
            file.unlink(missing_ok=True)
            file.with_suffix(".cancel").unlink(missing_ok=True)

    def _run_state(self, run: int) -> JobState:
        return self._read(f"run-{run}.json")

    def _read(self, name: str) -> JobState:
        file = self.folder / name
        try:
            document = json.loads(file.read_bytes())
            state, stale = decode(JobState, document), _is_stale(document)
        except (OSError, *PARSE_ERRORS):
            what = name.removesuffix(".json").replace("-", " ")
            raise HTTPError(404, f"{what} is not known (any more)") from None
        if state.running and stale:
            return replace(state, state="failed", message=DIED, error="LibraryError")
        return state

    def _put(self, name: str, document: Mapping[str, Any]) -> None:
        with suppress(OSError):
            self._write(name, document)

    def _write(self, name: str, document: Mapping[str, Any]) -> None:
        with atomic_write(self.folder / name, shared=True) as out:
            out.write(json.dumps({**document, WRITTEN: time.monotonic()}).encode())


def _is_stale(document: Mapping[str, Any]) -> bool:
    """Return whether a state was written too long ago, or before the machine was started."""
    return abs(time.monotonic() - float(document.get(WRITTEN, -STALE_SECONDS))) > STALE_SECONDS
