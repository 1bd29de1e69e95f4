"""What assets are given. Settings are read when a run starts, never at import."""

import dagster as dg

from sync_pipelines.flows.runner import Runner
from sync_pipelines.settings import Settings

__all__ = ["RESOURCES"]


def _runner(_context: dg.InitResourceContext) -> Runner:
    return Runner(Settings.load())


RESOURCES = {
    "runner": dg.ResourceDefinition(_runner, description="Runs a flow with the settings of this process.")
}
