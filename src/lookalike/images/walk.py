"""Find the files below a folder, in a stable order.

Every regular file that is not hidden is found, whatever its name, because each file gets an outcome.
Hidden files and folders have a name that begins with a dot; that includes `.lookalike`.

Names that are not valid UTF-8 are kept as Python's surrogate escapes (PEP 383): `os.fsencode` gives
back the same bytes, and the file can be opened. Printing or storing such a path needs care.
"""

# ruff: noqa: PTH112, PTH116, PTH118
# pathlib would make the walk of a million files several times slower.

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from lookalike.errors import UsageError
from lookalike.images.globs import Globs
from lookalike.images.reading import InodeState, etag_state, inode_of, mtime_ns_of
from lookalike.object_storage import is_address_list, is_url

OnError: TypeAlias = Callable[[str, str], None]
"""Called with path and reason for each folder or file that cannot be accessed."""

DANGLING = (
    "a link that points to nothing, or removed meanwhile; delete it, or leave it out with --exclude"
)
"""Reason for a link without a target."""

Identity: TypeAlias = tuple[int, int]
"""Device and inode of a folder."""


@dataclass(slots=True)
class FoundFile:
    """A file: its path (the source's path joined with the rest), size, modification time and inode.

    validated  `inode` stands for an ETag, which alone tells whether the content changed
    """

    path: str
    size: int
    mtime_ns: int
    inode: InodeState
    validated: bool = False


@dataclass(slots=True)
class _Entry:
    """One name in a folder. A link counts as its target."""

    name: str
    is_folder: bool
    is_link: bool


_Listing: TypeAlias = Callable[[str], Iterator[_Entry]]


@dataclass(slots=True)
class _Folder:
    """One level of the walk: a folder and its remaining entries."""

    path: str
    prefix: str  # the path with a separator at the end
    relative: str  # to the source, with "/", ending in "/" unless empty
    identity: Identity
    entries: Iterator[_Entry]
    seen_below_link: set[Identity] | None


def find_files(
    sources: Iterable[str | os.PathLike[str]],
    *,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    root_exclude: Sequence[str] = (),
    below: str = "",
    skip: Iterable[str | os.PathLike[str]] = (),
    on_error: OnError | None = None,
) -> Iterator[FoundFile]:
    """Return all files at or below the sources, source by source, in the byte order of their paths.

    The globs are described in `globs.Globs`; an excluded folder is not entered. `skip`
    are folders that are not entered either (a library's own). Links are followed; a folder that
    contains itself through a link is entered once. A source that is a file is found whatever the
    globs say. What cannot be accessed is reported to `on_error(path, reason)`.

    A source may be a URL (`images.remote`) or a text file that lists addresses of the web.

    Memory: the names in each folder on the way down, about 70 bytes each.
    Raises UsageError at once if a source does not exist, and ObjectStorageError for a URL.
    """
    roots = _existing(sources)
    globs = Globs(include, exclude, root_exclude=root_exclude, below=below)
    skipped = _identities(skip)
    report = on_error or _ignore

    def stream() -> Iterator[FoundFile]:
        for root in roots:
            if is_url(root) or is_address_list(root):
                yield from _find_remote(root, globs, report)
                continue
            for path in _walk(root, globs, skipped, report, _sorted_entries):
                try:
                    state = os.stat(path)
                except OSError as error:
                    report(path, _reason(error))
                    continue
                if stat.S_ISREG(state.st_mode):
                    yield FoundFile(path, state.st_size, mtime_ns_of(state), inode_of(state))

    return stream()


def _find_remote(source: str, globs: Globs, report: OnError) -> Iterator[FoundFile]:
    """Yield what is below a URL, or at the addresses that a text file lists."""
    from lookalike.images.remote import find_addresses, find_remote  # needs http.client: 60 ms

    files = (
        find_remote(source, globs, report)
        if is_url(source)
        else find_addresses(Path(source), report)
    )
    for file in files:
        state = etag_state(file.etag) if file.etag else InodeState(file.mtime_ns, 0)
        yield FoundFile(file.path, file.size, file.mtime_ns, state, bool(file.etag))


def count_files(
    sources: Iterable[str | os.PathLike[str]],
    *,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    root_exclude: Sequence[str] = (),
    below: str = "",
    skip: Iterable[str | os.PathLike[str]] = (),
    stop: Callable[[], bool] | None = None,
) -> int:
    """Return how many files `find_files` would find. Several times faster: it reads no sizes.

    `stop` is called now and then; when it returns True, the count so far is returned.
    """
    globs = Globs(include, exclude, root_exclude=root_exclude, below=below)
    skipped = _identities(skip)
    total = 0
    for root in _existing(sources):
        for _path in _walk(root, globs, skipped, _ignore, _entries):
            total += 1
            if total % 1024 == 0 and stop is not None and stop():
                return total
    return total


