"""The number of processor cores that this process may use."""

from __future__ import annotations

import math
import os
from pathlib import Path

_TOPOLOGY = Path("/sys/devices/system/cpu")

_NO_QUOTA = 1 << 16
"""Stands for "no limit": more cores than any machine has."""


def logical_cores() -> int:
    """Return how many hardware threads this process may use, at least 1.

    Affinity (`taskset`) and a container's quota count. Use it for work that profits from
    hyper-threading, such as decoding in worker processes.
    """
    return max(1, min(len(_allowed()), _quota()))


def physical_cores() -> int:
    """Return how many physical cores this process may use, at least 1.

    Like `logical_cores`, but the two threads of one core count once, because they share the units
    that a neural network keeps busy.
    """
    return max(1, min(len({_first_sibling(cpu) for cpu in _allowed()}), _quota()))


def _allowed() -> set[int]:
    if hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    return set(range(os.cpu_count() or 1))  # macOS and Windows have no affinity to ask for


def _first_sibling(cpu: int) -> int:
    """Return the lowest-numbered thread of the core that `cpu` is a thread of."""
    try:
        text = (_TOPOLOGY / f"cpu{cpu}/topology/thread_siblings_list").read_text()
        return int(text.replace("-", ",").split(",")[0])
    except (OSError, ValueError):
        return cpu


def _quota() -> int:
    """Return the cores that the container's quota allows (cgroup 2, then 1)."""
    try:
        limit, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
    except (OSError, ValueError):
        try:
            cpu = Path("/sys/fs/cgroup/cpu")
            limit = (cpu / "cpu.cfs_quota_us").read_text().strip()
            period = (cpu / "cpu.cfs_period_us").read_text().strip()
        except OSError:
            return _NO_QUOTA
    if not limit.isdigit() or not int(limit):
        return _NO_QUOTA
    return max(1, math.ceil(int(limit) / int(period)))
