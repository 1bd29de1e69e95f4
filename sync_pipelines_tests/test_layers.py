"""Imports point one way. The layers are those of the architecture, in order: a module may import what stands
before it, and its own package."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import sync_pipelines

ROOT = Path(sync_pipelines.__file__).parent
ALL = {
    *("errors", "log", "settings", "core", "clients", "progress", "postgres", "flows", "alerts"),
    *("service", "defs", "definitions", "cli"),
}
MAY_IMPORT = {
    "errors": set(),
    "log": set(),
    "settings": {"errors", "log"},
    "core": {"errors", "log"},
    "clients": {"errors", "log"},
    "progress": {"errors", "log"},
    "postgres": {"errors", "log", "core", "progress"},
    "flows": {"errors", "log", "settings", "core", "clients", "progress", "postgres"},
    "alerts": {"errors", "log", "settings", "core", "postgres", "flows"},
    "service": {"errors", "log", "settings", "core", "clients", "progress", "postgres", "flows", "alerts"},
    "defs": {"errors", "log", "settings", "core", "postgres", "flows", "alerts"},
    "definitions": {"defs"},
    "cli": ALL | {"sandbox"},
    "sandbox": set(),
    "__main__": {"cli"},
    "__init__": set(),
}
ORCHESTRATORS = {"dagster", "dagster_postgres", "dagster_webserver", "dagster_graphql"}
STANDARD_LIBRARY_ONLY = {"core", "errors", "log"}


def modules() -> list[Path]:
    return sorted(ROOT.rglob("*.py"))


def layer(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_every_module_belongs_to_a_layer() -> None:
    assert {layer(path) for path in modules()} <= MAY_IMPORT.keys()


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(ROOT)))
def test_a_module_imports_only_the_layers_below_it(path: Path) -> None:
    here = layer(path)
    for name in imported(path):
        parts = name.split(".")
        if parts[0] == "sync_pipelines" and len(parts) > 1 and parts[1] != "__version__":
            assert parts[1] in MAY_IMPORT[here] | {here}, f"{here} imports {name}"


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(ROOT)))
def test_only_the_dagster_layer_imports_dagster(path: Path) -> None:
    if layer(path) not in ("defs", "definitions"):
        assert not ORCHESTRATORS & {name.split(".")[0] for name in imported(path)}


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(ROOT)))
def test_the_core_needs_the_standard_library_only(path: Path) -> None:
    import sys

    if layer(path) in STANDARD_LIBRARY_ONLY:
        foreign = {name.split(".")[0] for name in imported(path)} - sys.stdlib_module_names - {"sync_pipelines"}
        assert not foreign


@pytest.mark.parametrize("path", [p for p in modules() if layer(p) == "defs"], ids=lambda p: p.name)
def test_dagster_can_read_the_annotations_of_its_definitions(path: Path) -> None:
    assert "from __future__ import annotations" not in path.read_text().split('"""', 2)[-1]
