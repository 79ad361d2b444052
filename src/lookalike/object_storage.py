"""Objects at URLs: s3://, gs:// and az:// through fsspec, and file:// for archives on this machine.

Inside the program the URL of an image is a `Path`, so that roots and paths are joined as for folders. Paths
have no double slash: "s3://bucket/photos" becomes `Path("s3:/bucket/photos")`, and `url_of` gives it back.

Credentials and endpoints are those that the tools of each provider read: AWS_PROFILE, AWS_ENDPOINT_URL,
GOOGLE_APPLICATION_CREDENTIALS, AZURE_STORAGE_ACCOUNT_NAME …
"""

from __future__ import annotations

import os
import random
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from lookalike.errors import MissingExtra, ObjectMissing, ObjectStorageError
from lookalike.files import atomic_write

T = TypeVar("T")

Location = str | os.PathLike[str]
"""A URL, as text or as a path, or a path on this machine."""

_URL = re.compile(r"(s3|gs|az|file|https?):(?:/+|$)")
_WEB = ("http", "https")

WEB_ROOT = Path("https:/")
"""The root of all images that lists of addresses name."""

ATTEMPTS = 5
"""Tries of one request; each waits twice as long as the one before, and up to half as much again."""

FIRST_WAIT = 0.25
"""Seconds before the second try."""

_CREDENTIALS = {
    "s3": "AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS",
    "az": "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY",
}

# The client of S3 retries by itself, too: together, a server that is down would be asked for minutes.
_OPTIONS: dict[str, dict[str, Any]] = {
    "s3": {
        "config_kwargs": {
            "retries": {"mode": "standard", "max_attempts": 1},
            "connect_timeout": 5,
            "read_timeout": 60,
            "max_pool_connections": 32,
        }
    }
}


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """An object or folder of a bucket.

    path   as a path of this program ("s3:/bucket/key")
    etag   validator of the content as the storage gives it, "" where it gives none
    """

    path: str
    size: int
    mtime_ns: int
    etag: str
    is_folder: bool


def url_of(location: Location) -> str | None:
    """Return the URL at a location, or None for a path on this machine."""
    text = os.fspath(location)
    found = _URL.match(text)
    if found is None:
        return None
    start = "/" if found[1] == "file" else ""
    return f"{found[1]}://{start}{text[found.end() :]}".replace(os.sep, "/")


def is_url(location: Location) -> bool:
    """Return whether a location is a URL."""
    return url_of(location) is not None


def is_web(location: Location) -> bool:
    """Return whether a location is an address of the web, which has no folders to list."""
    return (url_of(location) or "").partition(":")[0] in _WEB


def is_address_list(source: Location) -> bool:
    """Return whether a source is a text file (.txt) whose first line is an address of the web.

    Empty lines and those that begin with "#" do not count.
    """
    if not os.fspath(source).lower().endswith(".txt") or is_url(source):
        return False
    try:
        with Path(source).open("rb") as file:
            lines = map(bytes.strip, file.read(1 << 16).removeprefix(b"\xef\xbb\xbf").split(b"\n"))
    except OSError:
        return False
    first = next((line for line in lines if line and not line.startswith(b"#")), b"")
    return first.startswith((b"https://", b"http://"))


def resolve(path: Path) -> Path:
    """Return a path on this machine without symbolic links (`Path.resolve`); a URL as it is."""
    return path if is_url(path) else path.resolve()


def shown(location: Location) -> str:
    """Return a location as people write it."""
    return url_of(location) or os.fspath(location)


def info(location: Location) -> ObjectInfo:
    """Return what the storage says of one object or folder. Raises ObjectStorageError."""
    url = _url(location)
    system, path = _filesystem(url)
    return _described(_retried(lambda: system.info(path), url), url)


def list_folder(location: Location) -> list[ObjectInfo]:
    """Return the objects and folders directly in a folder, in the byte order of their paths.

    Folders are ordered as if their names ended in "/". Raises ObjectStorageError.
    """
    url = _url(location)
    system, path = _filesystem(url)
    listed = _retried(lambda: system.ls(path, detail=True), url)
    folder = path.rstrip("/")
    found = [
        _described(entry, url)
        for entry in listed
        if str(entry["name"]).rstrip("/") != folder or _is_unnamed(entry)
    ]
    found.sort(key=lambda one: os.fsencode(one.path + ("/" if one.is_folder else "")))
    return found


def read(location: Location) -> bytes:
    """Return the bytes of an object or of a file on this machine.

    Raises ObjectStorageError: `ObjectMissing` if there is none.
    """
    url = url_of(location)
    if url is None:
        try:
            return Path(location).read_bytes()
        except OSError as error:
            raise _translated(error, os.fspath(location)) from None
    system, path = _filesystem(url)
    data: bytes = _retried(lambda: system.cat_file(path), url)
    return data


