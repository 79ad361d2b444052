"""Layers, import cycles, names of files and classes, and the public names of the package."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import lookalike

SOURCE = Path(lookalike.__file__).parent

# From bottom to top; a module imports only from its own layer and those above it in this list.
LAYERS = [
    {"lookalike", "errors", "field_options", "files", "object_storage", "cpu"},
    {"catalogue"},  # stands alone: it imports nothing of the others
    {"vectors"},
    {"workers"},
    {"images"},
    {"models"},
    {"extractors"},
    {"ann"},
    {"stores"},
    {"thumbnails"},
    {"query"},
    {"feedback"},
    {"search"},
    {"duplicates"},
    {"indexing"},
    {"library"},
    {"embedding_map"},
    {"explain"},
    {"evaluation"},
    {"metric_learning"},
    {"viz"},
    {"wire"},
    {"client"},
    {"server"},
    {"cli", "__main__"},
]

BANNED = {"utils", "helpers", "common", "core", "base", "manager", "handler", "service", "misc"}


@cache
def modules() -> dict[str, ast.Module]:
    """Return every module of the package, by dotted name."""
    found = {}
    for file in sorted(SOURCE.rglob("*.py")):
        parts = file.relative_to(SOURCE.parent).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name] = ast.parse(file.read_text(encoding="utf-8"))
    return found


def layer(module: str) -> int:
    package = [*module.split("."), "lookalike"][1]
    for number, packages in enumerate(LAYERS):
        if package in packages:
            return number
    raise AssertionError(f"{module} is in no layer of tests/test_layers.py")


@cache
def imports(name: str) -> frozenset[str]:
    """Return what a module imports when it is imported, used or type-checked."""
    return frozenset(_imports(modules()[name]))


def _imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                yield node.module  # a package runs before its modules
                if (submodule := f"{node.module}.{alias.name}") in modules():
                    yield submodule
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def test_a_module_imports_only_from_its_own_layer_or_below() -> None:
    above = [
        f"{name} imports {other} from a higher layer"
        for name in modules()
        if name != "lookalike"
        for other in sorted(imports(name))
        if other.startswith("lookalike.") and layer(other) > layer(name)
    ]
    assert not above, "\n".join(above)


def test_no_two_modules_import_each_other() -> None:
    """Imports inside functions count, too: a cycle is a cycle even where Python gets away with it."""
    graph = {
        name: {other for other in imports(name) if other in modules() and other != name}
        for name in modules()
        if name != "lookalike"
    }
    state: dict[str, str] = {}
    cycles: list[str] = []

    def visit(name: str, path: list[str]) -> None:
        state[name] = "open"
        for other in sorted(graph.get(name, ())):
            if state.get(other) == "open":
                cycles.append(" -> ".join([*path[path.index(other) :], other]))
            elif other not in state:
                visit(other, [*path, other])
        state[name] = "done"

    for name in graph:
        if name not in state:
            visit(name, [name])
    assert not cycles, "\n".join(cycles)


def test_no_file_and_no_class_has_a_meaningless_name() -> None:
    files = [name for name in modules() if BANNED & set(name.split("."))]
    classes = [
        f"{name}.{node.name}"
        for name, tree in modules().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and node.name.lower().endswith(tuple(BANNED))
    ]
    assert not files + classes


def test_every_public_name_exists_and_the_list_is_sorted() -> None:
    names = lookalike.__all__
    assert names == sorted(names)
    for name in names:
        assert getattr(lookalike, name) is not None
    assert [name for name in dir(lookalike) if not name.startswith("__")] == names
