"""Messages that are understood in one glance, and hold nothing personal."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_pipelines import log
from sync_pipelines.alerts.incidents import Event, Incident, Note
from sync_pipelines.alerts.problems import Kind
from sync_pipelines.alerts.wording import Message, Surroundings, one_line, write
from sync_pipelines.flows.naming import FLOWS_BY_NAME, flow_of

NOW = datetime(2026, 11, 21, 9, 15, tzinfo=UTC)
AROUND = Surroundings("http://dagster.school.example/", {"bakalari": 50})
SUBJECTS = ("wtl", "wtl_courses", "bakalari", "bakalari/a", "bakalari/b", "database", "dagster", "health_sync")


def incident(kind: Kind = Kind.FAILURE, subject: str = "wtl", minutes: float = 42, **more) -> Incident:
    return Incident(kind, subject, NOW - timedelta(minutes=minutes), frozenset({"runs"}), **more)


def ended(one: Incident) -> Incident:
    return replace(one, ended_at=NOW)


def message(event: Event, *incidents: Incident, others: tuple[Incident, ...] = (), sizes: int = 50) -> Message:
    flow = flow_of(incidents[0].subject)
    note = Note(event, flow, incidents, frozenset({"x"}), others)
    return write(note, replace(AROUND, sizes={"bakalari": sizes}), NOW)


def schools(*ids: str, kind: Kind = Kind.FAILURE, **more) -> tuple[Incident, ...]:
    return tuple(incident(kind, f"bakalari/{one}", **more) for one in ids)


def test_titles_say_it_in_one_glance() -> None:
    assert message("start", incident()).title == "✗ WebToLearn: sync fails"
    assert message("start", incident(subject="wtl_courses")).title == "✗ WebToLearn courses: sync fails"
    assert message("start", *schools("a", "b")).title == "✗ Bakalari: 2 of 50 schools fail (a, b)"
    assert message("start", *schools("a", "b", "c")).title == "✗ Bakalari: 3 of 50 schools fail"
    assert message("start", *schools("a", "b"), sizes=2).title == "✗ Bakalari: 2 of 2 schools fail"
    assert message("start", *schools("a"), sizes=1).title == "✗ Bakalari a: sync fails"
    more = message("start", *schools("c"), others=schools("a", "b"))
    assert more.title == "✗ Bakalari: 3 of 50 schools fail"
    mixed = message("start", *schools("a", "b", "c"), *schools("d", kind=Kind.CREDENTIALS))
    assert mixed.title == "✗ Bakalari: 3 of 50 schools fail, 1 needs a login (d)"
    assert message("start", incident(subject="bakalari")).title == "✗ Bakalari: sync fails"
    assert message("start", incident(Kind.GUARD)).title == "✗ WebToLearn: stopped by the mass-change guard"
    slow = incident(Kind.SLOW, counts={"seconds": 95.2, "limit": 60})
    assert message("start", slow).title == "! WebToLearn: a run took 95 s, more than 60 s"
    rate = incident(Kind.ERROR_RATE, counts={"failed": 32, "fetched": 1000})
    assert message("start", rate).title == "! WebToLearn: 3.2% of the records are refused (32 of 1,000)"
    accounts = replace(incident(Kind.CREDENTIALS, "bakalari/a", counts={"accounts": 2}), held_by=frozenset())
    assert message("start", accounts, sizes=1).title == "✗ Bakalari a: 2 accounts need a new login"
    assert message("start", incident(Kind.DATABASE, "database")).title == "✗ The database does not answer"
    assert message("reminder", incident(minutes=60 * 24 * 3)).title == (
        "✗ still, for 3 days: WebToLearn: sync fails"
    )


def test_ends_say_after_how_long_and_what_is_left() -> None:
    assert message("end", ended(incident())).title == "✓ WebToLearn is synced again, after 42 min"
    both = tuple(map(ended, schools("a", "b", "c")))
    assert message("end", *both).title == "✓ Bakalari: 3 schools are synced again, after 42 min"
    some = message("end", *map(ended, schools("a")), others=schools("b", "c", "d"))
    assert some.title == ("✓ Bakalari: 1 school (a) is synced again, after 42 min; still: 3 of 50 schools fail")
    left = replace(ended(incident(subject="bakalari/a")), left=True)
    assert message("end", left, sizes=3).title == (
        "✓ Bakalari: 1 school (a) no longer in the settings, after 42 min"
    )
    assert message("end", ended(incident(minutes=60 * 5))).title.endswith("after 5 h")
    assert message("end", ended(incident(minutes=0.2))).title.endswith("after less than a minute")


def test_a_body_says_since_when_why_how_much_where_to_look_and_what_to_do() -> None:
    one = incident(
        Kind.GUARD,
        "bakalari/a",
        said="bakalari/users: 300 of 400 rows\nare gone",
        run_id="abc-1",
        runs=2,
        counts={"fetched": 1000, "created": 0, "failed": 2},
    )
    approve = "look whether so many rows are really gone; if they are, approve it for one run"
    assert message("start", one).body.splitlines() == [
        "Since 21 Nov 09:33 CET, 2 runs",
        "First error: bakalari/users: 300 of 400 rows are gone",
        "Counts: fetched 1,000, failed 2",
        "Run: http://dagster.school.example/runs/abc-1",
        f"What to do: {approve}: sync-pipelines run bakalari --school a --allow-mass-vanish",
    ]


def test_many_schools_are_not_listed_without_end() -> None:
    body = message("start", *schools(*(f"s{n}" for n in range(50)), said="down " * 200)).body
    assert "… and 40 more" in body
    assert body.count("What to do") == 1
    assert len(body) < 5000


@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize("subject", SUBJECTS)
def test_there_are_words_for_every_event_of_every_kind_and_subject(kind: Kind, subject: str) -> None:
    one = incident(kind, subject)
    for event in ("start", "reminder"):
        told = message(event, one)
        assert told.title
        assert "What to do: " in told.body
    assert message("end", ended(one)).title.startswith("✓ ")


def test_every_flow_of_the_registry_has_a_name() -> None:
    titles = [message("start", incident(subject=name)).title for name in FLOWS_BY_NAME]
    names = ["WebToLearn", "WebToLearn courses", "Bakalari", "Learning progress"]
    assert titles == [f"✗ {name}: sync fails" for name in names]


WORDS = st.text(st.characters(codec="utf-8"), max_size=40)
SECRETS = st.sampled_from(["eva.novotna@skola.cz", "token=abcdef123", "https://eva:heslo1@bakalari.skola.cz"])


@given(
    said=st.lists(WORDS | SECRETS, min_size=1, max_size=6).map(" ".join),
    kind=st.sampled_from(list(Kind)),
    subjects=st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, unique=True),
    event=st.sampled_from(["start", "reminder", "end"]),
)
def test_nothing_personal_and_no_secret_is_in_any_message(said: str, kind: Kind, subjects, event: Event) -> None:
    log.hide("a-hidden-value")
    told = message(event, *map(ended, schools(*subjects, kind=kind, said=f"{said} a-hidden-value")))
    for secret in ("novotna@", "abcdef123", "heslo1", "a-hidden-value"):
        assert secret not in told.title + told.body
    assert "\n" not in told.title
    assert len(told.title) <= 300


@given(st.text())
def test_one_line_is_one_short_line(text: str) -> None:
    line = one_line(text)
    assert len(line.splitlines()) <= 1
    assert len(line) <= 300
