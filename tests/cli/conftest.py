"""A library that was indexed by the real program."""

import pytest
from tests.cli.program_runner import Album, make_photos, process


@pytest.fixture(scope="session")
def album(tmp_path_factory: pytest.TempPathFactory) -> Album:
    """Return a library that is indexed once; tests must not change it."""
    home = tmp_path_factory.mktemp("home")
    photos = make_photos(home / "photos")
    return Album(home, photos, process("index", "photos", "--extractor", "color,pixels", cwd=home))
