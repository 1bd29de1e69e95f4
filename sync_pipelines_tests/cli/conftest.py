import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sync_pipelines.sandbox.webtolearn import Platform
from sync_pipelines_tests.cli.commands import COMMAND, Run


@pytest.fixture
def clean_environment(tmp_path: Path) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "SYNC_HOME": str(tmp_path / "home")}


@pytest.fixture
def cli(clean_environment: dict[str, str]) -> Run:
    def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        env = clean_environment | environment
        return subprocess.run([*COMMAND, *arguments], env=env, capture_output=True, text=True, check=False)

    return run


@pytest.fixture
def wtl(serve: Callable[[Any], str], database_url: str) -> Callable[..., dict[str, str]]:
    """The environment that points at a platform and at the test's database."""

    def environment(platform: Platform) -> dict[str, str]:
        platform.limit_minute = platform.limit_hour = 10**9
        return {
            "WTL_API_URL": serve(platform),
            "WTL_API_TOKEN": platform.token,
            "SYNC_DATABASE_URL": database_url,
        }

    return environment