def write(location: Location, data: bytes) -> None:
    """Replace an object, or a file on this machine, as a whole. Raises ObjectStorageError."""
    url = url_of(location)
    if url is None:
        file = Path(location)
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            with atomic_write(file, durable=True, shared=True) as out:
                out.write(data)
        except OSError as error:
            raise _translated(error, str(file)) from None
        return
    system, path = _filesystem(url)

    def put() -> None:
        if url.startswith("file:"):
            system.makedirs(os.path.dirname(path), exist_ok=True)  # noqa: PTH120
        system.pipe_file(path, data)

    _retried(put, url)


def names(location: Location) -> list[str]:
    """Return the sorted names of the objects or files directly in a folder; none if there is no folder.

    Raises ObjectStorageError.
    """
    if is_url(location):
        try:
            found = [Path(one.path).name for one in list_folder(location) if not one.is_folder]
        except ObjectMissing:
            return []
        return sorted(found)
    try:
        return sorted(file.name for file in Path(location).iterdir() if file.is_file())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise _translated(error, os.fspath(location)) from None


def join(folder: Location, name: str) -> str:
    """Return the location of a name in a folder."""
    url = url_of(folder)
    return f"{url.rstrip('/')}/{name}" if url else str(Path(folder) / name)


def open_file(location: Location) -> Any:
    """Open an object, or a file on this machine, for reading at any place. Raises ObjectStorageError."""
    url = url_of(location)
    if url is None:
        try:
            return Path(location).open("rb")
        except OSError as error:
            raise _translated(error, os.fspath(location)) from None
    system, path = _filesystem(url)
    return _retried(lambda: system.open(path, "rb"), url)


def _url(location: Location) -> str:
    url = url_of(location)
    assert url is not None, f"{location} is not a URL"
    return url


def _filesystem(url: str) -> tuple[Any, str]:
    scheme = url.partition(":")[0]
    package = "fsspec" if scheme == "file" else f"'lookalike[{scheme}]'"
    try:
        from fsspec.core import url_to_fs

        system, path = url_to_fs(url, use_listings_cache=False, **_OPTIONS.get(scheme, {}))
    except ImportError:
        message = f"{scheme}:// needs further packages: pip install {package}"
        raise MissingExtra(message) from None
    except Exception as error:
        raise _translated(error, url) from None
    if scheme == "s3":
        system.retries = 1
    return system, str(path)


def _retried(request: Callable[[], T], url: str) -> T:
    """Return the answer to a request, tried again where a failure may pass."""
    wait = FIRST_WAIT
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return request()
        except Exception as error:
            if attempt == ATTEMPTS or not _may_pass(error):
                raise _translated(error, url) from None
        time.sleep(wait * random.uniform(1, 1.5))
        wait *= 2
    raise AssertionError("unreachable")


def _may_pass(error: Exception) -> bool:
    permanent = (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError)
    return not isinstance(error, permanent) and "Credentials" not in type(error).__name__


def _translated(error: Exception, place: str) -> ObjectStorageError:
    """Return the error for people: cause and remedy in a line."""
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return ObjectMissing(f"there is no {place}: check the names of the bucket and the folder")
    if "Credentials" in type(error).__name__:
        scheme = place.partition(":")[0]
        return ObjectStorageError(
            f"no credentials for {place}: set {_CREDENTIALS.get(scheme, 'those of the provider')}"
        )
    if isinstance(error, PermissionError):
        return ObjectStorageError(
            f"no permission for {place}: check the credentials and the policy of the bucket"
        )
    lines = str(error).strip().splitlines()
    cause = lines[0][:200] if lines else type(error).__name__
    return ObjectStorageError(f"{place} cannot be read or written: {cause}; try again later")


def _is_unnamed(entry: dict[str, Any]) -> bool:
    """Return whether an entry stands for keys with an empty name ("a//b.jpg"), and not for its folder."""
    return entry.get("StorageClass") == "DIRECTORY" and str(entry["name"]).endswith("/")


def _described(entry: dict[str, Any], url: str) -> ObjectInfo:
    """Return the object that fsspec describes; the keys differ from storage to storage."""
    scheme = url.partition(":")[0]
    name = str(entry["name"]).removeprefix(f"{scheme}://").lstrip("/")
    name = name if _is_unnamed(entry) else name.rstrip("/")
    etag = entry.get("ETag") or entry.get("etag") or ""
    return ObjectInfo(
        f"{scheme}:/{name}",
        int(entry.get("size") or 0),
        _mtime_ns(entry),
        str(etag).strip('"'),
        entry.get("type") == "directory",
    )


def _mtime_ns(entry: dict[str, Any]) -> int:
    keys = ("LastModified", "last_modified", "updated", "mtime")
    modified = next((entry[key] for key in keys if entry.get(key)), 0)
    if isinstance(modified, str):
        modified = datetime.fromisoformat(modified)
    seconds = modified.timestamp() if isinstance(modified, datetime) else float(modified)
    return round(seconds * 1e6) * 1000
