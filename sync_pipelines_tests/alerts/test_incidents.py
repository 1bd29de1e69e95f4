"""The laws of incidents, over any history of looks."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_pipelines.alerts.incidents import Note, State, reconcile
from sync_pipelines.alerts.problems import FAILING, EndedRun, Good, Kind, Observed, Problem

BEGAN = datetime(2026, 11, 2, 8, 0, tzinfo=UTC)
INTERVAL = timedelta(minutes=15)
SCHOOLS = ("bakalari/a", "bakalari/b", "bakalari/c")
SUBJECTS = ("wtl", *SCHOOLS)
OF_RUNS = sorted(FAILING | {Kind.SLOW})
OF_STATES = (Kind.ERROR_RATE, Kind.STALE, Kind.CREDENTIALS)
EVERYTHING = frozenset((kind, flow) for kind in OF_STATES for flow in ("wtl", "bakalari"))
STREAMS = frozenset({"one", "two"})


@st.composite
def looks(draw: st.DrawFn) -> list[tuple[timedelta, Observed, frozenset[str]]]:
    """A history: how long after the last look, what it gave, and who could be told."""
    history: list[tuple[timedelta, Observed, frozenset[str]]] = []
    position = 0
    for _ in range(draw(st.integers(1, 12))):
        runs: list[EndedRun] = []
        for _ in range(draw(st.integers(0, 4))):
            position += 1
            subject = draw(st.sampled_from(SUBJECTS))
            bad = draw(st.booleans())
            streams = draw(st.sets(st.sampled_from(sorted(STREAMS)), max_size=2).map(frozenset))
            problem = Problem(draw(st.sampled_from(OF_RUNS)), subject, "said", f"run-{position}", streams=streams)
            good = Good(subject, draw(st.sampled_from([STREAMS, streams])), frozenset(OF_RUNS))
            at = BEGAN + timedelta(seconds=position)
            runs.append(
                EndedRun(position, f"run-{position}", at, (problem,) if bad else (), () if bad else (good,))
            )
        states = draw(st.sets(st.tuples(st.sampled_from(OF_STATES), st.sampled_from(SUBJECTS)), max_size=3))
        observed = Observed(
            runs=runs,
            states=[Problem(kind, subject) for kind, subject in sorted(states)],
            looked_at=EVERYTHING,
            left=draw(st.sets(st.sampled_from(SCHOOLS), max_size=1).map(frozenset)),
            busy=frozenset({"bakalari"}) if draw(st.booleans()) else frozenset(),
        )
        receivers = draw(st.sets(st.sampled_from(["x", "y"]), max_size=2).map(frozenset))
        later = draw(st.sampled_from([timedelta(seconds=30), timedelta(minutes=20), timedelta(hours=11)]))
        history.append((later, observed, receivers))
    return history


def replayed(
    history: list[tuple[timedelta, Observed, frozenset[str]]],
) -> tuple[State, list[tuple[datetime, Note]]]:
    state, now, told = State(0), BEGAN + timedelta(minutes=1), list[tuple[datetime, Note]]()
    for later, observed, receivers in history:
        now += later
        state, notes = reconcile(state, observed, now, receivers=receivers, interval=INTERVAL)
        told += [(now, note) for note in notes]
        state = still_open(state)
    return state, told


def still_open(state: State) -> State:
    """As it is read again: what is closed is no more."""
    return replace(state, incidents=tuple(i for i in state.incidents if not i.closed))


@given(looks())
def test_each_receiver_hears_one_start_and_at_most_one_end_of_each_incident_and_a_reminder_a_day(history) -> None:
    _, told = replayed(history)
    for receiver in ("x", "y"):
        heard: dict[object, list[tuple[str, datetime]]] = {}
        for at, note in told:
            for incident in note.incidents if receiver in note.to else ():
                heard.setdefault((incident.key, incident.started_at), []).append((note.event, at))
        for events in heard.values():
            names = [event for event, _ in events]
            assert "start" not in names[1:]
            assert "end" not in names[:-1]
            told_at = [at for event, at in events if event != "end"]
            assert all(later - at >= timedelta(days=1) for at, later in pairwise(told_at))


@given(looks())
def test_an_end_is_told_only_to_those_who_know_of_a_start(history) -> None:
    _, told = replayed(history)
    knowing: dict[tuple[Kind, str], set[str]] = {}
    for _, note in told:
        if note.event == "end":
            assert note.to <= set().union(*(knowing.pop(i.key, set()) for i in note.incidents))
        else:
            for incident in note.incidents:
                knowing.setdefault(incident.key, set()).update(note.to)


@given(looks())
def test_the_same_look_again_changes_nothing_and_tells_nothing(history) -> None:
    state, _ = replayed(history[:-1])
    _, observed, receivers = history[-1]
    now = BEGAN + timedelta(days=20)
    once, _ = reconcile(state, observed, now, receivers=receivers, interval=INTERVAL)
    once = still_open(once)
    twice, notes = reconcile(once, observed, now, receivers=receivers, interval=INTERVAL)
    assert (twice, notes) == (once, [])


@given(looks(), st.randoms(use_true_random=False))
def test_the_order_in_which_a_look_gives_things_does_not_matter(history, random) -> None:
    shuffled: list[tuple[timedelta, Observed, frozenset[str]]] = []
    for later, observed, receivers in history:
        runs, states = list(observed.runs), list(observed.states)
        random.shuffle(runs)
        random.shuffle(states)
        shuffled.append((later, replace(observed, runs=runs, states=states), receivers))
    assert replayed(shuffled) == replayed(history)


@given(looks())
def test_a_look_taken_in_parts_leaves_the_same_open_as_one_taken_whole(history) -> None:
    def in_parts(observed: Observed) -> list[Observed]:
        return [*(replace(observed, runs=[run], busy=frozenset({"bakalari"})) for run in observed.runs), observed]

    def keys(state: State) -> set[tuple[Kind, str, bool]]:
        return {(*i.key, i.lasts) for i in state.incidents if i.lasts and i.kind in FAILING}

    whole, parts, now = State(0), State(0), BEGAN
    for later, observed, receivers in history:
        now += later
        observed = replace(observed, states=[], looked_at=frozenset(), left=frozenset())
        whole = still_open(reconcile(whole, observed, now, receivers=receivers, interval=INTERVAL)[0])
        for part in in_parts(observed):
            parts = still_open(reconcile(parts, part, now, receivers=receivers, interval=INTERVAL)[0])
        assert keys(parts) == keys(whole)


def failed(position: int, subject: str, kind: Kind = Kind.FAILURE, at: datetime = BEGAN, **more) -> EndedRun:
    return EndedRun(
        position, f"r{position}", at, (Problem(kind, subject, f"said {position}", f"r{position}", **more),)
    )


def went_well(position: int, subject: str, streams: frozenset[str] = STREAMS, *, minutes: float = 0) -> EndedRun:
    at = BEGAN + timedelta(minutes=minutes)
    return EndedRun(position, f"r{position}", at, good=(Good(subject, streams, frozenset(OF_RUNS)),))


class Story:
    """Looks one after the other, each at a time; gives what is told."""

    def __init__(self) -> None:
        self.state = State(0)

    def look(self, minutes: float, *runs: EndedRun, to: frozenset[str] = frozenset({"x"}), **more) -> list[Note]:
        observed = Observed(runs=runs, **more)
        now = BEGAN + timedelta(minutes=minutes)
        self.state, notes = reconcile(self.state, observed, now, receivers=to, interval=INTERVAL)
        self.state = still_open(self.state)
        return notes


def said(notes: list[Note]) -> list[tuple[str, list[str]]]:
    return [(note.event, [f"{i.kind} {i.subject}" for i in note.incidents]) for note in notes]


def test_a_flow_that_fails_again_and_again_is_told_once_until_it_is_over() -> None:
    story = Story()
    assert said(story.look(0, failed(1, "wtl"))) == [("start", ["failure wtl"])]
    assert story.look(15, failed(2, "wtl")) == []
    (incident,) = story.state.incidents
    assert (incident.runs, incident.said, incident.run_id) == (2, "said 1", "r2")
    assert said(story.look(30, went_well(3, "wtl"))) == [("end", ["failure wtl"])]
    assert story.state.incidents == ()


def test_the_failure_of_one_run_that_is_written_twice_is_one() -> None:
    story = Story()
    twice = replace(failed(2, "wtl"), run_id="r1")
    story.look(0, failed(1, "wtl"), twice)
    story.look(1, replace(twice, position=3))
    assert story.state.incidents[0].runs == 1


def test_a_run_of_other_streams_does_not_end_what_befell_one() -> None:
    story = Story()
    story.look(0, failed(1, "wtl", streams=frozenset({"wtl/users"})))
    assert story.look(5, went_well(2, "wtl", frozenset({"wtl/courses"}))) == []
    assert said(story.look(6, went_well(3, "wtl", frozenset({"wtl/courses", "wtl/users"})))) == [
        ("end", ["failure wtl"])
    ]


def test_failures_of_several_kinds_end_together_with_the_first_good_run() -> None:
    story = Story()
    story.look(0, failed(1, "wtl"))
    assert said(story.look(15, failed(2, "wtl", Kind.GUARD))) == [("start", ["guard wtl"])]
    assert said(story.look(30, went_well(3, "wtl"))) == [("end", ["failure wtl", "guard wtl"])]


def test_a_wave_of_schools_is_told_together_once_no_run_is_under_way() -> None:
    story = Story()
    busy = frozenset({"bakalari"})
    assert story.look(0, failed(1, "bakalari/a"), busy=busy) == []
    assert story.look(1, failed(2, "bakalari/b"), busy=busy) == []
    assert said(story.look(1.5, failed(3, "bakalari/c"))) == [
        ("start", ["failure bakalari/a", "failure bakalari/b", "failure bakalari/c"])
    ]


def test_a_wave_is_not_waited_for_longer_than_two_minutes() -> None:
    story = Story()
    busy = frozenset({"bakalari"})
    story.look(0, failed(1, "bakalari/a"), busy=busy)
    assert said(story.look(2, busy=busy)) == [("start", ["failure bakalari/a"])]


def test_what_follows_a_wave_is_told_together_after_an_interval() -> None:
    story = Story()
    story.look(0, failed(1, "bakalari/a"))
    assert story.look(3, failed(2, "bakalari/b")) == []
    assert story.look(6, failed(3, "bakalari/c")) == []
    (note,) = story.look(15)
    assert said([note]) == [("start", ["failure bakalari/b", "failure bakalari/c"])]
    assert [incident.subject for incident in note.others] == ["bakalari/a"]


def test_schools_that_recover_one_after_the_other_are_told_together() -> None:
    story = Story()
    story.look(0, *(failed(n, school) for n, school in enumerate(SCHOOLS, 1)))
    assert story.look(15, went_well(4, "bakalari/a", minutes=15)) == []
    assert story.look(20, went_well(5, "bakalari/b", minutes=20)) == []
    assert said(story.look(25, went_well(6, "bakalari/c"))) == [
        ("end", ["failure bakalari/a", "failure bakalari/b", "failure bakalari/c"])
    ]


def test_the_recovery_of_one_does_not_wait_for_ever_for_another() -> None:
    story = Story()
    story.look(0, failed(1, "bakalari/a"), failed(2, "bakalari/b"))
    assert story.look(15, went_well(3, "bakalari/a", minutes=15)) == []
    (note,) = story.look(30)
    assert said([note]) == [("end", ["failure bakalari/a"])]
    assert [incident.subject for incident in note.others] == ["bakalari/b"]


def test_one_that_fails_again_before_its_end_was_told_has_not_ended() -> None:
    story = Story()
    story.look(0, failed(1, "bakalari/a"), failed(2, "bakalari/b"))
    story.look(5, went_well(3, "bakalari/a", minutes=5))
    assert story.look(10, failed(4, "bakalari/a")) == []
    assert [i.lasts for i in story.state.incidents] == [True, True]
    assert {i.started_at for i in story.state.incidents} == {BEGAN}


def test_what_was_over_before_it_could_be_told_is_never_told() -> None:
    story = Story()
    busy = frozenset({"bakalari"})
    story.look(0, failed(1, "bakalari/a"), busy=busy)
    assert story.look(1, went_well(2, "bakalari/a"), busy=busy) == []
    assert story.look(60) == []
    assert story.state.incidents == ()


@pytest.mark.parametrize("kind", sorted(FAILING))
def test_staleness_is_no_news_while_runs_fail(kind: Kind) -> None:
    story = Story()
    stale = [Problem(Kind.STALE, "wtl")]
    story.look(0, failed(1, "wtl", kind), looked_at=EVERYTHING)
    assert story.look(50, states=stale, looked_at=EVERYTHING) == []
    assert said(story.look(60, went_well(2, "wtl"), looked_at=EVERYTHING)) == [("end", [f"{kind} wtl"])]
    assert said(story.look(120, states=stale, looked_at=EVERYTHING)) == [("start", ["stale wtl"])]


def test_credentials_are_good_again_once_runs_succeed_and_no_account_waits() -> None:
    story = Story()
    waiting = [Problem(Kind.CREDENTIALS, "bakalari/a", counts={"accounts": 1})]
    seen = {"states": waiting, "looked_at": EVERYTHING}
    story.look(0, failed(1, "bakalari/a", Kind.CREDENTIALS), **seen)
    assert story.look(15, went_well(2, "bakalari/a"), **seen) == []
    assert said(story.look(30, looked_at=EVERYTHING)) == [("end", ["credentials bakalari/a"])]


def test_what_could_not_be_looked_at_stays_as_it_was() -> None:
    story = Story()
    story.look(0, states=[Problem(Kind.ERROR_RATE, "wtl")], looked_at=EVERYTHING)
    assert story.look(1) == []
    assert said(story.look(2, looked_at=EVERYTHING)) == [("end", ["error_rate wtl"])]


def test_a_school_that_left_the_settings_has_no_incident_any_more() -> None:
    story = Story()
    story.look(0, failed(1, "bakalari/a"))
    (note,) = story.look(5, left=frozenset({"bakalari/a"}))
    assert said([note]) == [("end", ["failure bakalari/a"])]
    assert note.incidents[0].left


def test_a_good_run_of_a_school_ends_what_befell_them_all() -> None:
    story = Story()
    story.look(0, failed(1, "bakalari"))
    assert said(story.look(15, went_well(2, "bakalari/a"))) == [("end", ["failure bakalari"])]


def test_without_receivers_incidents_are_kept_and_a_receiver_added_later_hears_from_the_next_reminder() -> None:
    story = Story()
    assert story.look(0, failed(1, "wtl"), to=frozenset()) == []
    assert story.look(60 * 23) == []
    assert said(story.look(60 * 24)) == [("reminder", ["failure wtl"])]
    (note,) = story.look(60 * 25, went_well(2, "wtl"), to=frozenset({"x", "y"}))
    assert (note.event, note.to) == ("end", frozenset({"x"}))
