"""List and download files of a repository on the Hugging Face hub, using `huggingface_hub`.

Files are streamed through its session instead of `hf_hub_download`, which (2.4) deletes a partial file
when the program ends and does not compare checksums.
"""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from lookalike.errors import MissingExtra, StorageFull, UsageError, raise_interrupt
from lookalike.models.files import folder_name, hash_file, models_folder

if TYPE_CHECKING:
    from huggingface_hub.errors import HfHubHTTPError

COMMIT = re.compile(r"[0-9a-f]{40}")

TIMEOUT = 30.0
"""Seconds without a byte after which a connection counts as dead."""

ATTEMPTS = 5
"""Connections to try for one file, with pauses of 0.5, 1, 2 and 4 s between them."""

_USER_AGENT = {"user-agent": "lookalike"}
"""Replaces the client's own, which states the versions of Python and of installed libraries."""

OnBytes: TypeAlias = Callable[[int], None]
"""Called with the number of bytes of the file that are on disk."""


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file of a repository and its expected content.

    `sha256` is known for large files (LFS), `blob` (the git object id) for small ones.
    """

    name: str
    size: int | None
    sha256: str | None = None
    blob: str | None = None


@dataclass(frozen=True, slots=True)
class Repository:
    """All files of a repository at one commit."""

    source: str
    commit: str
    files: Mapping[str, RemoteFile]


def list_repository(source: str, revision: str) -> Repository:
    """List the files of repository `source` at a branch, tag or commit.

    Raises UsageError if there is no such repository or revision, or the hub cannot be reached.
    """
    with _hub_errors(source, revision):
        from huggingface_hub import HfApi

        api = HfApi(endpoint=endpoint(), headers=_USER_AGENT)
        try:
            info = api.model_info(source, revision=revision, files_metadata=True, timeout=TIMEOUT)
            commit = str(info.sha)
            if not COMMIT.fullmatch(commit):  # it becomes the name of a folder
                raise ValueError("no commit")
            files = [
                RemoteFile(
                    name=entry.rfilename,
                    size=None if entry.size is None else int(entry.size),
                    sha256=entry.lfs.sha256 if entry.lfs else None,
                    blob=None if entry.lfs else entry.blob_id,
                )
                for entry in info.siblings or ()
                # Names become paths; none may lead out of the model's folder, on any system.
                if _is_inside(entry.rfilename)
            ]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UsageError(
                f"{endpoint()} gives no usable answer about {source} ({_first_line(error)})"
            ) from None
    return Repository(source, commit, {file.name: file for file in files})


def download(
    repository: Repository, file: RemoteFile, target: Path, *, on_bytes: OnBytes | None = None
) -> str:
    """Download one file to `target` and return its SHA-256.

    A partial download is kept beside it as .part and resumed the next time. The target appears only
    after size and checksum have been verified. Raises UsageError or StorageFull.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    if part.exists() and file.size is not None and part.stat().st_size > file.size:
        part.unlink()
    with _hub_errors(repository.source, repository.commit):
        import httpx2
        from huggingface_hub import hf_hub_url

        url = hf_hub_url(
            repository.source, file.name, revision=repository.commit, endpoint=endpoint()
        )
        try:
            _fetch_with_retries(url, file, part, on_bytes)
        except httpx2.TransportError as error:
            raise UsageError(
                f"the download of {repository.source} was interrupted ({_first_line(error)}): "
                "run it again to resume it"
            ) from None
        except OSError as error:
            if failure := _write_error(error, part):
                raise failure from error
            raise
    digest = _verify(url, file, part)
    part.replace(target)
    return digest


def endpoint() -> str:
    """Return the address of the hub, or of a mirror of it (HF_ENDPOINT)."""
    return os.environ.get("HF_ENDPOINT", "").rstrip("/") or "https://huggingface.co"


def unreachable(source: str, reason: str = "") -> UsageError:
    """Return the one-line error for a machine without a network."""
    folder = models_folder() / folder_name(source)
    return UsageError(
        f"{source} is not on this machine and {endpoint()} cannot be reached{reason}: on a machine "
        f"with a network copy the folder {folder} and pass its parent with --model-dir"
    )


