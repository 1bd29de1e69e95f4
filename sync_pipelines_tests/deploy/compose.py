"""docker-compose.yml and the Dockerfile as the tests read them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

import sync_pipelines

__all__ = ["PROJECT", "Service", "compose_file", "image_environment", "in_order", "services"]

PROJECT = Path(sync_pipelines.__file__).parent.parent
_VARIABLE = re.compile(r"\$(?:\$|\{(\w+)(?::?-([^}]*))?\})")


@dataclass(frozen=True)
class Service:
    name: str
    said: dict[str, Any]

    @property
    def command(self) -> list[str]:
        """All of it: what the image or the file says is the entry, and the arguments."""
        return [*self.said.get("entrypoint", ["sync-pipelines"]), *self.said["command"]]

    @property
    def health_check(self) -> list[str]:
        how, *command = self.said["healthcheck"]["test"]
        assert how == "CMD"
        return command

    @property
    def ends_by_itself(self) -> bool:
        return self.said["restart"] == "no"

    @property
    def ours(self) -> bool:
        return self.said["image"].startswith("sync-pipelines:")

    @property
    def waits_for(self) -> dict[str, str]:
        """What must have started before it, and how far that must be."""
        return {name: wait["condition"] for name, wait in self.said.get("depends_on", {}).items()}

    @property
    def seconds_to_stop(self) -> int:
        number, unit = re.fullmatch(r"(\d+)([sm])", self.said.get("stop_grace_period", "10s")).groups()  # pyright: ignore[reportOptionalMemberAccess]
        return int(number) * {"s": 1, "m": 60}[unit]


def compose_file(variables: Mapping[str, str] | None = None) -> dict[str, Any]:
    """docker-compose.yml with its ${NAME:-default} filled in."""
    return _filled_in(yaml.safe_load((PROJECT / "docker-compose.yml").read_text()), variables or {})


def _filled_in(value: Any, variables: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _filled_in(item, variables) for key, item in value.items()}
    if isinstance(value, list):
        return [_filled_in(item, variables) for item in value]
    if not isinstance(value, str):
        return value
    return _VARIABLE.sub(lambda m: variables.get(m[1], m[2] or "") if m[1] else "$", value)


def services() -> list[Service]:
    return [Service(name, said) for name, said in compose_file()["services"].items()]


def in_order(given: list[Service]) -> list[Service]:
    """Each after all that it waits for."""
    left, ordered = {service.name: service for service in given}, []
    while left:
        ready = [service for service in left.values() if not left.keys() & service.waits_for.keys()]
        assert ready, f"they wait for each other: {sorted(left)}"
        ordered += ready
        left = {name: service for name, service in left.items() if service not in ready}
    return ordered


def image_environment() -> dict[str, str]:
    """What the image sets, but for PATH."""
    last_stage = (PROJECT / "Dockerfile").read_text().rpartition("\nFROM ")[2]
    (said,) = re.findall(r"^ENV ((?:.*\\\n)*.*)", last_stage, re.MULTILINE)
    return {name: value for name, value in re.findall(r"(\w+)=(\S+)", said) if name != "PATH"}
