"""Find the files of a repository on this machine, and download those that are missing."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

from lookalike.errors import PARSE_ERRORS, UsageError
from lookalike.files import atomic_write
from lookalike.models.download import COMMIT, Repository, download, list_repository, unreachable
from lookalike.models.files import (
    FileSpec,
    ModelFiles,
    check_sha256,
    folder_name,
    hub_cache,
    is_offline,
    list_files,
    models_folder,
    refuse_pointer,
    select_files,
)

_SHA256 = re.compile(r"[0-9a-f]{64}")

_CHECKSUMS = "lookalike.json"
"""File beside the downloaded ones with their SHA-256, so that a copied folder can be checked."""


@dataclass(frozen=True, slots=True)
class FetchProgress:
    """Progress of the download of a model; `total` is the size of all its files together."""

    source: str
    file: str
    done: int
    total: int | None


Progress: TypeAlias = Callable[[FetchProgress], None]


def fetch_files(
    source: str,
    spec: FileSpec,
    *,
    revision: str | None = None,
    sha256: Mapping[str, str] | None = None,
    progress: Progress | None = None,
) -> ModelFiles:
    """Return the files of a repository, downloading those that are not on this machine.

    source    "owner/name" on the hub
    spec      the files needed
    revision  commit, branch or tag; a branch is resolved once, and the cache stays at its commit
    sha256    file → expected checksum, in addition to what the hub states

    Searched in this order: `models_folder()`, the cache of Hugging Face's own tools (which is only read), the
    hub unless HF_HUB_OFFLINE is set. Every file is checked before it is used. Raises UsageError with
    the remedy, MissingExtra without `huggingface_hub`, StorageFull.
    """
    found = find_cached(source, spec, revision=revision)
    if found is None:
        if is_offline():
            raise UsageError(f"{unreachable(source)} (HF_HUB_OFFLINE is set)")
        found = _download(source, spec, revision or "main", sha256 or {}, progress)
    expected = {**found.sha256, **(sha256 or {})}
    for name in found.names:
        refuse_pointer(found.path(name))
        if name in expected:
            check_sha256(found.path(name), expected[name])
    return replace(found, sha256={n: d for n, d in expected.items() if n in found.names})


def find_cached(source: str, spec: FileSpec, *, revision: str | None = None) -> ModelFiles | None:
    """Return the files of a repository if all are on this machine. Downloads nothing."""
    for place, commit in _candidates(models_folder(), source, revision):
        if not place.is_dir():
            continue
        with suppress(UsageError):
            names = select_files(spec, tuple(list_files(place)), source)
            checksums = {**_blob_checksums(place, names), **_read_checksums(place)}
            return ModelFiles(place, names, commit, checksums)
    return None


def _candidates(models: Path, source: str, revision: str | None) -> list[tuple[Path, str | None]]:
    """Return folders that may hold the repository at the revision, best first, with their commits."""
    name = folder_name(source)
    hub = hub_cache() / f"models--{name}"
    places: list[tuple[Path, str | None]] = []
    for root, snapshots in ((models / name, models / name), (hub, hub / "snapshots")):
        commit = _commit_of(root, revision or "main")
        if commit is not None:
            places.append((snapshots / commit, commit))
    # A folder that was copied or cloned by hand has no commit in its path. It serves any revision;
    # for a preset the checksums of its record decide (see `fetch_files`).
    owner, _, short = source.partition("/")
    places += [(models / name, None), (models / owner / short, None), (models / short, None)]
    return places


def _blob_checksums(place: Path, names: tuple[str, ...]) -> dict[str, str]:
    """Return checksums from Hugging Face's cache, which links to large files named by SHA-256."""
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
    spec: FileSpec,
    revision: str,
    sha256: Mapping[str, str],
    progress: Progress | None,
) -> ModelFiles:
    repository = list_repository(source, revision)
    names = select_files(spec, tuple(repository.files), f"{source} at {revision}")
    root = models_folder() / folder_name(source)
    place = root / repository.commit
    checksums = _download_missing(repository, names, place, sha256, progress)
    known = {**_read_checksums(place), **checksums}
    _write_text(place / _CHECKSUMS, json.dumps(known, indent=1))
    if revision != repository.commit:
        _write_text(root / "refs" / revision, repository.commit)
    return ModelFiles(place, names, repository.commit, checksums)


def _download_missing(
    repository: Repository,
    names: tuple[str, ...],
    place: Path,
    sha256: Mapping[str, str],
    progress: Progress | None,
) -> dict[str, str]:
    """Download the missing files one after the other and return their SHA-256."""
    from filelock import FileLock

    files = [repository.files[name] for name in names]
    sizes = [file.size for file in files]
    total = sum(size or 0 for size in sizes) if None not in sizes else None
    before = 0
    checksums: dict[str, str] = {}

    def report(file: str, done: int) -> None:
        if progress is not None:
            progress(FetchProgress(repository.source, file, before + done, total))

    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"{place} cannot be created ({error.strerror}): choose another --model-dir"
        ) from error
    # One process at a time: two that append to the same .part file would corrupt it.
    with FileLock(place / ".lock"):
        for file in files:
            if not (place / file.name).exists():
                checked = replace(file, sha256=sha256.get(file.name, file.sha256))
                checksums[file.name] = download(
                    repository,
                    checked,
                    place / file.name,
                    on_bytes=lambda done, name=file.name: report(name, done),  # type: ignore[misc]
                )
            before += file.size or 0
    return checksums


def _read_checksums(place: Path) -> dict[str, str]:
    try:
        stored = json.loads((place / _CHECKSUMS).read_text(encoding="utf-8"))
    except (OSError, *PARSE_ERRORS):
        return {}
    return {str(k): str(v) for k, v in stored.items()} if isinstance(stored, dict) else {}


def _write_text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path, shared=True) as out:
        out.write(text.encode())
