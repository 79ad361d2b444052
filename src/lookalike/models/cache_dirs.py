"""The folders that hold models on this machine."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def cache_folder() -> Path:
    """Return Lookalike's own cache folder, at the platform's usual place."""
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData/Local") / "lookalike"
    if sys.platform == "darwin":
        return Path.home() / "Library/Caches/lookalike"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lookalike"


def models_folder(chosen: Path | None = None) -> Path:
    """Return the folder that models are read from and downloaded to.

    `chosen`, else the environment variable LOOKALIKE_MODELS, else a folder in the platform's cache.
    """
    if chosen is not None:
        return chosen.expanduser()
    named = os.environ.get("LOOKALIKE_MODELS")
    return Path(named).expanduser() if named else cache_folder() / "models"


def hub_cache() -> Path:
    """Return the cache of Hugging Face's own tools, which is read here but never written."""
    if named := os.environ.get("HF_HUB_CACHE"):
        return Path(named).expanduser()
    home = os.environ.get("HF_HOME")
    return (Path(home).expanduser() if home else Path.home() / ".cache/huggingface") / "hub"


def folder_name(source: str) -> str:
    """Return the name of a repository's folder in a cache, where "/" becomes "--"."""
    return source.replace("/", "--")


def is_offline() -> bool:
    """Return whether HF_HUB_OFFLINE is set, as Hugging Face's tools read it."""
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}
