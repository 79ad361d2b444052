"""Sources of a run below the roots of a library, and folders that could not be read."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lookalike.errors import Outcome, UsageError
from lookalike.files import compose
from lookalike.images.archives import is_archive
from lookalike.images.formats import became_readable
from lookalike.images.globs import Globs, anchored
from lookalike.images.reading import is_access_failure
from lookalike.images.walk import FoundFile, OnError, count_files, find_files
from lookalike.indexing.report import IndexOptions
from lookalike.object_storage import WEB_ROOT, info, is_address_list, is_url, is_web, shown
from lookalike.stores.interface import FileState, IndexWriter, Root
from lookalike.stores.paths import existing_path, relative_path


@dataclass(frozen=True, slots=True)
class Source:
    """A folder or file to index; `below` is its path relative to the root, "" for the root itself."""

    root: Root
    path: Path
    below: str


def resolve_source(writer: IndexWriter, roots: Sequence[Root], path: Path) -> Source:
    """Return the source at a resolved path.

    A folder outside all roots becomes a new root; for a file outside all roots, its folder does. The images
    of a list of addresses are below one root for all of them.
    """
    if is_address_list(path):
        return Source(writer.add_root(WEB_ROOT), path, "")
    source = find_source(path, roots)
    if source is None:
        root = writer.add_root(path if is_folder(path) else path.parent)
        source = find_source(path, [root]) or Source(root, path, "")
    return source


def exclude_below(source: Source, options: IndexOptions) -> Source:
    """Return the source with the globs that its root has after this run.

    `UsageError` for a source that they leave out itself, and for a glob in `no_exclude` that the root does
    not have.
    """
    globs = list(source.root.exclude)
    for glob in options.no_exclude:
        wanted = compose(glob), compose(anchored(glob, source.below))
        found = next((one for one in globs if compose(one) in wanted), None)
        if found is None:
            there = ", ".join(map(repr, globs)) or "none"
            raise UsageError(f"{glob!r} is not excluded from {source.root.path}; excluded: {there}")
        globs.remove(found)
    globs += [anchored(glob, source.below) for glob in options.exclude]
    globs = list(dict.fromkeys(globs))
    excluded = excluding(globs, source.below)
    if excluded is not None:
        raise UsageError(
            f"{source.path} is excluded from the library by {excluded!r}: to index it again, add "
            f"--no-exclude {shlex.quote(excluded)}"
        )
    return replace(source, root=replace(source.root, exclude=tuple(globs)))


def excluding(globs: Sequence[str], below: str) -> str | None:
    """Return the first glob that leaves out a path below the root, or a folder on the way to it."""
    parts = below.split("/") if below else []
    for glob in globs:
        rules = Globs(exclude=[glob])
        if any(
            not rules.enters_folder("/".join(parts[: n + 1]), part) for n, part in enumerate(parts)
        ):
            return glob
    return None


def find_source(path: Path, roots: Iterable[Root]) -> Source | None:
    """Return the source in the first root that contains the path, spelled as that root is."""
    for root in roots:
        relative = relative_path(path, root.path)
        if relative is not None:
            return Source(root, root.path / relative, "" if relative == "." else relative)
    return None


def files_of(
    source: Source,
    options: IndexOptions,
    *,
    skip: Iterable[Path] = (),
    on_error: OnError | None = None,
) -> Iterator[FoundFile]:
    """Return the files of a source that the options and its root take; see `walk.find_files`."""
    return find_files(
        [source.path],
        include=options.include,
        root_exclude=source.root.exclude,
        below=source.below,
        skip=skip,
        on_error=on_error,
    )


def count_of(
    sources: Iterable[Source],
    options: IndexOptions,
    *,
    skip: Iterable[Path] = (),
    stop: Callable[[], bool] | None = None,
) -> int:
    """Return how many files `files_of` would return for these sources; see `walk.count_files`."""
    return sum(
        count_files(
            [source.path],
            include=options.include,
            root_exclude=source.root.exclude,
            below=source.below,
            skip=skip,
            stop=stop,
        )
        for source in sources
    )


def resolve_paths(sources: Iterable[Path]) -> list[Path]:
    """Return the paths as `resolve_path` does, without duplicates and those inside another of them."""
    paths = [resolve_path(source) for source in sources]
    unique = dict.fromkeys(paths)  # a hash table: thousands of single files may be given
    return [path for path in unique if not any(parent in unique for parent in path.parents)]


def is_folder(path: Path) -> bool:
    """Return whether a resolved source is a folder, or a URL with images below it."""
    if not is_url(path):
        return path.is_dir()
    return is_archive(str(path)) or info(path).is_folder


def resolve_path(source: Path) -> Path:
    """Return the absolute path without symbolic links, or the URL.

    UsageError where it is missing or unreadable, ObjectStorageError for a URL.
    """
    if is_web(source):
        raise UsageError(
            f"{shown(source)} has no folder to list: write addresses into a text file, one a line, "
            "and index that"
        )
    if is_url(source):
        if len(source.parts) < 2:
            raise UsageError(f"{shown(source)} names no bucket: write {shown(source)}BUCKET/FOLDER")
        info(source)
        return source
    try:
        path = existing_path(source).resolve(strict=True)
        required = (
            os.R_OK | os.X_OK if path.is_dir() else 0
        )  # files get an outcome when they are read
        if not os.access(path, required):
            raise UsageError(f"no permission to read {source}: change its permissions")
        return Path(f"file:{path}") if is_archive(str(path)) and path.is_file() else path
    except FileNotFoundError as error:
        raise UsageError(f"no such file or folder: {source}") from error
    except OSError as error:
        raise UsageError(f"cannot read {source}: {error.strerror}") from error
    except RuntimeError as error:  # Python up to 3.12
        raise UsageError(f"cannot read {source}: a symbolic link that leads to itself") from error


def relative_paths(paths: Iterable[str], root: Root) -> list[str]:
    """Return found paths relative to their root, with forward slashes.

    Plain slicing, because this runs for every file.
    """
    start = len(os.path.join(root.path, ""))  # noqa: PTH118
    return [path[start:].replace(os.sep, "/") for path in paths]


def same_file(known: FileState, found: FoundFile) -> bool:
    """Return whether size and modification time, or the ETag, are those in the catalogue."""
    if found.validated:
        return known.inode == found.inode
    return (known.size, known.mtime_ns) == (found.size, found.mtime_ns)


def is_up_to_date(
    known: FileState, found: FoundFile, keys: frozenset[str], options: IndexOptions
) -> bool:
    """Return whether a file needs no work.

    That is, it is unchanged by size and date, and has a vector in every space or is known to fail because
    of its content.
    """
    if not same_file(known, found):
        return False
    if known.outcome is Outcome.INDEXED:
        return keys <= known.spaces
    if known.outcome in (Outcome.UNSUPPORTED, Outcome.SKIPPED) and became_readable(
        known.reason,
        os.path.splitext(found.path)[1],  # noqa: PTH122
    ):
        return False
    return not options.retry_failed and not is_access_failure(known.outcome, known.reason)


class Unreadable:
    """Folders, files and links that the walk could not enter, with the reasons.

    While some may hide images, missing images must not be removed from the library.
    """

    def __init__(self) -> None:
        self.paths: list[tuple[str, str]] = []
        self._broken_links: list[str] = []
        self._vanished = False

    def add(self, path: str, reason: str) -> None:
        """Record a path.

        A broken link hides nothing unless images were known below it. Anything else existed a moment ago,
        so the whole drive may have gone.
        """
        self.paths.append((path, reason))
        if os.path.islink(path):  # noqa: PTH114 - pathlib raises where a path is too long
            self._broken_links.append(path)
        else:
            self._vanished = True

    def may_hide_images(self, writer: IndexWriter, source: Source) -> bool:
        """Return whether known images of the source may still exist though they were not found."""
        inside = os.path.join(source.path, "")  # noqa: PTH118
        links = (link for link in self._broken_links if link.startswith(inside))
        return self._vanished or any(
            writer.sweep(source.root.id, link, dry_run=True)
            for link in relative_paths(links, source.root)
        )
