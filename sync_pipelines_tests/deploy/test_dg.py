"""Dagster's newer command line, for those who use it: it finds the project by pyproject.toml."""

import json
import os
import subprocess
import sys
from pathlib import Path

from sync_pipelines.flows.registry import FLOWS, PARTITIONED_FLOWS
from sync_pipelines_tests.deploy.compose import PROJECT


def dg(*words: str) -> subprocess.CompletedProcess[str]:
    programs = Path(sys.executable).parent
    environment = {
        "PATH": os.pathsep.join([str(programs), os.environ["PATH"]]),
        "HOME": str(Path.cwd()),
        "SYNC_HOME": str(Path.cwd() / "home"),
    }
    return subprocess.run(
        [programs / "dg", *words], cwd=PROJECT, env=environment, capture_output=True, text=True, check=False
    )


def test_dg_checks_the_definitions() -> None:
    done = dg("check", "defs")
    assert done.returncode == 0, done.stdout + done.stderr


def test_dg_lists_the_assets_of_all_flows() -> None:
    done = dg("list", "defs", "--json")
    assert done.returncode == 0, done.stderr
    listed = {asset["asset_key"] for asset in json.loads(done.stdout)["assets"]}
    assert listed >= {f.stream for f in FLOWS} | {stream for f in PARTITIONED_FLOWS for stream in f.streams}
