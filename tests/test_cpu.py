"""The number of cores respects the affinity of the process."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from lookalike.cpu import logical_cores, physical_cores


def test_there_are_at_least_as_many_logical_as_physical_cores() -> None:
    assert 1 <= physical_cores() <= logical_cores() <= (os.cpu_count() or 1)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity on this system")
def test_a_process_bound_to_one_core_counts_one() -> None:
    code = (
        "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
        "from lookalike.cpu import logical_cores, physical_cores\n"
        "print(logical_cores(), physical_cores())"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "1 1\n"
