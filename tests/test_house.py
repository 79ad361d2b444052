"""The plan of the house, enforced: floors, names, public names."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import lookalike

SOURCE = Path(lookalike.__file__).parent

FLOORS = [
    {"lookalike", "lookalike.errors", "lookalike.processors", "lookalike.settling"},
    {"lookalike.vectors"},
    {"lookalike.images", "lookalike.models"},
    {"lookalike.extractors"},
    {"lookalike.stores"},
    {"lookalike.query"},
    {
        "lookalike.indexing",
        "lookalike.searching",
        "lookalike.duplicates",
        "lookalike.thumbnails",
    },
    {"lookalike.library"},
    {
        "lookalike.datasets",
        "lookalike.evaluation",
        "lookalike.training",
        "lookalike.explaining",
        "lookalike.atlas",
    },
    {
        "lookalike.plots",
        "lookalike.charts",
        "lookalike.reports",
        "lookalike.figures",
        "lookalike.web",
        "lookalike.client",
    },
    {"lookalike.cli", "lookalike.__main__"},
]

BANNED = {"utils", "helpers", "common", "core", "base", "manager", "handler", "service", "misc"}


def modules() -> Iterator[tuple[str, ast.Module]]:
    for file in sorted(SOURCE.rglob("*.py")):
        parts = file.relative_to(SOURCE.parent).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        yield name, ast.parse(file.read_text(encoding="utf-8"))


def floor(module: str) -> int:
    room = ".".join(module.split(".")[:2])
    for number, rooms in enumerate(FLOORS):
        if room in rooms:
            return number
    raise AssertionError(f"{module} is on no floor of tests/test_house.py")


def imports(tree: ast.Module) -> Iterator[str]:
    """What a module imports when it is imported or used; type-checking imports count too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


@pytest.mark.parametrize(
    ("name", "tree"), list(modules()), ids=lambda value: value if isinstance(value, str) else ""
)
def test_a_module_imports_only_from_its_own_floor_or_below(name: str, tree: ast.Module) -> None:
    if name == "lookalike":  # the front door: names every floor, imports them on use
        return
    above = [
        other
        for other in imports(tree)
        if other.startswith("lookalike.") and floor(other) > floor(name)
    ]
    assert not above, f"{name} imports from above: {above}"


def test_no_file_and_no_class_has_a_name_that_says_nothing() -> None:
    files = [name for name, _ in modules() if BANNED & set(name.split("."))]
    classes = [
        f"{name}.{node.name}"
        for name, tree in modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and node.name.lower().endswith(tuple(BANNED))
    ]
    assert not files + classes


def test_every_public_name_exists_and_the_list_is_sorted() -> None:
    names = lookalike.__all__
    assert names == sorted(names)
    for name in names:
        assert getattr(lookalike, name) is not None
