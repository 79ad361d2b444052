"""A small deterministic mutator, and the processes in which targets meet what it makes.

A target takes bytes, and may refuse them with the errors that it documents. Anything else is a finding:
another error, the end of its process, more than `SECONDS` or `MEMORY`. An input is known by its number: the
same number gives the same bytes, whatever was tried before.

    python -m tests.faults.fuzz                        every target, 1,000 inputs each
    python -m tests.faults.fuzz filters json 50000     these targets, 50,000 inputs each
    python -m tests.faults.fuzz --coverage exif 60     one target for 60 s, guided by coverage (needs atheris)
"""

from __future__ import annotations

import hashlib
import mmap
import os
import random
import resource
import signal
import struct
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from types import FrameType

SECONDS = 10.0
"""Processor time that one input may take: others may use the machine, too."""

BLOCKED_SECONDS = 600.0
"""Time after which an input counts as blocked for ever."""

MEMORY = 2 << 30
"""Address space that a target may add to what its process has."""

MAX_INPUT = 1 << 16

INTERESTING = (
    *(0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 1 << 20),
    *(0x7FFFFFFFFFFFFFFF, 0xFFFFFFFFFFFFFFFF, 1 << 40),
)
TOKENS = (
    *(b"\x00", b"\xff" * 8, b"\n", b"\r\n", b"../", b"..\\", b"%00"),
    *(b"\xed\xa0\x80", b"\xf0\x9f\x98\x80", b"\xef\xbb\xbf"),
    *(b"NaN", b"Infinity", b"1e999"),
    *(b"-1", b"-0.0", b"9" * 30, b"9" * 5000, b"null", b"true", b'""', b"[]", b"{}"),
    *(b"'", b'"', b"''", b"(", b")", b",", b";", b"--", b"*", b"%", b"\\", b"="),
    *(b"<", b">", b"<!DOCTYPE", b"&a;"),
    *(b"A" * 4000, b"[" * 2000, b"(" * 2000, b'{"a":' * 2000, b"<a>" * 2000, b" not" * 300),
)  # fmt: skip


@dataclass(frozen=True)
class Target:
    """What is fuzzed.

    seeds    inputs that are valid, or nearly
    accept   takes an input; raises one of `refuses` for what it refuses
    guarded  runs in a worker process in the program, whose end costs one image only: it is no finding
    share    how many of the inputs of all targets it gets, compared with the others
    """

    name: str
    seeds: Sequence[bytes]
    accept: Callable[[bytes], object]
    refuses: tuple[type[Exception], ...] = ()
    guarded: bool = False
    share: float = 1.0


@dataclass
class Findings:
    """What happened: by kind of fault, the number of the first input, and how many had it."""

    tried: int = 0
    refused: int = 0
    contained: int = 0
    faults: dict[str, tuple[int, int]] = field(default_factory=dict)

    def add(self, kind: str, number: int) -> None:
        """Count a fault; those of one kind have different texts in brackets."""
        kind = next((k for k in self.faults if k.split(" (")[0] == kind.split(" (")[0]), kind)
        first, count = self.faults.get(kind, (number, 0))
        self.faults[kind] = first, count + 1


def mutated(seeds: Sequence[bytes], number: int, name: str = "") -> bytes:
    """Return input `number`: the seeds themselves first, then one of them with some changes."""
    if number < len(seeds):
        return seeds[number]
    digest = hashlib.blake2b(f"{name}/{number}".encode(), digest_size=8).digest()
    rng = random.Random(int.from_bytes(digest, "little"))
    data = bytearray(rng.choice(seeds))
    for _ in range(rng.choice((1, 1, 1, 2, 3, 5, 12))):
        change(data, rng, seeds)
    return bytes(data[:MAX_INPUT])


def change(data: bytearray, rng: random.Random, seeds: Sequence[bytes]) -> None:
    """Make one change."""
    # Headers decide more than what follows them.
    size = len(data) if rng.random() < 0.6 else min(len(data), 512)
    at, kind = rng.randrange(size + 1), rng.randrange(10)
    length = rng.choice((1, 2, 4, 8, 16, rng.randrange(1, 200)))
    if kind == 0 and at < len(data):
        data[at] ^= 1 << rng.randrange(8)
    elif kind == 1 and at < len(data):
        data[at] = rng.randrange(256)
    elif kind in (2, 3):
        width, order = rng.choice((1, 2, 2, 4, 4, 4, 8)), rng.choice(("little", "big"))
        value = rng.choice((*INTERESTING, len(data), at, rng.randrange(1 << 16)))
        data[at : at + width] = (value % (1 << 8 * width)).to_bytes(width, order)  # type: ignore[arg-type]
    elif kind == 4:
        del data[at : at + length]
    elif kind == 5:
        data[at:at] = data[at : at + length] * rng.choice((1, 1, 2, 50))
    elif kind == 6:
        other = rng.choice(seeds)
        start = rng.randrange(len(other) + 1)
        data[at : at + rng.choice((0, length))] = other[start : start + length]
    elif kind == 7:
        data[at : at + rng.choice((0, length))] = rng.choice(TOKENS)
    elif kind == 8:
        del data[at:]
    else:
        data[at : at + length] = rng.randbytes(length)


class TookTooLong(BaseException):
    """An input took more than `SECONDS`; no target catches this."""


