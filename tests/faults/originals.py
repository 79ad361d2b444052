"""Every command of the program and many routes of the server over a tree of images, which must not change.

Run by test_originals, in a process of its own: arguments are the folder of the images, whose file system may
be read-only, and one for everything else. Prints what has changed, as JSON.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from contextlib import chdir
from pathlib import Path

import click
import numpy as np
from click.testing import CliRunner

from lookalike.cli.program import program

NOT_OVER_IMAGES = {
    "completion": "prints a script",
    "models get": "downloads",
    "models words": "words of networks",
    "serve": "see `routes`",
    "judge": "a server",
    "mcp": "a server with the same library",
    "demo": "draws its own images",
    "benchmark search": "vectors drawn at random",
    "benchmark pca": "public data sets",
    "benchmark ann": "vectors of the library",
    "ann build": "vectors of the library",
    "ann history": "vectors of the library",
}
"""Commands that read no images of the user."""

MOVE_BY_REQUEST = ("duplicates --trash", "duplicates --move-to", "duplicates --undo")
"""The only commands that change images; `export-metadata` writes new sidecars beside them."""


def state(folder: Path) -> dict[str, tuple[object, ...]]:
    """Return everything that a file system says of a tree: content, times, attributes, names."""
    found: dict[str, tuple[object, ...]] = {}
    for path in [folder, *sorted(folder.rglob("*"))]:
        status = path.lstat()
        content = b""
        if path.is_symlink():
            content = os.fsencode(path.readlink())
        elif path.is_file():
            handle = os.open(path, os.O_RDONLY | getattr(os, "O_NOATIME", 0))
            with os.fdopen(handle, "rb") as file:
                content = hashlib.sha256(file.read()).digest()
        attributes = {
            name: os.getxattr(path, name, follow_symlinks=False)
            for name in os.listxattr(path, follow_symlinks=False)
        }
        found[path.relative_to(folder).as_posix()] = (
            content.hex(),
            status.st_mode,
            (status.st_uid, status.st_gid, status.st_nlink, status.st_ino, status.st_size),
            status.st_mtime_ns,
            status.st_ctime_ns,
            0
            if path.is_dir() or path.is_symlink()
            else status.st_atime_ns,  # listing changes those
            sorted((name, value.hex()) for name, value in attributes.items()),
        )
    return found


def commands(photos: Path, out: Path) -> list[list[str]]:
    """Return one command line at least of every command that reads images or their library."""
    one, other = str(photos / "a.jpg"), str(photos / "trip" / "b.png")
    np.save(out / "mine.npy", np.eye(2, 8, dtype=np.float32))
    (out / "names.txt").write_text(f"{one}\n{other}\n")
    (out / "table.csv").write_text("path,caption\na.jpg,a red thing\n")
    return [
        ["index", str(photos), "-e", "histogram,dhash", "--metadata", str(out / "table.csv")],
        ["index", str(photos), "--retry-failed"],
        ["index", str(photos), "--dry-run"],
        ["index", str(photos), "-e", "histogram", "--parts", str(out / "parts")],
        ["import-parts", str(out / "parts")],
        ["search", one, "--verify", "orb", "--grid", str(out / "grid.png")],
        ["search", other, "--region", "0,0,20,20", "-e", "histogram"],
        ["search", "--text", "red", "--format", "paths"],
        ["duplicates", "--kind", "copies", "--thorough"],
        ["duplicates", "--folders"],
        ["similar-groups", "-e", "histogram", "--min-similarity", "0.9"],
        ["feedback", "add", "keep", one],
        ["feedback", "list"],
        ["feedback", "export", "-o", str(out / "feedback.jsonl")],
        ["feedback", "import", str(out / "feedback.jsonl")],
        ["feedback", "remove", "keep", one],
        ["explain", one, "-e", "histogram", "-o", str(out / "one.png")],
        ["explain", one, other, "-e", "histogram", "-o", str(out / "two.png")],
        ["map", "-o", str(out / "map.html"), "-e", "histogram", "--method", "pca"],
        ["gap", "-e", "histogram", "--versus", "dhash", "-o", str(out / "gap.png")],
        ["info"],
        ["failures"],
        ["check"],
        ["check", "--repair"],
        ["ann", "check"],
        ["ann", "remove", "-e", "histogram"],
        ["import", str(out / "mine.npy"), "-e", "mine", "--paths", str(out / "names.txt")],
        ["export", str(out / "out.npy"), "-e", "histogram"],
        ["export-metadata", "--dry-run"],
        ["copy", str(out / "library"), str(out / "copied")],
        ["evaluate", "--self-test", "-e", "histogram", "--queries", "3"],
        [
            *("train", str(photos), "--labels", "folders", "-e", "histogram", "--force"),
            *("--held-out", "0.5", "-o", str(out / "model")),
        ],
        ["benchmark", "extractors", str(photos), "-e", "dhash", "--limit", "4"],
        ["drop", "dhash"],
        ["remove", one],
    ]


def routes(
    library: Path, changed: list[str], failed: dict[str, str], photos: Path, before: object
) -> None:
    """Send requests to the routes that touch files, but those that move them to the trash by request."""
    from fastapi.testclient import TestClient

    from lookalike import Library
    from lookalike.server.app import create_app
    from lookalike.server.settings import Settings

    with (
        Library.open(library) as opened,
        TestClient(
            create_app(opened, Settings(writable=True, allow_roots=(str(photos),))),
            base_url="http://127.0.0.1:8000",
        ) as client,
    ):
        ids = [image["id"] for image in client.get("/api/images").json()["images"]][:2]
        chosen = {"ids": ids}
        for method, path, options in (
            *(
                ("GET", f"/api/images/{id}{what}", {})
                for id in ids
                for what in ("", "/file", "/thumbnail")
            ),
            ("GET", f"/api/images/{ids[0]}/neighbours", {}),
            ("GET", "/api/search", {"params": {"image": ids[0]}}),
            ("GET", "/api/explain", {"params": {"query": ids[0], "hit": ids[1]}}),
            ("GET", "/api/duplicates", {"params": {"kind": "exact"}}),
            ("GET", "/api/map", {"params": {"method": "pca"}}),
            ("GET", "/api/failures", {}),
            ("POST", "/api/images/export", {"json": chosen | {"format": "zip"}}),
            ("POST", "/api/images/export", {"json": chosen}),
            ("PATCH", "/api/images", {"json": chosen | {"add_tags": ["x"]}}),
            ("DELETE", "/api/images", {"json": chosen}),
        ):
            response = client.request(
                method,
                path,
                headers={"X-Lookalike": "1"},
                params=options.get("params"),
                json=options.get("json"),
            )
            if response.status_code >= 400:
                failed[f"{method} {path}"] = response.text[:300]
    if without_access(state(photos)) != without_access(before):
        changed.append("HTTP")


def without_access(found: object) -> object:
    """Leave out the access times, which change where an original is sent."""
    return {path: (*facts[:5], facts[6]) for path, facts in found.items()}  # type: ignore[attr-defined]


def covered(lines: list[list[str]]) -> list[str]:
    """Return the commands of the program that neither `lines` nor the exceptions name."""
    context = click.Context(program)
    names = []
    for name in program.list_commands(context):
        command = program.get_command(context, name)
        below = sorted(command.commands) if isinstance(command, click.Group) else []
        names += [f"{name} {one}" for one in below] or [name]
    used = {" ".join(line[:count]) for line in lines for count in (1, 2)}
    return [name for name in names if name not in used and name not in NOT_OVER_IMAGES]


def main(photos: Path, out: Path, *chosen: str) -> None:
    """Run all commands, or the chosen ones."""
    library = out / "library"
    environment = {"LOOKALIKE_LIBRARY": str(library), "COLUMNS": "100"}
    before = state(photos)
    changed: list[str] = []
    failed: dict[str, str] = {}
    lines = commands(photos, out)
    with chdir(out):
        for line in lines:
            if chosen and line[0] not in chosen:
                continue
            result = CliRunner().invoke(program, line, prog_name="lookalike", env=environment)
            if not isinstance(result.exception, SystemExit | None) or result.exit_code == 2:
                failed[" ".join(line)] = f"{result.exception!r} {result.output[-300:]}"
            if state(photos) != before:
                changed.append(" ".join(line))
                before = state(photos)
    if not chosen:
        routes(library, changed, failed, photos, before)
    print(json.dumps({"changed": changed, "failed": failed, "missing": covered(lines)}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:])
