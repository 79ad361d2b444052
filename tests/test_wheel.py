"""The built wheel, installed into a fresh environment, does the main job."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest
from tests.library.image_builders import album, draw

ROOT = Path(__file__).parents[1]


def build(folder: Path) -> Path:
    """Build the wheel from a copy of the sources, so that nothing is left in the tree."""
    (folder / "docs").mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE", "NOTICE", "docs/lookalike.1"):
        shutil.copy(ROOT / name, folder / name)
    skipped = shutil.ignore_patterns("__pycache__", "*.egg-info")
    source, target = ROOT / "src", folder / "src"
    shutil.copytree(source, target, ignore=skipped, copy_function=shutil.copy)  # dated now
    script = "from setuptools import build_meta as b; print(b.build_wheel('.'))"
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=folder,
        env={**os.environ, "SOURCE_DATE_EPOCH": "1700000000"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return folder / done.stdout.splitlines()[-1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("wheel"))


def test_a_second_build_gives_the_same_bytes(wheel: Path, tmp_path: Path) -> None:
    assert build(tmp_path).read_bytes() == wheel.read_bytes()


def test_the_wheel_holds_the_package_its_data_and_nothing_else(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith((".dist-info", ".data"))} == {"lookalike"}
    others = {name.partition(".data/data/")[2] for name in names if ".data/" in name}
    assert others == {"share/man/man1/lookalike.1"}
    packaged = {name for name in names if name.startswith("lookalike/")}
    sources = {
        file.relative_to(ROOT / "src").as_posix()
        for file in (ROOT / "src" / "lookalike").rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    assert packaged == sources


def test_the_wheel_indexes_and_searches_in_a_fresh_environment(wheel: Path, tmp_path: Path) -> None:
    environment = tmp_path / "environment"
    venv.create(environment, with_pip=False)
    python = environment / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    paths = sysconfig.get_paths(vars={"base": str(environment), "platbase": str(environment)})
    packages = Path(paths["purelib"])
    zipfile.ZipFile(wheel).extractall(packages)
    # The dependencies come from this environment; the package itself only from the wheel.
    (packages / "dependencies.pth").write_text(str(Path(pytest.__file__).parents[1]))
    photos = album(tmp_path / "photos", 12)
    draw(photos / "cat.jpg", 3)

    def lookalike(*arguments: str) -> str:
        done = subprocess.run(
            [python, "-m", "lookalike", *arguments],
            cwd=photos,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert lookalike("--version").startswith("lookalike")
    lookalike("index", ".")
    assert "odd/003.jpg" in lookalike("search", "cat.jpg", "--format", "paths").splitlines()[:2]
    where = "import lookalike; print(lookalike.__file__)"
    found = subprocess.run([python, "-c", where], capture_output=True, text=True, check=True)
    assert Path(found.stdout.strip()).is_relative_to(environment)