def run(target: Target, start: int, stop: int) -> Findings:
    """Try inputs `start` to `stop` in processes of their own; a new one after each that ends."""
    findings = Findings()
    while start < stop:
        with mmap.mmap(-1, 64) as shared:
            reading, writing = os.pipe()
            child = os.fork()
            if not child:
                os.close(reading)
                try:
                    _in_child(target, start, stop, shared, writing)
                finally:
                    os._exit(0)
            os.close(writing)
            report, status = _watch(child, shared, reading)
            reached, refused, contained = struct.unpack_from("<QQQ", shared)
        findings.tried += min(reached + 1, stop) - start
        findings.refused += refused
        findings.contained += contained
        for line in report.splitlines():
            number, kind = line.split(" ", 1)
            findings.add(kind, int(number))
        if os.WIFSIGNALED(status):
            if target.guarded:
                findings.contained += 1
            else:
                name = signal.Signals(os.WTERMSIG(status)).name
                hung = name == "SIGKILL"
                findings.add("hangs in native code" if hung else f"process ends by {name}", reached)
        start = reached + 1
    return findings


def _watch(child: int, shared: mmap.mmap, reading: int) -> tuple[str, int]:
    """Return what a process wrote and its status; ends it where native code takes too long."""
    os.set_blocking(reading, False)
    parts, seen, since, used = [], -1, time.monotonic(), 0.0
    while True:
        try:
            if part := os.read(reading, 1 << 16):
                parts.append(part)
                continue
        except BlockingIOError:
            pass
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            try:
                while part := os.read(reading, 1 << 16):
                    parts.append(part)
            except BlockingIOError:
                pass
            os.close(reading)
            return b"".join(parts).decode(errors="replace"), status
        now = struct.unpack_from("<Q", shared)[0]
        if now != seen:
            seen, since, used = now, time.monotonic(), processor_seconds(child)
        elif (
            time.monotonic() - since > BLOCKED_SECONDS
            or processor_seconds(child) - used > 3 * SECONDS
        ):
            os.kill(child, signal.SIGKILL)
        time.sleep(0.02)


def processor_seconds(process: int) -> float:
    """Return the processor time that a child has used; 0 for one that has just ended."""
    try:
        with open(f"/proc/{process}/stat", encoding="utf-8") as stat:  # noqa: PTH123
            fields = stat.read().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _in_child(target: Target, start: int, stop: int, shared: mmap.mmap, writing: int) -> None:
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    sys.setrecursionlimit(1000)
    with open("/proc/self/statm", "rb") as statm:  # noqa: PTH123
        present = int(statm.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (present + MEMORY, present + MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    def too_long(_: int, __: FrameType | None) -> None:
        raise TookTooLong

    signal.signal(signal.SIGPROF, too_long)
    refused = contained = 0
    for number in range(start, stop):
        struct.pack_into("<QQQ", shared, 0, number, refused, contained)
        data = mutated(target.seeds, number, target.name)
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        try:
            target.accept(data)
        except target.refuses:
            refused += 1
        except (Exception, TookTooLong) as error:
            if target.guarded and isinstance(error, MemoryError | TookTooLong):
                contained += 1  # workers have limits on both, with outcomes of their own
            else:
                os.write(writing, f"{number} {named(error)}\n".encode())
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
    struct.pack_into("<QQQ", shared, 0, stop - 1, refused, contained)


def named(error: BaseException) -> str:
    """Return a fault in a line: its kind, and the last place in the program's own code."""
    own = [f for f in traceback.extract_tb(error.__traceback__) if "/lookalike/" in f.filename]
    place = f"{own[-1].filename.rsplit('/lookalike/')[-1]}:{own[-1].lineno}" if own else "?"
    text = " ".join(str(error).split())[:80]
    return f"{type(error).__name__} at {place} ({text.encode('ascii', 'replace').decode()})"


def guided(name: str, seconds: int) -> None:
    """Fuzz one target guided by coverage, until a fault or the time is over."""
    import atheris  # type: ignore[import-untyped]

    with atheris.instrument_imports(include=["lookalike"]):
        from tests.faults.fuzz_targets import target_of

        target = target_of(name)
        for seed in target.seeds:  # what is imported on use must be imported here
            with suppress(Exception):
                target.accept(seed)

    def one(data: bytes) -> None:
        try:
            target.accept(data)
        except target.refuses:
            pass
        except MemoryError:
            if not target.guarded:
                raise

    def seeded(data: bytes, max_size: int, seed: int) -> bytes:
        made = mutated(
            [data, *target.seeds] if data else target.seeds, len(target.seeds) + 2 + seed
        )
        return made[:max_size] if seed % 2 else atheris.Mutate(data, max_size)

    options = [
        f"-max_total_time={seconds}",
        f"-max_len={MAX_INPUT}",
        "-rss_limit_mb=4096",
        "-timeout=20",
    ]
    atheris.Setup([sys.argv[0], *options], one, custom_mutator=seeded)
    atheris.Fuzz()


def main(arguments: Sequence[str]) -> None:
    """Run targets and print a table."""
    if "--coverage" in arguments:
        guided(arguments[1], int(arguments[2]))
        return
    from tests.faults.fuzz_targets import TARGETS, target_of

    names = [a for a in arguments if not a.isdigit()] or list(TARGETS)
    count = next((int(a) for a in arguments if a.isdigit()), 1000)
    for name in names:
        begin = time.monotonic()
        target = target_of(name)
        found = run(target, 0, count)
        spent = time.monotonic() - begin
        print(
            f"{name:12} {found.tried:8} tried {found.refused:8} refused {found.contained:5} contained"
            f" {found.tried / spent:8.0f}/s {len(found.faults)} kinds of fault",
            flush=True,
        )
        for kind, (first, times) in found.faults.items():
            print(f"    {kind}: input {first}, {times} times", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
