"""What flows and their parts are called on pages, in the person's language; what has no words there, as it is."""

from __future__ import annotations

from collections.abc import Iterable

from sync_pipelines.alerts.words import label
from sync_pipelines.flows.naming import FLOWS_BY_NAME, flow_of
from sync_pipelines.flows.registry import FLOWS, LOCAL_FLOWS, PARTITIONED_FLOWS
from sync_pipelines.flows.spec import PartitionedFlow
from sync_pipelines.service.admin.texts import Texts

__all__ = ["flow_name", "in_order", "stream_name", "zone_of"]


def flow_name(texts: Texts, subject: str) -> str:
    """ "WebToLearn: courses", "Bakalari skola" of the subject "bakalari/skola"."""
    flow, _, member = subject.partition("/")
    key = f"flows.{flow}.name"
    return " ".join(filter(None, [texts.t(key), member])) if texts.knows(key) else label(subject)


def stream_name(texts: Texts, stream: str) -> str:
    """ "Courses", of the stream "wtl/courses"."""
    key = f"flows.stream.{stream}"
    return texts.t(key) if texts.knows(key) else stream


def in_order(streams: Iterable[str]) -> list[str]:
    """The streams in the order in which they run."""
    run: list[str] = []
    for flow in (*FLOWS, *PARTITIONED_FLOWS, *LOCAL_FLOWS):
        parts = flow.parts if isinstance(flow, PartitionedFlow) else ()
        run += [flow.stream, *(part.stream for part in parts)]
    places = {stream: place for place, stream in enumerate(run)}
    return sorted(streams, key=lambda stream: (places.get(stream, len(places)), stream))


def zone_of(subject: str) -> str | None:
    """The time zone of whom a flow reads; None where there is no such flow."""
    named = FLOWS_BY_NAME.get(flow_of(subject))
    return named and named.upstream.time_zone
