"""How many processors work may keep busy here."""

from __future__ import annotations

import math
import os
from pathlib import Path

_TOPOLOGY = Path("/sys/devices/system/cpu")


def usable_cores() -> int:
    """Physical cores that this process may use, at least 1.

    The affinity of the process and the quota of its container count; the two threads of one core
    count once, because they share the units that a network keeps busy.
    """
    try:
        allowed = os.sched_getaffinity(0)
    except AttributeError:  # macOS and Windows have no affinity to ask for
        return max(1, os.cpu_count() or 1)
    siblings = {_first_sibling(cpu) for cpu in allowed}
    return max(1, min(len(siblings), _quota()))


def _first_sibling(cpu: int) -> int:
    """The lowest-numbered thread of the core that `cpu` is a thread of."""
    try:
        text = (_TOPOLOGY / f"cpu{cpu}/topology/thread_siblings_list").read_text()
        return int(text.replace("-", ",").split(",")[0])
    except (OSError, ValueError):
        return cpu


def _quota() -> int:
    """Processors that the container's quota allows (cgroup 2, then 1)."""
    try:
        limit, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
    except (OSError, ValueError):
        try:
            cpu = Path("/sys/fs/cgroup/cpu")
            limit = (cpu / "cpu.cfs_quota_us").read_text().strip()
            period = (cpu / "cpu.cfs_period_us").read_text().strip()
        except OSError:
            return 1 << 16
    if not limit.isdigit() or not int(limit):
        return 1 << 16
    return max(1, math.ceil(int(limit) / int(period)))
