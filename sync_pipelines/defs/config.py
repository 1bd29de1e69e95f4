"""What a person may ask of a run, and what a stream is called here."""

import dagster as dg
from pydantic import Field

__all__ = ["PartitionsConfig", "SyncConfig", "asset_key"]


class SyncConfig(dg.Config):
    """What a person may ask of one run, in the launchpad or on the command line."""

    allow_mass_vanish: bool = Field(
        default=False, description="Believe the upstream, for this run, that so many rows are gone as it says."
    )
    full: bool = Field(
        default=False, description="Read from the beginning what is else read from where the last run ended."
    )


def asset_key(stream: str) -> dg.AssetKey:
    """The stream wtl/courses is the asset wtl/courses."""
    return dg.AssetKey(stream.split("/"))


class PartitionsConfig(SyncConfig):
    """What a person may ask of a run of partitions."""

    keys: list[str] = Field(
        default=[],
        description="Partitions to sync besides those selected; without any: all, the stalest first.",
    )
    at_most: int | None = Field(default=None, description="Of these, so many.")
    older_than_minutes: int | None = Field(
        default=None,
        description="Of all, without those that were synced since, and have not changed: for schedules.",
    )
