"""What a caller asks to have synced, held against what there is; and whether a run is of the same."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from sync_pipelines.errors import SettingsError
from sync_pipelines.flows.naming import FLOWS_BY_NAME, NamedFlow, flow_of_stream, name_of, step_of
from sync_pipelines.flows.partitions import PartitionRunner
from sync_pipelines.flows.registry import FLOWS, LOCAL_FLOWS, PARTITIONED_FLOWS, UPSTREAMS, require_settings
from sync_pipelines.log import redact
from sync_pipelines.service.orchestrator import Run
from sync_pipelines.service.refusals import Refused
from sync_pipelines.settings import Settings

__all__ = ["ALL", "Asked", "asked_for", "flow_of_run"]

#: In place of keys: every one there is, the stalest first.
ALL: Final = "all"
_FLOWS_BY_JOB: Final = {flow.job: flow for flow in FLOWS_BY_NAME.values()}
_PARTITION: Final = "dagster/partition"
_NAMED_AT_MOST: Final = 10


@dataclass(frozen=True)
class Asked:
    """A flow, and of one that is divided the partitions; none: all of them. `full` is from the beginning."""

    flow: NamedFlow
    keys: tuple[str, ...] = ()
    full: bool = False

    @property
    def config(self) -> Mapping[str, Any]:
        """The run's, for Dagster."""
        asked: dict[str, Any] = {"keys": list(self.keys)} if self.keys else {}
        asked |= {"full": True} if self.full else {}
        flows = (*FLOWS, *PARTITIONED_FLOWS, *LOCAL_FLOWS)
        steps = [step_of(flow.stream) for flow in flows if name_of(flow) == self.flow.name]
        return {"ops": {step: {"config": asked} for step in steps}} if asked else {}

    @property
    def tags(self) -> Mapping[str, str]:
        """The run's, in place of its job's."""
        return self.flow.queue(self.keys)

    def is_synced_by(self, run: Run) -> bool:
        """Whether a run syncs some of the same."""
        if flow_of_run(run) is not self.flow:
            return False
        theirs = _keys_of(run)
        return not self.keys or not theirs or not theirs.isdisjoint(self.keys)


def flow_of_run(run: Run) -> NamedFlow | None:
    """The flow that a run is of, by its job or by the assets selected for it; None where it is of none."""
    if flow := _FLOWS_BY_JOB.get(run.job):
        return flow
    return next(filter(None, map(flow_of_stream, sorted(run.streams))), None)


def _keys_of(run: Run) -> frozenset[str]:
    """The partitions that a run was asked to sync; none: all of them, or a range."""
    if _PARTITION in run.tags:
        return frozenset({run.tags[_PARTITION]})
    steps = run.config.get("ops") or {}
    return frozenset(key for step in steps.values() for key in (step.get("config") or {}).get("keys") or ())


def asked_for(
    upstream: str,
    settings: Settings,
    *,
    schools: Sequence[str] = (),
    courses: Sequence[str] | Literal["all"] = (),
) -> Asked:
    """What is meant by an upstream's name, and by keys of what it is divided by.

    Of WebToLearn the lists are one flow, and what is read by course another. It asks the database. Raises Refused:
    400 where the upstream is not set up, 422 where there is no such school or course.
    """
    divided = {"schools": schools, "courses": courses}
    named = {noun: keys for noun, keys in divided.items() if keys}
    flow = FLOWS_BY_NAME[upstream]
    for noun in named:
        flow = _divided_by(upstream, noun)
    try:
        if set_up := UPSTREAMS[upstream].set_up:
            set_up(settings)
        UPSTREAMS[upstream].require_settings(settings)
        require_settings((f for f in PARTITIONED_FLOWS if name_of(f) == flow.name), settings)
    except SettingsError as error:
        raise Refused(400, "not_set_up", redact(str(error))) from None
    keys = tuple(dict.fromkeys(key for keys in named.values() if keys != ALL for key in keys))
    for noun in named:
        _refuse_unknown(noun, keys, flow, settings)
    return Asked(flow, keys)


def _divided_by(upstream: str, noun: str) -> NamedFlow:
    """The flow of an upstream that is divided by these: "wtl_courses" is WebToLearn's by courses."""
    name = f"{upstream}_{noun}"
    for flow in PARTITIONED_FLOWS:
        if flow.upstream.name == upstream and flow.partitions.name == name:
            return FLOWS_BY_NAME[name_of(flow)]
    wrong = {"field": noun, "reason": f"{upstream} is not divided by {noun}"}
    raise Refused(422, "invalid", f"{upstream} has no {noun}.", errors=[wrong])


def _refuse_unknown(noun: str, keys: Collection[str], flow: NamedFlow, settings: Settings) -> None:
    if flow.partitions is None or not keys:
        return
    known = set(PartitionRunner(settings).keys(flow.partitions))
    unknown = [place for place, key in enumerate(keys) if key not in known]
    if unknown:
        wrong = [
            {"field": f"{noun}.{place}", "reason": f"there is no such {noun.removesuffix('s')}"}
            for place in unknown[:_NAMED_AT_MOST]
        ]
        raise Refused(422, "unknown", f"{len(unknown)} of these {noun} are not known here.", errors=wrong)
