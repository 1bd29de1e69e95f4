"""What flows and their parts are called on pages, in the person's language; what has no words there, as it is."""

from __future__ import annotations

from sync_pipelines.alerts.words import label
from sync_pipelines.flows.naming import FLOWS_BY_NAME, flow_of
from sync_pipelines.service.admin.texts import Texts

__all__ = ["flow_name", "stream_name", "zone_of"]


def flow_name(texts: Texts, subject: str) -> str:
    """ "WebToLearn: courses", "Bakalari skola" of the subject "bakalari/skola"."""
    flow, _, member = subject.partition("/")
    key = f"flows.{flow}.name"
    return " ".join(filter(None, [texts.t(key), member])) if texts.knows(key) else label(subject)


def stream_name(texts: Texts, stream: str) -> str:
    """ "Courses", of the stream "wtl/courses"."""
    key = f"flows.stream.{stream}"
    return texts.t(key) if texts.knows(key) else stream


def zone_of(subject: str) -> str | None:
    """The time zone of whom a flow reads; None where there is no such flow."""
    named = FLOWS_BY_NAME.get(flow_of(subject))
    return named and named.upstream.time_zone
