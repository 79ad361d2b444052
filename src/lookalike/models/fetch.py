"""From "owner/name" to a folder of checked files: what is here is used, what is missing fetched."""

from __future__ import annotations

import json
import os
import re
import urllib.error
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from lookalike.errors import UsageError
from lookalike.models.cache_dirs import hub_cache, is_offline, models_folder
from lookalike.models.checksums import check_sha256
from lookalike.models.download import Interrupted, download
from lookalike.models.files import ModelFiles, Wanted, choose, list_files, refuse_pointer
from lookalike.models.hub import (
    COMMIT,
    UNREACHABLE,
    Listing,
    RemoteFile,
    fetch_listing,
    folder_name,
    refused,
    unreachable,
)

_SHA256 = re.compile(r"[0-9a-f]{64}")
_NOTE = "lookalike.json"
"""Beside the downloaded files: their SHA-256. Leaves with the folder when it is copied."""


@dataclass(frozen=True, slots=True)
class Fetching:
    """How far the download of a model is; `total` bytes are all of its files together."""

    source: str
    file: str
    done: int
    total: int | None


Progress = Callable[[Fetching], None]


def fetch_files(
    source: str,
    wanted: Wanted,
    *,
    revision: str | None = None,
    sha256: Mapping[str, str] | None = None,
    folder: Path | None = None,
    progress: Progress | None = None,
) -> ModelFiles:
    """The files of a repository, downloaded where they are not here yet.

    source    "owner/name" on the hub
    wanted    which files are needed
    revision  commit, branch or tag; a branch is looked up once, and the cache keeps to the commit
    sha256    file → what it must hash to, over and above what the hub says
    folder    where models are kept; see `models_folder`

    Looked through in this order: `folder`, the cache of Hugging Face's own tools (which is only
    read), the hub unless HF_HUB_OFFLINE is set. Every file is checked before it is used. Raises
    UsageError that says what to do.
    """
    found = cached(source, wanted, revision=revision, folder=folder)
    if found is None:
        if is_offline():
            raise UsageError(f"{unreachable(source)} (HF_HUB_OFFLINE is set)")
        found = _download(source, wanted, revision or "main", sha256 or {}, folder, progress)
    expected = {**found.sha256, **(sha256 or {})}
    for name in found.names:
        refuse_pointer(found.path(name))
        if name in expected:
            check_sha256(found.path(name), expected[name])
    return replace(found, sha256={n: d for n, d in expected.items() if n in found.names})


def cached(
    source: str, wanted: Wanted, *, revision: str | None = None, folder: Path | None = None
) -> ModelFiles | None:
    """The files of a repository if they are all on this machine; nothing is downloaded."""
    ours = models_folder(folder)
    for place, commit in _candidates(ours, source, revision):
        if not place.is_dir():
            continue
        with suppress(UsageError):
            names = choose(wanted, tuple(list_files(place)), source)
            digests = {**_blob_digests(place, names), **_read_note(place)}
            return ModelFiles(place, names, commit, digests)
    return None


def _candidates(ours: Path, source: str, revision: str | None) -> list[tuple[Path, str | None]]:
    """Folders that may hold the repository at the revision, best first, each with its commit."""
    name = folder_name(source)
    places: list[tuple[Path, str | None]] = []
    for root, snapshots in ((ours / name, ours / name), (_hub_folder(source), None)):
        snapshots = root / "snapshots" if snapshots is None else snapshots
        commit = _commit_of(root, revision or "main")
        if commit is not None:
            places.append((snapshots / commit, commit))
    # A folder that somebody copied or cloned by hand has no commit in its path. It is good for any
    # question but one for a certain commit: there the record's checksums decide (see `fetch_files`).
    owner, _, short = source.partition("/")
    places += [(ours / name, None), (ours / owner / short, None), (ours / short, None)]
    return places


def _hub_folder(source: str) -> Path:
    return hub_cache() / f"models--{folder_name(source)}"


def _blob_digests(place: Path, names: tuple[str, ...]) -> dict[str, str]:
    """Hugging Face's cache keeps a large file under its SHA-256 and links to it by name."""
    targets = {name: (place / name).resolve().name for name in names if (place / name).is_symlink()}
    return {name: target for name, target in targets.items() if _SHA256.fullmatch(target)}


def _commit_of(root: Path, revision: str) -> str | None:
    if COMMIT.fullmatch(revision):
        return revision
    with suppress(OSError):
        commit = (root / "refs" / revision).read_text(encoding="utf-8").strip()
        return commit if COMMIT.fullmatch(commit) else None
    return None


def _download(
    source: str,
    wanted: Wanted,
    revision: str,
    sha256: Mapping[str, str],
    folder: Path | None,
    progress: Progress | None,
) -> ModelFiles:
    listing = fetch_listing(source, revision)
    names = choose(wanted, tuple(listing.files), f"{source} at {revision}")
    root = models_folder(folder) / folder_name(source)
    place = root / listing.commit
    try:
        digests = _fetch_all(listing, names, place, sha256, progress)
    except urllib.error.HTTPError as error:
        raise refused(error, source, revision) from None
    except (*UNREACHABLE, Interrupted) as error:
        raise UsageError(
            f"the download of {source} broke off ({getattr(error, 'reason', error)}): run it "
            "again, it goes on where it stopped"
        ) from None
    _write(place / _NOTE, json.dumps({**_read_note(place), **digests}, indent=1))
    if revision != listing.commit:
        _write(root / "refs" / revision, listing.commit)
    return ModelFiles(place, names, listing.commit, digests)


def _fetch_all(
    listing: Listing,
    names: tuple[str, ...],
    place: Path,
    sha256: Mapping[str, str],
    progress: Progress | None,
) -> dict[str, str]:
    """Downloads the files in turn; returns the SHA-256 of each that was fetched now."""
    # One process at a time: two that append to the same .part file would spoil it.
    from filelock import FileLock

    files = [listing.files[name] for name in names]
    sizes = [file.size for file in files]
    total = sum(size or 0 for size in sizes) if None not in sizes else None
    before = 0
    digests: dict[str, str] = {}
    place.mkdir(parents=True, exist_ok=True)
    with FileLock(place / ".lock"):
        for file in files:
            target = place / file.name
            if not target.exists():
                expected = sha256.get(file.name, file.sha256)
                checked = replace(file, sha256=expected)
                tell = _teller(listing.source, checked, before, total, progress)
                digests[file.name] = download(checked, target, advance=tell)
            before += file.size or 0
    return digests


def _teller(
    source: str, file: RemoteFile, before: int, total: int | None, progress: Progress | None
) -> Callable[[int], None] | None:
    if progress is None:
        return None
    return lambda done: progress(Fetching(source, file.name, before + done, total))


def _read_note(place: Path) -> dict[str, str]:
    try:
        note = json.loads((place / _NOTE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {str(k): str(v) for k, v in note.items()} if isinstance(note, dict) else {}


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(path)
