"""Set-up for the tests of worker processes."""

from __future__ import annotations

import sys
from pathlib import Path

# Workers import `tests.workers.pool_tasks`, however pytest was started.
sys.path.insert(0, str(Path(__file__).parents[2]))
