"""What docker-compose.yml promises: nothing of it needs an engine to be looked at."""

import re
import subprocess
import sys
from typing import get_args

import pytest
import yaml
from pydantic import SecretStr

from sync_pipelines import __version__
from sync_pipelines.settings import Settings
from sync_pipelines_tests.deploy.compose import PROJECT, Service, compose_file, in_order, services

ALL = pytest.mark.parametrize("service", services(), ids=lambda service: service.name)
LONG_RUNNING = pytest.mark.parametrize(
    "service", [service for service in services() if not service.ends_by_itself], ids=lambda service: service.name
)
SECRETS = {str(f.validation_alias) for f in Settings.model_fields.values() if SecretStr in get_args(f.annotation)}


def test_the_file_is_what_the_specification_of_compose_allows() -> None:
    command = ["check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(PROJECT / "docker-compose.yml")]
    done = subprocess.run([sys.executable, "-m", *command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@ALL
def test_an_image_is_this_version_or_one_release_of_another(service: Service) -> None:
    image = service.said["image"]
    assert image == f"sync-pipelines:{__version__}" or re.fullmatch(r"[a-z]+:\d+\.\d+(\.\d+)?-[a-z]+", image)


@ALL
def test_a_service_can_do_no_more_than_it_must(service: Service) -> None:
    said = service.said
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", said["user"]), "root"
    assert said["read_only"] is True
    assert said["cap_drop"] == ["ALL"]
    assert said["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in said
    assert said["init"] is True
    assert set(said["deploy"]["resources"]["limits"]) == {"cpus", "memory", "pids"}
    assert {"max-size", "max-file"} <= set(said["logging"]["options"])


@LONG_RUNNING
def test_a_service_is_asked_how_it_is_and_started_again_when_it_ends(service: Service) -> None:
    assert service.said["restart"] == "unless-stopped"
    assert service.health_check
    assert {"interval", "timeout", "retries", "start_period"} <= set(service.said["healthcheck"])


@ALL
def test_a_service_starts_once_what_it_needs_is_there(service: Service) -> None:
    there = {other.name: other for other in services()}
    for name, condition in service.waits_for.items():
        ends = there[name].ends_by_itself
        assert condition == ("service_completed_successfully" if ends else "service_healthy")
    assert service in in_order(services())


@ALL
def test_a_port_is_open_to_this_machine_alone(service: Service) -> None:
    assert all(port.startswith("127.0.0.1:") for port in service.said.get("ports", []))


@ALL
def test_a_secret_comes_in_a_file_and_to_those_alone_who_read_it(service: Service) -> None:
    environment = service.said.get("environment", {})
    assert not SECRETS & environment.keys()
    read = {value for name, value in environment.items() if name.endswith("_FILE")}
    assert read == {f"/run/secrets/{name}" for name in service.said.get("secrets", [])}
    if service.ours:
        assert {name.removesuffix("_FILE") for name in environment if name.endswith("_FILE")} <= SECRETS


def test_the_service_finds_dagster_under_its_prefix() -> None:
    def asked(variables: dict[str, str]) -> str:
        return compose_file(variables)["services"]["service"]["environment"]["DAGSTER_GRAPHQL_URL"]

    assert asked({}) == "http://webserver:3000/graphql"
    assert asked({"DAGSTER_WEBSERVER_PATH_PREFIX": "/dagster"}) == "http://webserver:3000/dagster/graphql"


def test_no_secret_stands_in_the_file_or_can_get_into_the_repository_or_the_image() -> None:
    text = (PROJECT / "docker-compose.yml").read_text()
    assert not re.search(r"://[^\s/@]*:[^\s/@]+@", text)
    folder = "deploy/secrets"
    assert all(secret["file"].startswith(f"{folder}/") for secret in compose_file()["secrets"].values())
    assert "*" in (PROJECT / folder / ".gitignore").read_text().splitlines()
    let_in = [line for line in (PROJECT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    assert not [line for line in let_in if "secrets" in line or ".env" in line or line in ("!deploy", "!.")]


def test_everything_that_holds_data_is_a_volume_with_a_name() -> None:
    mounts = [mount.split(":") for service in services() for mount in service.said.get("volumes", [])]
    named = {source for source, *_ in mounts if not source.startswith(".")}
    assert named == compose_file()["volumes"].keys()
    assert all(rest[-1] == "ro" for source, *rest in mounts if source.startswith("."))


def test_production_runs_the_definitions_of_development_under_the_same_name() -> None:
    def only(path: str) -> dict[str, str]:
        ((location,),) = [entry.values() for entry in yaml.safe_load((PROJECT / path).read_text())["load_from"]]
        return location

    at_home, abroad = only("workspace.yaml"), only("deploy/workspace.yaml")
    assert abroad["location_name"] == at_home["location_name"]
    code = next(service for service in services() if service.name == "code")
    assert code.command[code.command.index("--module-name") + 1] == at_home["module_name"]
    assert code.command[code.command.index("--port") + 1] == str(abroad["port"])
