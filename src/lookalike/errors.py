"""Every error that Lookalike raises on purpose.

    LookalikeError                 the root: `except LookalikeError` catches them all
    ├── UsageError                 the caller asked for something impossible; the text names the remedy
    │   ├── UnknownExtractor       no extractor has that name; the text lists those that exist
    │   ├── FetchFailed            an image could not be fetched from the web just now
    │   └── MissingExtra           an optional dependency is not installed; the text names the pip command
    ├── ImageError                 one image cannot be used; has its `outcome` and `reason`
    ├── ObjectStorageError         a bucket or an object in it cannot be read or written
    │   └── ObjectMissing          there is none of that name
    └── LibraryError               the library as a whole cannot be used
        ├── NoLibrary              there is no library at that place
        ├── LibraryBusy            another process is writing to it
        ├── LibraryReadOnly        it cannot be written to (permissions, or a read-only medium)
        ├── LibraryTooNew          it was made by a newer version of Lookalike
        ├── LibraryDamaged         its files contradict each other
        └── StorageFull            the disk is full; what was committed before is safe

Messages are for people: one line that names the cause and the remedy.
"""

from __future__ import annotations

import struct
import zlib
from enum import StrEnum

PARSE_ERRORS = (
    *(ValueError, LookupError, TypeError, AttributeError, ArithmeticError, EOFError, RuntimeError),
    *(MemoryError, struct.error, zlib.error),
)
"""The exceptions that parsers of Python and NumPy raise for a malformed file: JSON that is nested too deep,
for example, raises RecursionError (a RuntimeError)."""


class Outcome(StrEnum):
    """Result of indexing a file. Every file has exactly one.

    Skipped are files that are not meant to be searched: no images, or drawings of this program.
    """

    INDEXED = "indexed"
    TOO_SMALL = "too_small"
    TOO_LARGE = "too_large"
    UNSUPPORTED = "unsupported"
    UNREADABLE = "unreadable"
    TRUNCATED = "truncated"
    TIMED_OUT = "timed_out"
    OUT_OF_MEMORY = "out_of_memory"
    MISSING = "missing"
    SKIPPED = "skipped"


FAILED = frozenset(Outcome) - {Outcome.INDEXED, Outcome.SKIPPED}
"""The outcomes of files that could not be indexed."""


class LookalikeError(Exception):
    """The root of all errors that Lookalike raises on purpose."""


class UsageError(LookalikeError):
    """The caller asked for something impossible."""


class UnknownExtractor(UsageError):
    """No extractor has that name."""


class FetchFailed(UsageError):
    """An image could not be fetched from the web just now; it may work again later."""


class MissingExtra(UsageError):
    """An optional dependency is not installed."""


class ImageError(LookalikeError):
    """One image cannot be used.

    `outcome` is what the library stores for the file, `reason` says why in words.
    """

    def __init__(self, outcome: Outcome, reason: str) -> None:
        super().__init__(f"{outcome}: {reason}")
        self.outcome = outcome
        self.reason = reason

    def __reduce__(self) -> tuple[type[ImageError], tuple[Outcome, str]]:
        """Pickle by the two arguments: workers send this error to the main process."""
        return ImageError, (self.outcome, self.reason)


class ObjectStorageError(LookalikeError):
    """A bucket or an object in it cannot be read or written."""


class ObjectMissing(ObjectStorageError):
    """There is no bucket or object of that name."""


class LibraryError(LookalikeError):
    """The library as a whole cannot be used."""


class NoLibrary(LibraryError):
    """There is no library at that place."""


class LibraryBusy(LibraryError):
    """Another process is writing to the library."""


class LibraryReadOnly(LibraryError):
    """The library cannot be written to."""


class LibraryTooNew(LibraryError):
    """The library was made by a newer version of Lookalike."""


class LibraryDamaged(LibraryError):
    """The files of the library contradict each other."""


class StorageFull(LibraryError):
    """The disk is full. What was committed before is safe."""


def error_by_name(name: str, message: str) -> LookalikeError:
    """Return the error that another process reported by its class name.

    `LibraryError` if the name is not that of an error whose only argument is a message.
    """
    kind = globals().get(name)
    if isinstance(kind, type) and issubclass(kind, (UsageError, LibraryError)):
        return kind(message)
    return LibraryError(message)


def raise_interrupt(error: BaseException) -> None:
    """Raise the KeyboardInterrupt behind an error, if there is one.

    Ctrl-C while native code is loaded arrives as an ImportError; treated as one, it would disable that
    code for the rest of the process.
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, KeyboardInterrupt):
            raise cause from None
        cause = cause.__cause__ or cause.__context__
