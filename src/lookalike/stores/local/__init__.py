"""The store in a folder: SQLite and memory-mapped files."""
