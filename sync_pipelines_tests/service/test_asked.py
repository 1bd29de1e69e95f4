"""What is asked for, and which runs are of the same."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_pipelines.flows.naming import FLOWS_BY_NAME, QUEUE_TAG, step_of
from sync_pipelines.service.asked import Asked, asked_for, flow_of_run
from sync_pipelines.service.orchestrator import Run
from sync_pipelines.service.refusals import Refused
from sync_pipelines.settings import Settings

NOW = datetime(2026, 1, 12, tzinfo=UTC)
DIVIDED = ["wtl_courses", "bakalari"]
keys = st.lists(st.sampled_from(["1", "2", "3"]), unique=True).map(tuple)


def run(
    job: str, tags: Mapping[str, str], config: Mapping[str, Any], streams: frozenset[str] = frozenset()
) -> Run:
    return Run("run", job, "running", NOW, NOW, None, tags, config, streams)


@given(st.sampled_from(DIVIDED), keys, st.sampled_from(DIVIDED), keys, st.booleans())
def test_a_run_is_of_the_same_where_it_syncs_some_of_it(
    flow: str, asked: tuple[str, ...], other: str, theirs: tuple[str, ...], by_tag: bool
) -> None:
    """However it was begun: by this API, or by a schedule or a person for one partition."""
    begun = Asked(FLOWS_BY_NAME[other], theirs)
    is_one = by_tag and len(theirs) == 1
    tags = {"dagster/partition": theirs[0]} if is_one else {}
    of_it = run(begun.flow.job, {**tags, **begun.tags}, {} if is_one else begun.config)
    shared = not asked or not theirs or bool({*asked} & {*theirs})
    assert Asked(FLOWS_BY_NAME[flow], asked).is_synced_by(of_it) is (flow == other and shared)


@given(st.sampled_from(sorted(FLOWS_BY_NAME)))
def test_a_run_of_assets_is_of_the_flow_that_they_are_of(name: str) -> None:
    flow = FLOWS_BY_NAME[name]
    for stream in flow.streams:
        assert flow_of_run(run("__ASSET_JOB", {}, {}, frozenset({stream}))) is flow
    assert flow_of_run(run(flow.job, {}, {})) is flow
    assert flow_of_run(run("housekeeping", {}, {})) is None


def test_a_school_alone_waits_in_the_queue_of_its_schedule() -> None:
    bakalari = FLOWS_BY_NAME["bakalari"]
    assert Asked(bakalari, ("skola",)).tags == {QUEUE_TAG: "bakalari/skola"}
    assert Asked(bakalari, ("skola", "jina")).tags == Asked(bakalari).tags == {}
    assert Asked(FLOWS_BY_NAME["wtl_courses"], ("1",)).tags == {}


@pytest.mark.parametrize("upstream", ["wtl", "bakalari"])
def test_an_upstream_that_is_not_set_up_cannot_be_asked_for(upstream: str) -> None:
    with pytest.raises(Refused) as refused:
        asked_for(upstream, Settings.load())
    assert (refused.value.status, refused.value.code) == (400, "not_set_up")
    assert upstream.upper() in refused.value.detail


@given(st.sampled_from(sorted(FLOWS_BY_NAME)), st.booleans())
def test_a_run_is_told_only_what_differs_from_what_its_schedule_does(name: str, full: bool) -> None:
    flow = FLOWS_BY_NAME[name]
    steps = Asked(flow, full=full).config.get("ops", {})
    assert {*steps} <= {step_of(stream) for stream in flow.streams}
    assert all(step == {"config": {"full": True}} for step in steps.values())
    assert bool(steps) is full
