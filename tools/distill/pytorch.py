"""The only import of PyTorch, so that its absence is reported once, with the remedy."""

try:
    import torch
    from torch import nn
except ModuleNotFoundError as error:  # pragma: no cover - without the extra
    raise ModuleNotFoundError(
        "training needs PyTorch: pip install 'lookalike[training]'"
    ) from error

__all__ = ["nn", "torch"]


def fast_bfloat16() -> bool:
    """Return whether this machine multiplies matrices of bfloat16 in hardware (AMX)."""
    supported = getattr(torch.cpu, "_is_amx_tile_supported", None)
    return bool(supported is not None and supported())
