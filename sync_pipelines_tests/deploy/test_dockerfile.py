"""What the image is made of: nothing of it needs an engine to be looked at."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from sync_pipelines_tests.deploy.compose import PROJECT, services

TEXT = (PROJECT / "Dockerfile").read_text()
LAST_STAGE = TEXT.rpartition("\nFROM ")[2]


def test_the_linter_of_dockerfiles_finds_nothing() -> None:
    linter = Path(sys.executable).parent / "hadolint"
    done = subprocess.run([linter, PROJECT / "Dockerfile"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_both_stages_stand_on_one_exact_release_of_python() -> None:
    first, second = re.findall(r"^FROM (\S+)", TEXT, re.MULTILINE)
    assert first == second
    assert re.fullmatch(r"python:3\.\d+\.\d+-slim-[a-z]+", first)


def test_what_is_installed_is_what_the_lock_names_hash_by_hash() -> None:
    commands = re.findall(r"(?:uv )?pip install .*(?:\\\n.*)*", TEXT.replace(" \\\n &&", "\n"))
    for command in commands:
        is_ours = re.search(r"--no-deps /dist/", command)
        assert is_ours or "--require-hashes" in command, command
    assert "uv build --wheel --require-hashes --build-constraints requirements.lock" in TEXT


def test_uv_itself_can_be_cut_from_the_lock_with_its_hashes() -> None:
    (script,) = re.findall(r"sed -n '(.*)' requirements\.lock", TEXT)
    done = subprocess.run(["sed", "-n", script, PROJECT / "requirements.lock"], capture_output=True, text=True)
    first, *rest = done.stdout.splitlines()
    assert re.match(r"uv==[\d.]+ ", first)
    assert rest
    assert all(line.lstrip().startswith(("--hash=sha256:", "# via")) for line in rest)


def test_the_last_stage_builds_nothing_and_is_nobody_of_importance() -> None:
    assert "pip install" not in LAST_STAGE
    assert "apt-get" not in LAST_STAGE
    (user,) = re.findall(r"^USER (\S+)", LAST_STAGE, re.MULTILINE)
    assert {service.said["user"] for service in services() if service.ours} == {user}
    assert f"--uid {user.split(':')[0]} " in LAST_STAGE
    assert 'ENTRYPOINT ["sync-pipelines"]' in LAST_STAGE


@pytest.mark.parametrize(
    "source",
    [
        name
        for names in re.findall(r"^COPY ((?:[\w./-]+ )+)\S+$", TEXT, re.MULTILINE)
        for name in names.split()
        if name != "."
    ],
)
def test_what_is_copied_is_there_and_let_into_the_build(source: str) -> None:
    assert (PROJECT / source).exists()
    assert f"!{source}" in (PROJECT / ".dockerignore").read_text().splitlines()


def test_what_the_wheel_is_built_from_is_let_into_the_build() -> None:
    let_in = {line[1:] for line in (PROJECT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert let_in >= {"sync_pipelines", "pyproject.toml", "README.md", "LICENSE", "dagster.yaml", "workspace.yaml"}
