"""Pretrained models as records, the folders they lie in, and how they get there.

Nothing here loads a runtime: listing the models and seeing what is cached costs milliseconds.
"""

from lookalike.models.files import ModelFiles, Wanted
from lookalike.models.obtain import Fetching, cached, obtain
from lookalike.models.presets import MODELS
from lookalike.models.record import Model
from lookalike.models.stock import Stocked, fetch_ahead, fetch_model, stock

__all__ = [
    "MODELS",
    "Fetching",
    "Model",
    "ModelFiles",
    "Stocked",
    "Wanted",
    "cached",
    "fetch_ahead",
    "fetch_model",
    "obtain",
    "stock",
]
