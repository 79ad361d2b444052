"""The store in a folder: SQLite and memory-mapped files."""

from lookalike.stores.local.store import LocalStore

__all__ = ["LocalStore"]
