"""What a note says: a title that tells it in one glance; below it since when, why, where to look, what to do.

Plain text, which every receiver shows. Ids, counts and redacted errors only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sync_pipelines.alerts.incidents import Event, Incident, Note
from sync_pipelines.alerts.problems import Kind
from sync_pipelines.alerts.words import clock_time, count, has_members, label, lasted, number, sentence, words
from sync_pipelines.log import redact

__all__ = ["Message", "Surroundings", "one_line", "write"]

_LONGEST_LINE = 300
_LISTED = 10
_NAMED = 2
_COUNTERS = ("fetched", "created", "updated", "deleted", "failed", "partitions")
_KINDS = list(Kind)  # the gravest first


@dataclass(frozen=True)
class Message:
    """A note as it is sent."""

    event: Event
    title: str
    body: str
    to: frozenset[str]
    incidents: tuple[Incident, ...]


@dataclass(frozen=True)
class Surroundings:
    """What a text needs beside the note: where Dagster's UI is, and how many schools a flow has."""

    webserver_url: str
    sizes: Mapping[str, int]


def write(note: Note, around: Surroundings, now: datetime) -> Message:
    """The message of a note."""
    mark = "!" if all(i.kind in (Kind.SLOW, Kind.ERROR_RATE) for i in note.incidents) else "✗"
    if note.event == "end":
        title = f"✓ {_over(note, around, now)}"
        lines = [_ended_line(incident, now) for incident in note.incidents[:_LISTED]]
        lines += _and_more(note.incidents)
    else:
        since = min(incident.started_at for incident in note.incidents)
        still = f"still, for {lasted(now - since)}: " if note.event == "reminder" else ""
        title = f"{mark} {still}{_what_is_so(note, around)}"
        lines = _explained(note, around)
    return Message(note.event, one_line(title), redact("\n".join(lines)), note.to, note.incidents)


def one_line(text: str) -> str:
    """The text redacted, on one line, cut where it is too long."""
    line = " ".join(redact(text).split())
    return line if len(line) <= _LONGEST_LINE else line[: _LONGEST_LINE - 1] + "…"


def _what_is_so(note: Note, around: Surroundings) -> str:
    """With the flow, those of its incidents included that were told before."""
    lasting = (*note.incidents, *note.others)
    if _is_of_one(lasting, note.flow, around):
        first, *more = sorted(note.incidents, key=_gravity)
        return "; ".join([sentence(first), *(words(incident).says(incident) for incident in more)])
    return f"{label(note.flow)}: {_counted(lasting, note.flow, around)}"


def _over(note: Note, around: Surroundings, now: datetime) -> str:
    began = min(incident.started_at for incident in note.incidents)
    ended = max(incident.ended_at or now for incident in note.incidents)
    gravest = words(min(note.incidents, key=_gravity))
    left = all(incident.left for incident in note.incidents)
    subjects = {incident.subject for incident in note.incidents}
    if _is_of_one((*note.incidents, *note.others), note.flow, around):
        who, said = label(note.incidents[0].subject), gravest.over_one
        still = "; ".join(words(incident).says(incident) for incident in note.others)
    elif note.flow in subjects:
        who, said = label(note.flow), gravest.over_one
        still = _counted(note.others, note.flow, around)
    else:
        who = f"{label(note.flow)}: {count(len(subjects), note.flow)}"
        who += f" ({_ids(subjects)})" if len(subjects) <= _NAMED else ""
        said = gravest.over_one if len(subjects) == 1 else gravest.over_many
        still = _counted(note.others, note.flow, around)
    said = "no longer in the settings" if left else said
    return f"{who} {said}, after {lasted(ended - began)}" + (f"; still: {still}" if still else "")


def _is_of_one(incidents: Iterable[Incident], flow: str, around: Surroundings) -> bool:
    """Whether there is only one subject that it could be about."""
    one = len({incident.subject for incident in incidents}) == 1
    return one and (not has_members(flow) or around.sizes.get(flow, 0) <= 1)


def _counted(incidents: Sequence[Incident], flow: str, around: Surroundings) -> str:
    """ "2 of 50 schools fail, 1 needs a login"; of few, which."""
    parts: list[str] = []
    for kind in sorted({incident.kind for incident in incidents}, key=_KINDS.index):
        of_kind = [incident for incident in incidents if incident.kind is kind]
        subjects = {incident.subject for incident in of_kind}
        kinds_words = words(of_kind[0])
        if flow in subjects:  # all of its schools
            parts.append(next(kinds_words.says(i) for i in of_kind if i.subject == flow))
            continue
        all_of_them = max(around.sizes.get(flow, 0), len(subjects))
        how_many = number(len(subjects)) if parts else f"{len(subjects)} of {count(all_of_them, flow)}"
        named = f" ({_ids(subjects)})" if len(subjects) < min(_NAMED + 1, all_of_them) else ""
        parts.append(f"{how_many} {kinds_words.one if len(subjects) == 1 else kinds_words.many}{named}")
    return ", ".join(parts)


def _ids(subjects: Iterable[str]) -> str:
    return ", ".join(sorted(subject.partition("/")[2] for subject in subjects))


def _explained(note: Note, around: Surroundings) -> list[str]:
    """Each incident, and what to do."""
    if len(note.incidents) == 1:
        lines = _about(note.incidents[0], around)
    else:
        lines = []
        for incident in note.incidents[:_LISTED]:
            lines += [sentence(incident), *(f"  {line}" for line in _about(incident, around))]
    to_do = dict.fromkeys(words(incident).to_do(incident) for incident in note.incidents[:_LISTED])
    return [*lines, *_and_more(note.incidents), *(f"What to do: {one}" for one in list(to_do)[:3])]


def _about(incident: Incident, around: Surroundings) -> list[str]:
    runs = f", {incident.runs} runs" if incident.runs > 1 else ""
    lines = [f"Since {clock_time(incident.started_at, incident.subject)}{runs}"]
    lines += [f"First error: {one_line(incident.said)}"] if incident.said else []
    counters = [f"{name} {number(incident.counts[name])}" for name in _COUNTERS if incident.counts.get(name)]
    lines += [f"Counts: {', '.join(counters)}"] if counters else []
    return [
        *lines,
        *([f"Run: {around.webserver_url.rstrip('/')}/runs/{incident.run_id}"] if incident.run_id else []),
    ]


def _ended_line(incident: Incident, now: datetime) -> str:
    ended = incident.ended_at or now
    said = f"{label(incident.subject)}: no longer in the settings" if incident.left else sentence(incident)
    began, over = (clock_time(moment, incident.subject) for moment in (incident.started_at, ended))
    return f"{said} (from {began} to {over}: {lasted(ended - incident.started_at)})"


def _and_more(incidents: Sequence[Incident]) -> list[str]:
    return [f"… and {len(incidents) - _LISTED} more"] if len(incidents) > _LISTED else []


def _gravity(incident: Incident) -> int:
    return _KINDS.index(incident.kind)
