"""The simplest store: everything in dictionaries, for tests and to be read. Nothing is saved."""

from lookalike.stores.memory.store import MemoryStore

__all__ = ["MemoryStore"]
