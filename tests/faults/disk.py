"""A disk that loses power or fails, simulated around a writer of the local store.

Run by test_disk, in a process with inject.c preloaded that forks its writers:

    python -m tests.faults.disk power|errors|memory FOLDER COUNT SEED

power   Records all writes, syncs, renames and deletions of one writer. Then COUNT times: takes a moment,
        applies what was synced until then, and of the rest a random part, torn at sectors of 512 bytes. The
        library that is found must be intact and hold every batch that was committed; the one in flight is
        there completely or not at all.
errors  Makes each of COUNT calls fail, once or from then on: no space, input/output errors, of reads as well.
        The writer must end with an error of the library, or without one; afterwards it starts again.
memory  Leaves the writer COUNT times with a little memory only; it may end with MemoryError, too.

Afterwards the writer runs again undisturbed, and the library must equal that of a run without faults.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import random
import resource
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from tests.stores.builders import begin, entry, vector_of

from lookalike.errors import LookalikeError
from lookalike.stores.interface import Image
from lookalike.stores.local.check import check
from lookalike.stores.local.store import LocalStore

SECTOR = 512
MARK = "mark"
BATCHES = 12
State = dict[str, tuple[bytes | None, bytes]]


# The writer


def write(folder: Path) -> Iterator[None]:
    """Put, change, move, remove and compact, resuming where it was stopped; yields after each commit."""
    with LocalStore.create(folder) as store:
        begin(store)
        store.compact_at_least = 10
        with store.writer() as writer:
            for number in range(done(store), BATCHES):
                names = [f"{number}-{n}.jpg" for n in range(6)]
                batch = [entry(name) for name in (*names, f"batch-{number}")]
                if (
                    number % 3 == 2
                ):  # what the batch before last has put: replaced, and later removed
                    batch += [entry(f"{number - 2}-{n}.jpg", f"{n} changed") for n in range(5)]
                writer.put(batch)
                yield
            gone = [
                image.id for image in images(store) if image.path.endswith(("-4.jpg", "-5.jpg"))
            ]
            writer.remove(gone)
            yield


def images(store: LocalStore) -> list[Image]:
    with store.snapshot() as snapshot:
        return list(snapshot.iter_files())


def done(store: LocalStore) -> int:
    """Return how many batches were committed."""
    with store.snapshot() as snapshot:
        return sum(image.path.startswith("batch-") for image in snapshot.iter_files())


def contents(folder: Path) -> State:
    """Return hash and vector of all images by path; checks that each vector is that of its content."""
    if not (folder / "catalogue.sqlite").exists():
        return {}
    with LocalStore.open(folder) as store, store.snapshot() as snapshot:
        found = list(snapshot.iter_files())
        if not found:
            return {}
        vectors = snapshot.vectors("toy@1", np.array([image.id for image in found]))
    for image, vector in zip(found, vectors, strict=True):
        texts = (image.path, f"{image.path.rpartition('-')[2][:-4]} changed")
        assert any(np.allclose(vector, vector_of(text), atol=1e-6) for text in texts), image.path
    return {
        image.path: (image.hash, vector.tobytes())
        for image, vector in zip(found, vectors, strict=True)
    }


# The disk


@dataclass
class File:
    """A file: what is surely on the disk, and the changes since the last sync, in their order."""

    durable: bytearray = field(default_factory=bytearray)
    pending: list[tuple[str, int, bytes]] = field(default_factory=list)


@dataclass
class Disk:
    """Files by what they are; names by folder, durable ones and the changes since the folder's last sync."""

    names: dict[str, File | None] = field(default_factory=dict)
    now: dict[str, File | None] = field(default_factory=dict)
    pending: list[tuple[str, str, str, File | None]] = field(default_factory=list)

    def apply(self, operation: str, offset: int, path: str, second: str, data: bytes) -> None:
        if operation in "CM":
            self.now[path] = File() if operation == "C" else None
            self.pending.append((folder_of(path), "add", path, self.now[path]))
        elif operation in "UX":
            self.pending.append((folder_of(path), "drop", path, self.now.pop(path)))
        elif operation == "R":
            file = self.now.pop(path)
            self.now[second] = file
            # One entry: after a power cut a rename has happened or not.
            self.pending.append((folder_of(second), f"move {path}", second, file))
        elif operation == "S":
            file = self.now.get(path)
            if file is None:
                for change in [one for one in self.pending if one[0] == path]:
                    self.pending.remove(change)
                    _rename(self.names, change)
            else:
                for written in file.pending:
                    _change(file.durable, written)
                file.pending.clear()
        else:
            file = self.now[path]
            assert file is not None
            file.pending.append((operation, offset, data))

    def crash(self, chance: random.Random, place: Path) -> None:
        """Write what a power cut may leave to a folder."""
        keep = chance.choice((0.0, 0.5, 0.9, 1.0))
        names = dict(self.names)
        stopped: set[str] = set()
        for change in self.pending:
            if change[0] not in stopped and chance.random() < keep:
                _rename(names, change)
            else:
                stopped.add(change[0])  # changes of one folder reach the disk in their order
        place.mkdir()
        for path, file in sorted(names.items()):  # folders first
            if file is None:
                if (place / path).parent.is_dir():
                    (place / path).mkdir(exist_ok=True)
            elif (place / path).parent.is_dir():
                (place / path).write_bytes(_cut_off(file, chance, keep))


def folder_of(path: str) -> str:
    return str(Path(path).parent)


def _rename(names: dict[str, File | None], change: tuple[str, str, str, File | None]) -> None:
    _, what, path, file = change
    if what == "drop":
        names.pop(path, None)
        return
    if what.startswith("move "):
        names.pop(what[5:], None)
    names[path] = file


