"""The words for each kind of incident, and for whom it befell."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from sync_pipelines.alerts.incidents import Incident
from sync_pipelines.alerts.problems import Kind
from sync_pipelines.flows.naming import FLOWS_BY_NAME, flow_of
from sync_pipelines.flows.spec import Sites

__all__ = ["Words", "clock_time", "count", "has_members", "label", "lasted", "number", "sentence", "words"]

_SPELT = {"webtolearn": "WebToLearn", "progress": "Learning progress"}
_OF_NO_FLOW = {"database": "The database", "dagster": "Dagster's daemon"}


@dataclass(frozen=True)
class Words:
    """How a kind is said: of a subject by itself, of one and of several of many, that it is over, what to do."""

    says: Callable[[Incident], str]
    one: str
    many: str
    over_one: str
    over_many: str
    to_do: Callable[[Incident], str]


def _slow(incident: Incident) -> str:
    took, limit = incident.counts.get("seconds", 0), incident.counts.get("limit", 0)
    return f"a run took {number(took)} s, more than {number(limit)} s"


def _refused(incident: Incident) -> str:
    failed, fetched = incident.counts.get("failed", 0), incident.counts.get("fetched", 0)
    return f"{failed / max(fetched, 1):.1%} of the records are refused ({number(failed)} of {number(fetched)})"


def _no_access(incident: Incident) -> str:
    accounts = int(incident.counts.get("accounts", 0))
    if "runs" in incident.held_by or not accounts:
        return "the upstream refuses the credentials"
    return "an account needs a new login" if accounts == 1 else f"{accounts} accounts need a new login"


def _approve(incident: Incident) -> str:
    flow, _, school = incident.subject.partition("/")
    upstream = FLOWS_BY_NAME[flow].upstream.name if flow in FLOWS_BY_NAME else flow
    which = f" --school {school}" if school else " --course ID" if upstream != flow else ""
    command = f"sync-pipelines run {upstream}{which} --allow-mass-vanish"
    return f"look whether so many rows are really gone; if they are, approve it for one run: {command}"


def _renew(incident: Incident) -> str:
    if "/" in incident.subject:
        return "whoever looks after the school's accounts renews the login in the settings; `doctor` says which"
    return "whoever looks after this upstream renews its token in the settings; `doctor` checks it"


_SYNCED = ("is synced again", "are synced again")
_WORDS = {
    Kind.FAILURE: Words(
        lambda _: "sync fails",
        *("fails", "fail", *_SYNCED),
        lambda _: "look at the run; its schedule tries again",
    ),
    Kind.GUARD: Words(
        lambda _: "stopped by the mass-change guard",
        *("is stopped by the mass-change guard", "are stopped by the mass-change guard", *_SYNCED),
        _approve,
    ),
    Kind.CREDENTIALS: Words(
        _no_access,
        *("needs a login", "need a login", "can log in again", "can log in again"),
        _renew,
    ),
    Kind.SLOW: Words(
        _slow,
        *("is slow", "are slow", "is fast again", "are fast again"),
        lambda _: "look at the run for what took so long; SYNC_SLOW_SECONDS says what counts as slow",
    ),
    Kind.ERROR_RATE: Words(
        _refused,
        *("has records refused", "have records refused", "has its records taken", "have their records taken"),
        lambda _: "`sync-pipelines rejects list` shows the records, and why",
    ),
    Kind.STALE: Words(
        lambda _: "not synced for too long",
        *("is not synced", "are not synced", *_SYNCED),
        lambda _: "look at Dagster's pages Automation and Runs: do the schedules tick, is a run stuck",
    ),
    Kind.DATABASE: Words(
        lambda _: "does not answer",
        *("does not answer", "do not answer", "answers again", "answer again"),
        lambda _: "see that PostgreSQL runs and SYNC_DATABASE_URL is right; nothing is synced meanwhile",
    ),
    Kind.DAEMON: Words(
        lambda _: "does not tick",
        *("does not tick", "do not tick", "ticks again", "tick again"),
        lambda _: "see that dagster-daemon runs; nothing is scheduled meanwhile",
    ),
}


_OF_A_JOB = Words(
    lambda _: "the job fails",
    *("fails", "fail", "runs well again", "run well again"),
    lambda _: "look at the run; its schedule tries again",
)


def words(incident: Incident) -> Words:
    """Those for its kind."""
    of_a_job = incident.kind is Kind.FAILURE and flow_of(incident.subject) not in FLOWS_BY_NAME
    return _OF_A_JOB if of_a_job else _WORDS[incident.kind]


def sentence(incident: Incident) -> str:
    """ "WebToLearn: sync fails"."""
    between = " " if incident.subject in _OF_NO_FLOW else ": "
    return f"{label(incident.subject)}{between}{words(incident).says(incident)}"


def label(subject: str) -> str:
    """ "WebToLearn", "WebToLearn courses", "Bakalari gymnazium"."""
    flow, _, member = subject.partition("/")
    if flow not in FLOWS_BY_NAME:
        return _OF_NO_FLOW.get(flow, subject)
    upstream = FLOWS_BY_NAME[flow].upstream
    group = _SPELT.get(upstream.group, upstream.group.capitalize())
    return " ".join(filter(None, [group, flow.removeprefix(upstream.name).strip("_"), member]))


def has_members(flow: str) -> bool:
    """Whether a flow has subjects of its own: schools."""
    return flow in FLOWS_BY_NAME and isinstance(FLOWS_BY_NAME[flow].partitions, Sites)


def count(members: int, flow: str) -> str:
    """ "50 schools": so many of what a flow's partitions are called."""
    named = FLOWS_BY_NAME.get(flow)
    word = "parts"
    if named and named.partitions:
        word = named.partitions.name.removeprefix(f"{named.upstream.name}_")
    return f"{members:,} {word.removesuffix('s') if members == 1 else word}"


def number(value: float) -> str:
    """With commas."""
    return f"{value:,.0f}"


def clock_time(moment: datetime, subject: str) -> str:
    """As clocks show it where the subject's upstream is."""
    flow = flow_of(subject)
    zone = ZoneInfo(FLOWS_BY_NAME[flow].upstream.time_zone) if flow in FLOWS_BY_NAME else UTC
    return f"{moment.astimezone(zone):%d %b %H:%M %Z}"


def lasted(span: timedelta) -> str:
    """ "42 min", "5 h", "3 days"."""
    minutes = round(span.total_seconds() / 60)
    if minutes < 1:
        return "less than a minute"
    if minutes < 120:
        return f"{minutes} min"
    return f"{minutes // 60} h" if minutes < 60 * 48 else f"{minutes // (60 * 24)} days"
