"""Every error that Lookalike raises on purpose.

    LookalikeError                 the root: `except LookalikeError` catches them all
    ├── UsageError                 the caller asked for something impossible; the text names the remedy
    │   ├── UnknownExtractor       no extractor of that name; the text lists the known ones
    │   └── MissingExtra           an optional dependency is not installed; the text names the pip command
    ├── ImageError                 one picture cannot be used; carries its `outcome` and `reason`
    └── LibraryError               the library as a whole cannot be used as asked
        ├── NoLibrary              there is none where one was looked for
        ├── LibraryBusy            another process is writing to it
        ├── LibraryReadOnly        it cannot be written to (permissions, or a read-only medium)
        ├── LibraryTooNew          it was made by a newer Lookalike
        ├── LibraryDamaged         its files contradict each other
        └── StorageFull            the disk is full; what was committed before is safe

Messages are for people: one line that names the cause and the remedy.
"""

from __future__ import annotations

from enum import StrEnum


class Outcome(StrEnum):
    """What became of one file when it was indexed. Every file has exactly one."""

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
    """The root of all errors that Lookalike raises on purpose."""


class UsageError(LookalikeError):
    """The caller asked for something impossible."""


class UnknownExtractor(UsageError):
    """No extractor has that name."""


class MissingExtra(UsageError):
    """An optional dependency is not installed."""


class ImageError(LookalikeError):
    """One picture cannot be used.

    `outcome` is what the iter_files stores, `reason` says why in words.
    """

    def __init__(self, outcome: Outcome, reason: str) -> None:
        super().__init__(f"{outcome}: {reason}")
        self.outcome = outcome
        self.reason = reason

    def __reduce__(self) -> tuple[type[ImageError], tuple[Outcome, str]]:
        """By its two arguments: it may have to travel from a worker."""
        return ImageError, (self.outcome, self.reason)


class LibraryError(LookalikeError):
    """The library as a whole cannot be used as asked."""


class NoLibrary(LibraryError):
    """There is no library where one was looked for."""


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


def named(name: str, sentence: str) -> LookalikeError:
    """The error of that name, as another process told it; `LibraryError` where it is none of those that
    have nothing but a sentence."""
    kind = globals().get(name)
    if isinstance(kind, type) and issubclass(kind, (UsageError, LibraryError)):
        return kind(sentence)
    return LibraryError(sentence)


def raise_interrupt(error: BaseException) -> None:
    """Raises the KeyboardInterrupt behind an error, if there is one: Ctrl-C while native code is loaded
    arrives as an ImportError, and is no reason to do without that code from then on."""
    behind: BaseException | None = error
    while behind is not None:
        if isinstance(behind, KeyboardInterrupt):
            raise behind from None
        behind = behind.__cause__ or behind.__context__