def _change(content: bytearray, change: tuple[str, int, bytes]) -> None:
    operation, offset, data = change
    if operation == "T":
        del content[offset:]
        content.extend(bytes(offset - len(content)))
        return
    content.extend(bytes(max(0, offset - len(content))))
    content[offset : offset + len(data)] = data


def _cut_off(file: File, chance: random.Random, keep: float) -> bytes:
    content = bytearray(file.durable)
    for operation, offset, data in file.pending:
        if operation == "T" or keep == 1.0:
            if chance.random() < max(keep, 0.5):
                _change(content, (operation, offset, data))
            continue
        start = 0
        while start < len(data):  # whole sectors, some of them
            stop = min(len(data), start + SECTOR - (offset + start) % SECTOR)
            if chance.random() < keep:
                _change(content, ("W", offset + start, data[start:stop]))
            start = stop
    return bytes(content)


def records(log: Path, root: Path) -> Iterator[tuple[str, int, str, str, bytes]]:
    with log.open("rb") as file:
        while True:
            head = b""
            while head.count(b"\0") < 2:
                byte = file.read(1)
                if not byte:
                    return
                head += byte
            assert file.read(1) == b"\n"
            operation, size, offset, paths = head.decode().split(" ", 3)
            first, second, _ = paths.split("\0")
            relative = [os.path.relpath(path, root) if path else "" for path in (first, second)]
            yield operation, int(offset), relative[0], relative[1], file.read(int(size))


# The two kinds of faults


def run_undisturbed(folder: Path) -> list[State]:
    """Return the contents after each commit."""
    return [{}, *(contents(folder) for _ in write(folder))]


def power(place: Path, count: int, chance: random.Random, injected: ctypes.CDLL) -> dict[str, int]:
    states = run_undisturbed(place / "undisturbed" / ".lookalike")
    root = Path(os.environ["FAULTS_ROOT"])
    root.mkdir()
    log = place / "log"
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    child = os.fork()
    if child == 0:
        injected.faults_record(handle)
        for number, _ in enumerate(write(root / ".lookalike"), 1):
            (root / MARK).write_text(str(number))
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    operations = list(records(log, root))
    moments = sorted(chance.randrange(len(operations)) for _ in range(count))
    disk, applied, committed, repeated = Disk(), 0, 0, 0
    disk.names["."] = disk.now["."] = None
    for number, moment in enumerate(moments):
        for operation, offset, path, second, data in operations[applied:moment]:
            if path == MARK:
                committed = int(data) if operation == "W" else committed
            else:
                disk.apply(operation, offset, path, second, data)
        applied = moment
        crashed = place / "crashed"
        disk.crash(chance, crashed)
        folder = crashed / ".lookalike"
        try:
            if (folder / "catalogue.sqlite").exists():
                with LocalStore.create(folder) as store, store.writer():
                    pass
                assert check(folder) == [], check(folder)
            found = contents(folder)
            allowed = states[committed : committed + 2]
            assert found in allowed, (len(found), [len(one) for one in allowed])
            if number % 8 == 0:
                for _ in write(folder):
                    pass
                assert contents(folder) == states[-1]
                repeated += 1
        except BaseException as error:
            error.add_note(f"power cut {number} after operation {moment} of {len(operations)}")
            raise
        shutil.rmtree(crashed)
    return {"cuts": count, "operations": len(operations), "finished": repeated}


def limit_memory(bytes_left: int) -> None:
    """Let this process take so much more memory."""
    taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + bytes_left, resource.RLIM_INFINITY))


def errors(
    place: Path, count: int, chance: random.Random, injected: ctypes.CDLL, *, memory: bool = False
) -> dict[str, int]:
    states = run_undisturbed(place / "undisturbed" / ".lookalike")
    root = Path(os.environ["FAULTS_ROOT"])
    found = {"failed": 0, "survived": 0}
    total = None
    for _ in range(count):
        shutil.rmtree(root, ignore_errors=True)
        root.mkdir()
        kind, always = chance.choice((errno.EIO, errno.ENOSPC, errno.EDQUOT)), chance.random() < 0.5
        moment = chance.randrange(1, total) if total else -1
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            if memory:
                limit_memory(int(chance.uniform(0, 6) ** 2 * (1 << 18)))
            else:
                injected.faults_fail(moment, kind, int(always))
            ended = "survived"
            try:
                for _ in write(root / ".lookalike"):
                    pass
            except LookalikeError:
                ended = "failed"
            except BaseException as error:
                if memory and isinstance(error, MemoryError):
                    ended = "failed"
                else:
                    sys.excepthook(*sys.exc_info())
                    ended = "crashed"
            calls = injected.faults_calls()
            injected.faults_fail(-1, 0, 0)
            os.write(writing, json.dumps([ended, calls]).encode())
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0, (moment, kind, always)
        ended, calls = json.loads(os.read(reading, 1000))
        os.close(reading)
        os.close(writing)
        total = total or calls
        assert ended != "crashed", (moment, kind, always)
        found[ended] += 1
        assert contents(root / ".lookalike") in states, (moment, kind, always)
        for _ in write(root / ".lookalike"):
            pass
        assert contents(root / ".lookalike") == states[-1], (moment, kind, always)
        assert check(root / ".lookalike") == []
    return found


def main(kind: str, place: Path, count: int, seed: int) -> None:
    injected = ctypes.CDLL(os.environ["LD_PRELOAD"])
    chance = random.Random(seed)
    if kind == "power":
        found = power(place, count, chance, injected)
    else:
        found = errors(place, count, chance, injected, memory=kind == "memory")
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
