"""Images that are no files here: objects of a storage, members of archives, addresses of the web."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lookalike.errors import (
    FetchFailed,
    ImageError,
    MissingExtra,
    ObjectMissing,
    ObjectStorageError,
    Outcome,
    UsageError,
)
from lookalike.images.archives import is_archive, open_archive, read_member, split_member
from lookalike.images.fetch import FetchLimits, fetch_url, validator_of
from lookalike.images.globs import Globs
from lookalike.object_storage import ObjectInfo, info, is_web, list_folder, url_of
from lookalike.object_storage import read as read_object

WEB_LIMITS = FetchLimits(max_bytes=256 << 20, seconds=60.0)
WEB_ATTEMPTS = 3
WEB_THREADS = 16
"""Addresses that are asked at once whether they have changed."""

ODD_NAME = "has an empty name, '.' or '..' in its path, which is not supported: rename it"


Report = Callable[[str, str], None]
"""Called with path and reason of what cannot be read."""


def fetch(path: str) -> bytes:
    """Return the content of an image that is no file of this machine. Raises ImageError."""
    member = split_member(path)
    try:
        if member is not None and not is_web(path):
            return read_member(*member)
        if is_web(path):
            return _fetched(url_of(path) or path)
        return read_object(path)
    except ObjectMissing:
        raise ImageError(
            Outcome.MISSING, "there is no object at this place (any more); check the address"
        ) from None
    except (UsageError, ObjectStorageError, OSError) as error:
        raise ImageError(Outcome.UNREADABLE, f"cannot be read: {error}") from None


def find_remote(source: str, globs: Globs, report: Report) -> Iterator[ObjectInfo]:
    """Yield the files at or below a URL, in the byte order of their paths.

    Archives are entered like folders. Memory: the names in each folder on the way down.
    Raises ObjectStorageError if the source itself cannot be read.
    """
    top = info(source)
    if not top.is_folder:
        yield from _members(top, globs, report) if is_archive(top.path) else [top]
        return
    start = len(top.path.rstrip("/")) + 1
    stack = [iter(list_folder(source))]
    while stack:
        entry = next(stack[-1], None)
        if entry is None:
            stack.pop()
            continue
        name = entry.path.rpartition("/")[2]
        relative = entry.path[start:]
        if name.startswith(".") and name not in (".", ".."):
            continue
        if any(part in ("", ".", "..") for part in relative.split("/")):
            report(entry.path, ODD_NAME)
        elif entry.is_folder:
            if globs.enters_folder(relative, name):
                stack.append(iter(_listed(entry.path, report)))
        elif is_archive(name):
            if globs.enters_folder(relative, name):
                yield from _members(entry, globs, report, start)
        elif globs.includes_file(relative, name):
            yield entry


def names_in(folder: str) -> list[str]:
    """Return the names of the files directly in a folder of a storage or of an archive.

    Raises ObjectStorageError, and OSError for an archive on this machine.
    """
    archive, inside = (folder, "") if is_archive(folder) else split_member(folder) or ("", "")
    if not archive:
        return [one.path.rpartition("/")[2] for one in list_folder(folder) if not one.is_folder]
    start = f"{inside}/" if inside else ""
    members = (member.name for member in open_archive(archive).members())
    below = [name[len(start) :] for name in members if name.startswith(start)]
    return [name for name in below if "/" not in name]


def addresses(file: Path, report: Report) -> list[str]:
    """Return the paths of the HTTPS addresses in a text file, a line each, without repetition.

    Empty lines and those that begin with "#" are skipped. Raises UsageError if there are none.
    """
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read the addresses in {file}: {error}") from None
    found: dict[str, None] = {}
    for line in map(str.strip, lines):
        if not line or line.startswith("#"):
            continue
        rest = line.removeprefix("https://")
        if rest == line:
            report(line[:200], "is not an address that begins with https://")
        elif any(part in ("", ".", "..") for part in rest.split("/")):
            report(line[:200], ODD_NAME)
        else:
            found[f"https:/{rest}"] = None
    if not found:
        raise UsageError(f"{file} lists no addresses: write one https://… a line")
    return list(found)


def find_addresses(file: Path, report: Report) -> Iterator[ObjectInfo]:
    """Yield the addresses that a text file lists, each with its validator as the server tells it."""
    with ThreadPoolExecutor(WEB_THREADS, "lookalike-web") as threads:
        yield from threads.map(_asked, addresses(file, report))


def _asked(path: str) -> ObjectInfo:
    try:
        size, etag = validator_of(url_of(path) or path, WEB_LIMITS)
    except UsageError:  # fetching the image itself says why
        size, etag = 0, ""
    return ObjectInfo(path, size, 0, etag, is_folder=False)


def _fetched(url: str) -> bytes:
    for attempt in range(1, WEB_ATTEMPTS):
        try:
            return fetch_url(url, WEB_LIMITS)
        except FetchFailed:
            time.sleep(0.5 * attempt)
    return fetch_url(url, WEB_LIMITS)


def _listed(path: str, report: Report) -> list[ObjectInfo]:
    try:
        return list_folder(path)
    except ObjectStorageError as error:
        report(path, str(error))
        return []


def _members(
    entry: ObjectInfo, globs: Globs, report: Report, start: int | None = None
) -> Iterator[ObjectInfo]:
    """Yield the members of an archive; its validator is theirs."""
    start = len(entry.path) + 1 if start is None else start
    try:
        archive = open_archive(entry.path, fresh=True)
    except (ObjectStorageError, MissingExtra, OSError) as error:
        report(entry.path, str(error))
        return
    if archive.problem:
        report(entry.path, archive.problem)
    for member in archive.members():
        parts = member.name.split("/")
        path = f"{entry.path}/{member.name}"
        if any(part in ("", ".", "..") for part in parts):
            report(path, ODD_NAME)
        elif not any(part.startswith(".") for part in parts) and globs.includes_file(
            path[start:], parts[-1]
        ):
            etag = entry.etag or f"{entry.size}-{entry.mtime_ns}"
            yield ObjectInfo(path, member.size, entry.mtime_ns, etag, is_folder=False)
