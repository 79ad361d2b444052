"""Fixtures for all tests: a toy extractor, real images outside the repository, and a browser."""

from __future__ import annotations

import atexit
import gc
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import numpy as np
import pytest

from lookalike.extractors.interface import RunsIn, Vectors
from lookalike.images.pixel_spec import Pixels, PixelSpec
from lookalike.models.files import cache_folder, models_folder
from lookalike.vectors.similarity import Similarity
from lookalike.workers import worker_process

if TYPE_CHECKING:
    from playwright.sync_api import Browser

# The shell is what Playwright takes, too: it draws pages as Chromium does, without a window's work.
CHROMIUM = shutil.which("chromium-headless-shell") or shutil.which("chromium")
CHROMIUM_FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]

# The same examples in every run, so that a test does not fail without a change.
hypothesis.settings.register_profile("deterministic", derandomize=True)
hypothesis.settings.load_profile("deterministic")


class MeanColour:
    """Mean red, green and blue from 0 to 1, so that expected vectors can be computed in the head."""

    name = "mean-colour"
    revision = "1"
    dim = 3
    similarity: Similarity = "cosine"
    pixels = PixelSpec(mode="rgb", fit="any", min_side=8)
    runs_in: RunsIn = "main"

    def extract(self, images: Sequence[Pixels]) -> Vectors:
        means = [image.reshape(-1, 3).mean(axis=0) / 255 for image in images]
        return np.array(means, np.float32).reshape(len(images), 3)


# Files of tests in memory, where there is room: on a disk, a quarter of the time is waiting for fsync.
MEMORY = Path("/dev/shm")
if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > 4 << 30:
    tempfile.tempdir = os.environ.setdefault("TMPDIR", str(MEMORY))


def use_own_cache() -> None:
    """Keep what tests remember of their files out of the user's cache; other programs keep theirs."""
    usual = cache_folder().parent
    own = Path(tempfile.mkdtemp(prefix="lookalike-tests-"))
    atexit.register(shutil.rmtree, own, ignore_errors=True)
    for place in usual.iterdir() if usual.is_dir() else ():
        if place.name != "lookalike":
            (own / place.name).symlink_to(place)
    os.environ.setdefault("LOOKALIKE_MODELS", str(models_folder()))
    os.environ["XDG_CACHE_HOME"] = str(own)


# Workers of pytest-xdist inherit it.
if sys.platform == "linux" and "PYTEST_XDIST_WORKER" not in os.environ:
    use_own_cache()

# As in a server: the next test that indexes a few images need not start workers again.
worker_process.keep(
    2, ignored=["PYTEST_CURRENT_TEST", "COLUMNS", "LOOKALIKE_LIBRARY", "HOME", "XDG_DATA_HOME"]
)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let pytest-xdist run the tests of a file in one process, which makes their fixtures once."""
    for item in items:
        if _group(item) is None:
            item.add_marker(pytest.mark.xdist_group(f"{item.path.parent.name}/{item.path.stem}"))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Look for no garbage among the thousands of tests, neither now nor later."""
    gc.disable()
    result = yield
    gc.freeze()
    gc.enable()
    return result


def pytest_sessionfinish() -> None:
    """End the database server: workers of pytest-xdist may be killed before they do so at their exit."""
    if (module := sys.modules.get("tests.stores.postgres_server")) is not None:
        module.stop()


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """End the Milvus server after the last test of its group: it uses a tenth of a core when idle.

    Without pytest-xdist the tests of the group are spread among the others.
    """
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return
    if _group(item) == "milvus" and (nextitem is None or _group(nextitem) != "milvus"):
        sys.modules["tests.stores.milvus_server"].stop()


def _group(item: pytest.Item) -> object:
    marker = item.get_closest_marker("xdist_group")
    return None if marker is None else marker.args[0]


@pytest.fixture
def toy() -> MeanColour:
    """Return an extractor of three numbers: the mean colour."""
    return MeanColour()


@pytest.fixture(scope="session")
def toy_class() -> type[MeanColour]:
    """Return the class of `toy`, for tests that create their own."""
    return MeanColour


@pytest.fixture(scope="session")
def shared_folder() -> Path:
    """Return the folder of real images; skip the test where there is none."""
    setting = os.environ.get("LOOKALIKE_SHARED")
    folder = Path(setting) if setting else Path(__file__).parents[2] / "shared"
    if not (folder / "data").is_dir():
        pytest.skip(
            f"no real images in {folder}: set LOOKALIKE_SHARED to the folder that contains data/"
        )
    return folder


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Start Chromium, once for all tests: Playwright cannot run twice in a thread."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed (Debian's package `chromium-headless-shell`)")
    with playwright.sync_playwright() as run:
        browser = run.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_FLAGS)
        yield browser
        browser.close()
