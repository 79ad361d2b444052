"""Pretrained models as records, the folders they lie in, and how they get there.

Nothing here loads a runtime: listing the models and seeing what is cached costs milliseconds.
"""

from lookalike.models.fetch import Fetching, cached, fetch_files
from lookalike.models.files import ModelFiles, Wanted
from lookalike.models.installed import Stocked, fetch_ahead, fetch_model, installed_models
from lookalike.models.presets import MODELS
from lookalike.models.record import Model

__all__ = [
    "MODELS",
    "Fetching",
    "Model",
    "ModelFiles",
    "Stocked",
    "Wanted",
    "cached",
    "fetch_ahead",
    "fetch_files",
    "fetch_model",
    "installed_models",
]
