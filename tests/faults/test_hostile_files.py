"""Whatever a file or a text holds, its reader accepts it or refuses it with the errors that it documents.

`tests.faults.fuzz` makes the inputs; INPUTS is their number over all targets in `make torture`.
"""

from __future__ import annotations

import os
import sys

import pytest
from tests.faults.fuzz import run
from tests.faults.fuzz_targets import TARGETS, target_of

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits processes as Linux does")

INPUTS = int(os.environ.get("INPUTS", "1000000"))
FEW = 60


@pytest.mark.parametrize("name", TARGETS)
def test_no_input_breaks_a_reader(name: str) -> None:
    target = target_of(name)
    count = len(target.seeds) + (FEW if target.share >= 0.2 else 6)
    found = run(target, 0, count)
    assert found.faults == {}
    assert found.tried == count


@pytest.mark.torture
@pytest.mark.parametrize("name", TARGETS)
def test_no_input_of_a_million_breaks_a_reader(name: str) -> None:
    shares = {one: target_of(one).share for one in TARGETS}
    found = run(target_of(name), 0, round(INPUTS * shares[name] / sum(shares.values())))
    print(f"{name}: {found.tried} tried, {found.refused} refused, {found.contained} contained")
    assert found.faults == {}
