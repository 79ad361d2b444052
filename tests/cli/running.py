"""Drawn pictures, and the program to run on them."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from click.testing import CliRunner
from PIL import Image

from lookalike.cli import program

PROGRAM = [sys.executable, "-m", "lookalike.cli"]


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment without what would change the program's behaviour."""
    kept = {name: value for name, value in os.environ.items() if name != "LOOKALIKE_LIBRARY"}
    return {**kept, "COLUMNS": "100", **(extra or {})}


@dataclass(frozen=True)
class Answer:
    """What the program said, and its exit code."""

    returncode: int
    stdout: str
    stderr: str


def lookalike(*arguments: str | Path, cwd: Path, env: Mapping[str, str] | None = None) -> Answer:
    """The program inside this process: the same but for the start, which takes half a second."""
    with contextlib.chdir(cwd):
        run = CliRunner().invoke(
            program,
            [*map(str, arguments)],
            prog_name="lookalike",
            env={"LOOKALIKE_LIBRARY": None, "COLUMNS": "100", **(env or {})},
        )
    if run.exception is not None and not isinstance(run.exception, SystemExit):
        raise run.exception
    return Answer(run.exit_code, run.stdout, run.stderr)


def process(
    *arguments: str | Path, cwd: Path, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """The real program, as a user runs it."""
    return subprocess.run(
        [*PROGRAM, *map(str, arguments)],
        cwd=cwd,
        env=environment(env),
        capture_output=True,
        encoding="utf-8",
        errors="surrogateescape",
        timeout=120,
    )


def draw(file: Path, number: int, *, size: int = 64) -> Path:
    """A picture of two colours in noise, unlike those of other numbers; always the same bytes."""
    rng = np.random.default_rng(number)
    pixels = np.empty((size, size, 3), np.int16)
    pixels[:] = rng.integers(20, 236, 3)
    pixels[size // 4 : size // 2, size // 4 :] = rng.integers(20, 236, 3)
    pixels += rng.integers(-12, 13, pixels.shape, dtype=np.int16)
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(file, quality=90)
    return file


@dataclass(frozen=True)
class Album:
    """A folder `photos` in `home`: eight good pictures, one cut short, one that is none."""

    home: Path
    photos: Path
    indexed: subprocess.CompletedProcess[str]

    @property
    def cat(self) -> Path:
        return self.photos / "pets" / "cat.jpg"


def make_photos(photos: Path) -> Path:
    for number in range(7):
        draw(photos / f"{number}.png", number)
    draw(photos / "pets" / "cat.jpg", 7)
    whole = draw(photos / "whole.jpg", 8, size=200)
    (photos / "cut.jpg").write_bytes(whole.read_bytes()[:2000])
    whole.unlink()
    (photos / "none.jpg").write_bytes(b"this is no picture, whatever its name says " * 10)
    (photos / "notes.txt").write_text("not a picture at all, and nobody says so " * 10)
    return photos