def _walk(
    root: str, globs: Globs, skipped: frozenset[Identity], report: OnError, listing: _Listing
) -> Iterator[str]:
    """Yield the paths of the files below `root`. A stack, since folders nest deeper than recursion."""
    if not os.path.isdir(root):
        yield root
        return
    stack: list[_Folder] = []
    _enter(stack, root, "", False, skipped, report, listing)
    while stack:
        folder = stack[-1]
        try:
            entry = next(folder.entries, None)
        except OSError as error:
            report(folder.path, _reason(error))
            entry = None
        if entry is None:
            stack.pop()
            continue
        relative = folder.relative + entry.name
        path = folder.prefix + entry.name
        if not entry.is_folder:
            if globs.includes_file(relative, entry.name):
                yield path
        elif globs.enters_folder(relative, entry.name):
            _enter(stack, path, relative + "/", entry.is_link, skipped, report, listing)


def _enter(
    stack: list[_Folder],
    path: str,
    relative: str,
    is_link: bool,
    skipped: frozenset[Identity],
    report: OnError,
    listing: _Listing,
) -> None:
    """Push a folder, unless it is on the stack already, to be skipped, or cannot be opened.

    Below a link each folder is entered only once. Comparing with the ancestors alone would end every
    loop, but ten folders with links to each other have 10! paths through them.
    """
    try:
        state = os.stat(path)
        identity = (state.st_dev, state.st_ino)
        if identity in skipped or any(above.identity == identity for above in stack):
            return
        seen = stack[-1].seen_below_link if stack else None
        if seen is None and is_link:
            seen = set()
        if seen is not None:
            if identity in seen:
                return
            seen.add(identity)
        prefix = os.path.join(path, "")
        stack.append(_Folder(path, prefix, relative, identity, listing(path), seen))
    except OSError as error:
        report(path, _reason(error))


def _entries(path: str) -> Iterator[_Entry]:
    """Return the files and folders that are not hidden, in the order of the file system.

    Raises OSError at once if the folder cannot be opened.
    """
    return _scan(os.scandir(path))


def _scan(entries: os._ScandirIterator[str]) -> Iterator[_Entry]:
    with entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            try:
                is_folder = entry.is_dir()
                # A broken link is passed on as a file; opening it reports the error.
                if is_folder or entry.is_file() or entry.is_symlink():
                    yield _Entry(entry.name, is_folder, entry.is_symlink())
            except OSError:  # a link that points to itself
                yield _Entry(entry.name, False, True)


def _sorted_entries(path: str) -> Iterator[_Entry]:
    """Return the entries in byte order, folders as if their names ended in "/".

    Thus the relative paths of a whole walk are in byte order. Entries are packed into bytes for
    sorting, since a folder may hold a million of them.
    """
    packed = sorted(map(_pack, _entries(path)), reverse=True)
    return _unpack_all(packed)


def _pack(entry: _Entry) -> bytes:
    # NUL and "/" occur in no name. NUL ends the sort key: "a" before "a.jpg" before "a/".
    mark = b"\x00l" if entry.is_link else b"\x00"
    return os.fsencode(entry.name) + (b"/" if entry.is_folder else b"") + mark


def _unpack_all(packed: list[bytes]) -> Iterator[_Entry]:
    while packed:
        key, _, mark = packed.pop().partition(b"\x00")
        is_folder = key.endswith(b"/")
        yield _Entry(os.fsdecode(key[:-1] if is_folder else key), is_folder, mark == b"l")


def _existing(sources: Iterable[str | os.PathLike[str]]) -> list[str]:
    roots = [os.fspath(source) for source in sources]
    for root in roots:
        if is_url(root):  # asked when it is listed
            continue
        try:
            os.stat(root)
        except (OSError, ValueError) as error:
            if isinstance(error, PermissionError):
                raise UsageError(f"{root}: no permission to read it") from None
            raise UsageError(
                f"{root}: no such file or folder; check the spelling and the working directory"
            ) from None
    return roots


def _identities(folders: Iterable[str | os.PathLike[str]]) -> frozenset[Identity]:
    identities = set()
    for folder in folders:
        try:
            state = os.stat(folder)
        except OSError:
            continue
        identities.add((state.st_dev, state.st_ino))
    return frozenset(identities)


def _reason(error: OSError) -> str:
    if isinstance(error, PermissionError):
        return "no permission to read it; change its permissions, or leave it out with --exclude"
    if isinstance(error, FileNotFoundError):
        return DANGLING
    cause = f"cannot be read: {(error.strerror or str(error)).lower()}"
    if error.errno == errno.ENAMETOOLONG:
        return f"{cause}; shorten the names of its folders"
    return f"{cause}; check the disk"


def _ignore(path: str, reason: str) -> None:
    """Report nothing."""
