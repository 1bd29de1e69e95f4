from sync_pipelines.flows.registry import FLOWS, UPSTREAMS, flows_of
from sync_pipelines.postgres.tables import metadata


def test_streams_are_unique_and_named_by_their_upstream() -> None:
    streams = [flow.stream for flow in FLOWS]
    assert len(set(streams)) == len(streams)
    assert all(flow.stream.startswith(f"{flow.upstream.name}/") for flow in FLOWS)


def test_a_flow_comes_after_what_it_refers_to() -> None:
    seen: set[str] = set()
    for flow in FLOWS:
        assert set(flow.after) <= seen
        seen.add(flow.stream)


def test_a_flow_projects_into_its_own_table() -> None:
    for flow in FLOWS:
        assert flow.table.kind in metadata.tables
        assert flow.view.startswith(flow.table.kind)


def test_no_flow_writes_the_local_mapping() -> None:
    assert "wtl.course_lessons" not in {flow.table.kind for flow in FLOWS}


def test_all_is_every_upstreams() -> None:
    assert flows_of("all") == FLOWS
    assert sum((flows_of(name) for name in UPSTREAMS), ()) == FLOWS
    assert flows_of("nothing") == ()
