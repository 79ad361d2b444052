"""Formats numbers for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lookalike.vectors.pca import Projection


def number(value: int) -> str:
    """Return 1204 as "1,204"."""
    return f"{value:,}"


def counted(value: int, thing: str, things: str | None = None) -> str:
    """Return "1 image" for (1, "image") and "0 images" for (0, "image")."""
    return f"{number(value)} {thing if value == 1 else things or thing + 's'}"


def duration(seconds: float) -> str:
    """Return a duration in a suitable unit: "4 ms", "12.3 s", "7 min", "2 h 05 min"."""
    if seconds < 0.0995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 99.5:
        return f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def rate(value: float) -> str:
    """Return a rate per second: "6.6", "66", "1,204"."""
    return f"{value:.1f}" if value < 9.95 else f"{value:,.0f}"


def retained(projection: Projection) -> str:
    """Describe a PCA projection: dimensions kept and variance retained."""
    return (
        f"{number(projection.kept)} of {number(projection.input_dim)} dimensions are kept; they retain "
        f"{projection.retained:.1%} of the variance"
    )


def similarity(value: float) -> str:
    """Return a similarity with three decimals; never "-0.000"."""
    return f"{round(value, 3) + 0.0:.3f}"


def size(bytes_: float) -> str:
    """Return a size in decimal units, as file managers show it: "23 MB", "1.4 GB"."""
    units = ["bytes", "KB", "MB", "GB", "TB"]
    while bytes_ >= 999.5 and len(units) > 1:
        bytes_ /= 1000
        del units[0]
    whole = units[0] == "bytes" or bytes_ >= 9.95
    return f"{bytes_:,.0f} {units[0]}" if whole else f"{bytes_:.1f} {units[0]}"
