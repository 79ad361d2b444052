"""What a repository on the Hugging Face hub holds: one request, no client library.

`huggingface_hub` would do this too, at the price of thirty megabytes of dependencies; the two
addresses used here (the list of a revision's files, and a file at a commit) have been stable since
the hub began, and mirrors serve them as well.
Reference: https://huggingface.co/docs/hub/api
"""

from __future__ import annotations

import http.client
import json
import os
import re
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from lookalike.errors import UsageError
from lookalike.models.cache_dirs import models_folder

COMMIT = re.compile(r"[0-9a-f]{40}")

TIMEOUT = 30.0
"""Seconds without a byte after which a connection counts as dead."""

UNREACHABLE = (
    urllib.error.URLError,
    http.client.HTTPException,
    ssl.SSLError,
    ConnectionError,
    TimeoutError,
)
"""What a broken or missing connection raises, while opening or while reading."""


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file of a repository: where it is fetched from, and what it must turn out to be.

    `sha256` is known for large files (LFS), `blob` (the git object id) for small ones.
    """

    name: str
    url: str
    size: int | None
    sha256: str | None = None
    blob: str | None = None


@dataclass(frozen=True, slots=True)
class Listing:
    """All files of a repository at one commit."""

    source: str
    commit: str
    files: Mapping[str, RemoteFile]


def endpoint() -> str:
    """Address of the hub or of a mirror of it (HF_ENDPOINT)."""
    return os.environ.get("HF_ENDPOINT", "").rstrip("/") or "https://huggingface.co"


def fetch_listing(source: str, revision: str) -> Listing:
    """The files of repository `source` at a branch, tag or commit.

    Raises UsageError: no such repository or revision, or no way to the hub.
    """
    hub = endpoint()
    address = f"{hub}/api/models/{quote(source)}/revision/{quote(revision, safe='')}?blobs=true"
    try:
        with open_url(address) as response:
            answer = json.loads(response.read())
        commit = str(answer["sha"])
        if not COMMIT.fullmatch(commit):  # it becomes the name of a folder
            raise ValueError
        files = [_remote_file(hub, source, commit, entry) for entry in answer["siblings"]]
        # Names become paths here; none may lead out of the model's folder, on no system.
        files = [file for file in files if _is_inside(file.name)]
    except urllib.error.HTTPError as error:
        raise refused(error, source, revision) from None
    except UNREACHABLE as error:
        raise unreachable(source, error) from None
    except (ValueError, KeyError, TypeError):
        raise UsageError(f"{hub} answers nothing that can be read about {source}") from None
    return Listing(source, commit, {file.name: file for file in files})


def open_url(address: str, headers: Mapping[str, str] | None = None) -> Any:
    """Opens an http(s) address. A token (HF_TOKEN, for gated models) goes to the hub alone, not to
    the storage that the hub redirects to."""
    if not address.startswith(("https://", "http://")):
        raise UsageError(f"{address} is no http(s) address; check HF_ENDPOINT")
    request = urllib.request.Request(address, headers=dict(headers or {}))  # noqa: S310
    request.add_header("User-Agent", "lookalike")
    token = os.environ.get("HF_TOKEN")
    if token and address.startswith(f"{endpoint()}/"):
        request.add_unredirected_header("Authorization", f"Bearer {token}")
    return urllib.request.urlopen(request, timeout=TIMEOUT)  # noqa: S310


def refused(error: urllib.error.HTTPError, source: str, revision: str) -> UsageError:
    """The hub's refusal in words."""
    error.close()
    if error.code in {401, 403}:
        return UsageError(
            f"{endpoint()} gives out {source} only to those who may have it (HTTP {error.code}): "
            "check the name, accept the model's licence there, and set HF_TOKEN"
        )
    if error.code == 404:
        return UsageError(f"{endpoint()} has no model {source} at revision {revision}")
    return UsageError(f"{endpoint()} answers HTTP {error.code} for {source}: try again later")


def unreachable(source: str, error: BaseException | None = None) -> UsageError:
    """The one line for a machine without a network."""
    reason = f" ({getattr(error, 'reason', error) or type(error).__name__})" if error else ""
    folder = models_folder() / folder_name(source)
    return UsageError(
        f"{source} is not on this machine and {endpoint()} cannot be reached{reason}: on a machine "
        f"with a network copy the folder {folder} and pass its parent with --model-dir"
    )


def folder_name(source: str) -> str:
    """Name of a repository's folder in the cache: a slash cannot be in it."""
    return source.replace("/", "--")


def _is_inside(name: str) -> bool:
    return not (name.startswith("/") or ".." in name.split("/") or "\\" in name or ":" in name)


def _remote_file(hub: str, source: str, commit: str, entry: Mapping[str, Any]) -> RemoteFile:
    name = str(entry["rfilename"])
    large = entry.get("lfs") or {}
    return RemoteFile(
        name=name,
        url=f"{hub}/{quote(source)}/resolve/{commit}/{quote(name)}",
        size=entry.get("size"),
        sha256=large.get("sha256"),
        blob=None if large else entry.get("blobId"),
    )
