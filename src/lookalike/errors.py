"""Exceptions of Lookalike.

    LookalikeError                 base class of all of them
    ├── UsageError                 the request is invalid; the message names the remedy
    │   ├── UnknownExtractor       no extractor has that name; the message lists the known ones
    │   └── MissingExtra           an optional dependency is not installed; the message has the pip command
    ├── ImageError                 one image cannot be used; has an `outcome` and a `reason`
    └── LibraryError               the library cannot be used as requested
        ├── NoLibrary              there is no library at that place
        ├── LibraryBusy            another process is writing to the library
        ├── LibraryReadOnly        the library cannot be written to (permissions, read-only medium)
        ├── LibraryTooNew          the library was made by a newer version of Lookalike
        ├── LibraryDamaged         the files of the library contradict each other
        └── StorageFull            the disk is full; what was committed before is safe

Messages are one line that names the cause and the remedy.
"""

from __future__ import annotations

from enum import StrEnum


class Outcome(StrEnum):
    """The result of indexing one file. Every file has exactly one."""

    INDEXED = "indexed"
    TOO_SMALL = "too_small"
    TOO_LARGE = "too_large"
    UNSUPPORTED = "unsupported"
    UNREADABLE = "unreadable"
    TRUNCATED = "truncated"
    TIMED_OUT = "timed_out"
    OUT_OF_MEMORY = "out_of_memory"
    MISSING = "missing"


class LookalikeError(Exception):
    """Base class of all errors that Lookalike raises on purpose."""


class UsageError(LookalikeError):
    """The request is invalid."""


class UnknownExtractor(UsageError):
    """No extractor has that name."""


class MissingExtra(UsageError):
    """An optional dependency is not installed."""


class ImageError(LookalikeError):
    """One image cannot be used.

    `outcome` is stored for its file; `reason` explains it in a sentence.
    """

    def __init__(self, outcome: Outcome, reason: str) -> None:
        super().__init__(f"{outcome}: {reason}")
        self.outcome = outcome
        self.reason = reason

    def __reduce__(self) -> tuple[type[ImageError], tuple[Outcome, str]]:
        """Pickle by the two arguments, since workers send this error to their parent."""
        return ImageError, (self.outcome, self.reason)


class LibraryError(LookalikeError):
    """The library cannot be used as requested."""


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
    """Recreate an error that another process reported by class name and message.

    LibraryError if the class is unknown or takes more than a message.
    """
    kind = globals().get(name)
    if isinstance(kind, type) and issubclass(kind, (UsageError, LibraryError)):
        return kind(message)
    return LibraryError(message)


def raise_interrupt(error: BaseException) -> None:
    """Raise the KeyboardInterrupt that caused an error, if any.

    Ctrl-C while native code is loaded arrives as an ImportError, which must not be taken for a missing
    module.
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, KeyboardInterrupt):
            raise cause from None
        cause = cause.__cause__ or cause.__context__