def _fetch_with_retries(url: str, file: RemoteFile, part: Path, on_bytes: OnBytes | None) -> None:
    import httpx2
    from huggingface_hub.errors import HfHubHTTPError

    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(2.0 ** (attempt - 2))
        try:
            return _fetch(url, file, part, on_bytes)
        except HfHubHTTPError as error:
            status = error.response.status_code
            if attempt == ATTEMPTS - 1 or (status < 500 and status != 416):
                raise
            if status == 416:  # range not satisfiable: the partial file is of another version
                part.unlink()
        except httpx2.TransportError:
            if attempt == ATTEMPTS - 1:
                raise
    raise AssertionError  # the last attempt returns or raises


def _fetch(url: str, file: RemoteFile, part: Path, on_bytes: OnBytes | None) -> None:
    """Append the rest of the file to the partial one."""
    from huggingface_hub.utils import (  # type: ignore[attr-defined]
        build_hf_headers,
        get_session,
        hf_raise_for_status,
    )

    headers = build_hf_headers(headers=_USER_AGENT) | {"Accept-Encoding": "identity"}
    with part.open("ab") as out:
        done = out.tell()
        if done and done == file.size:
            return
        if done:
            headers["Range"] = f"bytes={done}-"
        # A redirect to the storage does not get the token: the client drops it for other hosts.
        with get_session().stream("GET", url, headers=headers, timeout=TIMEOUT) as response:
            hf_raise_for_status(response)
            resumed = response.headers.get("Content-Range", "").startswith(f"bytes {done}-")
            if done and not resumed:
                done = out.truncate(0)  # the server sends the whole file
            for block in response.iter_bytes():
                out.write(block)
                done += len(block)
                if file.size is not None and done > file.size:
                    break  # not the expected file; `_verify` deletes it
                if on_bytes is not None:
                    on_bytes(done)
        out.flush()
        os.fsync(out.fileno())


def _write_error(error: OSError, part: Path) -> Exception | None:
    """Return the error for a full disk or a folder without permission; None for other errors."""
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return StorageFull(f"the disk is full while downloading {part}: make room, and run again")
    if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS, errno.EFBIG, errno.EIO}:
        return UsageError(
            f"{part} cannot be written ({error.strerror}): choose another --model-dir"
        )
    return None


def _verify(url: str, file: RemoteFile, part: Path) -> str:
    """Return the SHA-256 of the complete file, or delete it and raise UsageError."""
    size = part.stat().st_size
    git = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
    sha256 = hash_file(part, into=git.update)
    mismatch = ""
    if file.size is not None and size != file.size:
        mismatch = f"{size} bytes, expected {file.size}"
    elif file.sha256 is not None and sha256 != file.sha256:
        mismatch = f"SHA-256 {sha256[:12]}…, expected {file.sha256[:12]}…"
    elif file.blob is not None and git.hexdigest() != file.blob:
        mismatch = f"git id {git.hexdigest()[:12]}…, expected {file.blob[:12]}…"
    if mismatch:
        part.unlink()
        raise UsageError(f"{url} is not the expected file ({mismatch}): try again")
    return sha256


@contextmanager
def _hub_errors(source: str, revision: str) -> Iterator[None]:
    """Turn errors of `huggingface_hub` into one line, and silence its own messages meanwhile."""
    try:
        import httpx2
        from huggingface_hub.errors import HfHubHTTPError
    except ImportError as error:
        raise_interrupt(error)
        raise MissingExtra(
            f"{source} is not on this machine, and downloading it needs huggingface_hub: "
            "pip install 'lookalike[hub]'"
        ) from None
    logger = logging.getLogger("huggingface_hub")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    except HfHubHTTPError as error:
        raise _refused(error, source, revision) from None
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
        raise unreachable(source, f" ({_first_line(error)})") from None
    finally:
        logger.setLevel(level)


def _refused(error: HfHubHTTPError, source: str, revision: str) -> UsageError:
    """Return the error for an HTTP status of the hub."""
    status = error.response.status_code
    if status in {401, 403}:
        return UsageError(
            f"{endpoint()} gives {source} only to those with access (HTTP {status}): check the name, "
            "accept the model's licence there, and set HF_TOKEN"
        )
    if status == 404:
        return UsageError(f"{endpoint()} has no model {source} at revision {revision}")
    return UsageError(f"{endpoint()} answers HTTP {status} for {source}: try again later")


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def _is_inside(name: str) -> bool:
    return not (name.startswith("/") or ".." in name.split("/") or "\\" in name or ":" in name)
