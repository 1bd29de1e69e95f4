"""Dagster as the service sees it: over HTTP, through the GraphQL API of its webserver, as anybody else would."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal, Self, TypeAlias, get_args

import httpx

from sync_pipelines.errors import DagsterUnavailable, SyncError

__all__ = ["LIVE", "Event", "Orchestrator", "Run", "Status"]

Status: TypeAlias = Literal["queued", "running", "succeeded", "failed", "canceled"]
#: What a run says: a step begins and ends, a stream was materialized, or something was observed of it.
Kind: TypeAlias = Literal["started", "retried", "done", "failed", "skipped", "made", "observed"]

_STATUSES: Final[dict[str, Status]] = {
    "NOT_STARTED": "queued",
    "QUEUED": "queued",
    "MANAGED": "queued",
    "STARTING": "queued",
    "STARTED": "running",
    "CANCELING": "running",
    "SUCCESS": "succeeded",
    "FAILURE": "failed",
    "CANCELED": "canceled",
}
#: The statuses of a run that has not ended.
LIVE: Final = frozenset[Status]({"queued", "running"})
_KINDS: Final[dict[str, Kind]] = {
    "ExecutionStepStartEvent": "started",
    "ExecutionStepUpForRetryEvent": "retried",
    "ExecutionStepSuccessEvent": "done",
    "ExecutionStepFailureEvent": "failed",
    "ExecutionStepSkippedEvent": "skipped",
    "MaterializationEvent": "made",
    "ObservationEvent": "observed",
}
assert {*_KINDS.values()} == {*get_args(Kind)}
# workspace.yaml's name of the location, and the name that Dagster gives the one repository of a module.
_WHERE: Final = {"repositoryLocationName": "sync_pipelines", "repositoryName": "__repository__"}
_TIMEOUT: Final = httpx.Timeout(15, connect=5)
# Of a run that was begun after all, nobody would be told.
_LAUNCH_TIMEOUT: Final = httpx.Timeout(60, connect=5)
_PING_SECONDS: Final = 3
_LIVE_AT_MOST: Final = 500
_EVENTS_AT_ONCE: Final = 1000

_RUN = """
fragment run on Run {
  runId jobName status creationTime startTime endTime runConfig tags { key value } assetSelection { path }
}
"""
_RUNS = (
    _RUN
    + """
query($filter: RunsFilter!, $limit: Int!) {
  runsOrError(filter: $filter, limit: $limit) {
    __typename ... on Runs { results { ...run } } ... on Error { message }
  }
}
"""
)
_LAUNCH = (
    _RUN
    + """
