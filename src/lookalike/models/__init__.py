"""Pretrained models: known records, the folders that hold them, and how they are fetched.

Nothing here loads a runtime: listing the models and inspecting the caches takes milliseconds.
"""

from lookalike.models.fetch import FetchProgress, fetch_files, find_cached
from lookalike.models.files import FileSpec, ModelFiles
from lookalike.models.presets import MODELS, Model
from lookalike.models.spec import InstalledModel, fetch_model, installed_models, prefetch

__all__ = [
    "MODELS",
    "FetchProgress",
    "FileSpec",
    "InstalledModel",
    "Model",
    "ModelFiles",
    "fetch_files",
    "fetch_model",
    "find_cached",
    "installed_models",
    "prefetch",
]