mutation($params: ExecutionParams!) {
  launchRun(executionParams: $params) {
    __typename
    ... on LaunchRunSuccess { run { ...run } }
    ... on RunConfigValidationInvalid { errors { message } }
    ... on Error { message }
  }
}
"""
)
_EVENTS = """
fragment said on MetadataEntry {
  label
  ... on IntMetadataEntry { intRepr }
  ... on BoolMetadataEntry { boolValue }
  ... on TextMetadataEntry { text }
  ... on JsonMetadataEntry { jsonString }
}
query($run: ID!, $after: String, $limit: Int!) {
  runOrError(runId: $run) {
    __typename
    ... on Error { message }
    ... on Run {
      eventConnection(afterCursor: $after, limit: $limit) {
        cursor hasMore
        events {
          __typename
          ... on StepEvent { stepKey }
          ... on ExecutionStepFailureEvent { failureMetadata { metadataEntries { ...said } } }
          ... on MaterializationEvent { assetKey { path } partition metadataEntries { ...said } }
          ... on ObservationEvent { assetKey { path } partition metadataEntries { ...said } }
        }
      }
    }
  }
}
"""


@dataclass(frozen=True)
class Run:
    """A run of Dagster's. `streams` are the assets that were selected; none: all of its job's."""

    run_id: str
    job: str
    status: Status
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    tags: Mapping[str, str]
    config: Mapping[str, Any]
    streams: frozenset[str]

    @property
    def ended(self) -> bool:
        """Whether it is over."""
        return self.status not in LIVE

    @property
    def seconds(self) -> float | None:
        """How long it took, without the time it waited for its turn; None where it did not begin and end."""
        if self.started_at is None or self.ended_at is None:
            return None
        return (self.ended_at - self.started_at).total_seconds()


@dataclass(frozen=True)
class Event:
    """What a run says of a step, or of the stream that a step has made or observed; `said` is the metadata."""

    kind: Kind
    step: str | None
    stream: str | None
    partition: str | None
    said: Mapping[str, Any]


class Orchestrator:
    """A client of the GraphQL API at `url`. Every call raises DagsterUnavailable where it does not answer."""

    def __init__(self, url: str) -> None:
        self._url = url
        # Not through a proxy of the environment's: what it says is for Dagster alone.
        self._http = httpx.AsyncClient(timeout=_TIMEOUT, trust_env=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self._http.aclose()

    async def ping(self) -> None:
        """Whether it answers, within seconds."""
        await self._ask("{ version }", {}, httpx.Timeout(_PING_SECONDS))

    async def launch(self, job: str, config: Mapping[str, Any], tags: Mapping[str, str]) -> Run:
        """Queue a run of a job; it is in the history when this returns. Raises SyncError where that is refused."""
        params = {
            "selector": {**_WHERE, "jobName": job},
            "runConfigData": dict(config),
            "executionMetadata": {"tags": [{"key": key, "value": value} for key, value in tags.items()]},
        }
        said = (await self._ask(_LAUNCH, {"params": params}, _LAUNCH_TIMEOUT))["launchRun"]
        if said["__typename"] == "LaunchRunSuccess":
            return _run(said["run"])
        if said["__typename"] in ("UnauthorizedError", "RunConfigValidationInvalid"):
            raise SyncError(f"Dagster refuses a run of {job}: {said['__typename']}")
        # Its code is not loaded: a deployment restarts, or failed.
        raise DagsterUnavailable(f"Dagster cannot run {job} just now: {said['__typename']}")

    async def find(self, run_id: str) -> Run | None:
        """The run of this id; None where there is none."""
        return next(iter(await self._runs({"runIds": [run_id]}, 1)), None)

    async def live(self) -> Sequence[Run]:
        """The runs that have not ended, of whatever job, the newest first."""
        statuses = [name for name, status in _STATUSES.items() if status in LIVE]
        return await self._runs({"statuses": statuses}, _LIVE_AT_MOST)

    async def recent(self, job: str, limit: int) -> Sequence[Run]:
        """The last runs of a job, the newest first."""
        return await self._runs({"pipelineName": job}, limit)

    async def events(self, run_id: str, after: str | None) -> tuple[Sequence[Event], str | None, bool]:
        """What a run has said since a cursor, the cursor to go on from, and whether there is more at once."""
        asked = {"run": run_id, "after": after, "limit": _EVENTS_AT_ONCE}
        said = (await self._ask(_EVENTS, asked))["runOrError"]
        if said["__typename"] != "Run":
            return (), after, False
        page = said["eventConnection"]
        return [_event(e) for e in page["events"] if e["__typename"] in _KINDS], page["cursor"], page["hasMore"]

    async def _runs(self, wanted: Mapping[str, Any], limit: int) -> Sequence[Run]:
        said = (await self._ask(_RUNS, {"filter": wanted, "limit": limit}))["runsOrError"]
        if said["__typename"] != "Runs":
            raise DagsterUnavailable(f"Dagster cannot say what runs there are: {said['__typename']}")
        return [_run(run) for run in said["results"]]

    async def _ask(self, query: str, variables: Mapping[str, Any], patience: httpx.Timeout = _TIMEOUT) -> Any:
        body = {"query": query, "variables": variables}
        try:
            answer = await self._http.post(self._url, json=body, timeout=patience)
            said = answer.json() if answer.is_success else {}
        except (httpx.HTTPError, ValueError) as error:
            raise DagsterUnavailable(f"Dagster does not answer at {self._url}: {type(error).__name__}") from error
        if not isinstance(said, dict) or not said.get("data") or said.get("errors"):
            raise DagsterUnavailable(f"{self._url} is no GraphQL of a Dagster that works: {answer.status_code}")
        return said["data"]


def _run(said: Mapping[str, Any]) -> Run:
    return Run(
        run_id=said["runId"],
        job=said["jobName"],
        status=_STATUSES[said["status"]],
        created_at=datetime.fromtimestamp(said["creationTime"], UTC),
        started_at=_time(said["startTime"]),
        ended_at=_time(said["endTime"]),
        tags={tag["key"]: tag["value"] for tag in said["tags"]},
        config=said["runConfig"] or {},
        streams=frozenset("/".join(asset["path"]) for asset in said["assetSelection"] or ()),
    )


def _time(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def _event(said: Mapping[str, Any]) -> Event:
    asset = said.get("assetKey")
    entries = (said.get("failureMetadata") or said).get("metadataEntries") or ()
    return Event(
        kind=_KINDS[said["__typename"]],
        step=said.get("stepKey"),
        stream="/".join(asset["path"]) if asset else None,
        partition=said.get("partition"),
        said=dict(_values(entries)),
    )


def _values(entries: Iterable[Mapping[str, Any]]) -> Iterable[tuple[str, Any]]:
    """The metadata that are values; pictures, tables and texts in Markdown are for people."""
    for entry in entries:
        if "intRepr" in entry:
            yield entry["label"], int(entry["intRepr"])
        elif "boolValue" in entry:
            yield entry["label"], entry["boolValue"]
        elif "text" in entry:
            yield entry["label"], entry["text"]
        elif "jsonString" in entry:
            yield entry["label"], json.loads(entry["jsonString"])
