"""A course's lessons: each change against a plain list, two people at once, and what is written."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import combinations, pairwise
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sync_pipelines.postgres.engine import Database, Session
from sync_pipelines.postgres.mapping import Done, accept_suggestions, move, pin, set_required, unpin

Query = Callable[..., list[Any]]
# The platform shows the course with these, in this order; it has more lessons.
SUGGESTED = (4, 1, 2)
LESSONS = range(7)


@dataclass(frozen=True)
class Course:
    """A course and the ids of its platform's lessons."""

    id: str
    lessons: Sequence[str]


@dataclass(frozen=True)
class Intent:
    """What a person says, of lessons by their number."""

    what: str
    lesson: int = 0
    before: int | None = None
    required: bool = False

    def tell(self, session: Session, course: Course) -> Done | int | None:
        lesson = course.lessons[self.lesson]
        before = None if self.before is None else course.lessons[self.before]
        match self.what:
            case "pin":
                return pin(session, course.id, lesson, before, required=self.required)
            case "move":
                return move(session, course.id, lesson, before)
            case "require":
                return set_required(session, course.id, lesson, self.required)
            case "unpin":
                return unpin(session, course.id, lesson)
            case _:
                return accept_suggestions(session, course.id)


Model = tuple[tuple[int, bool], ...]


def told(model: Model, intent: Intent) -> tuple[Model, Any]:
    """The list that a person who says it would make by hand; and what is answered, without `following`."""
    order, required = [lesson for lesson, _ in model], dict(model)
    lesson, before = intent.lesson, intent.before
    there, displaced = lesson in order, before is not None and before not in order
    answer: Any = None
    match intent.what:
        case "pin" if not there:
            order.insert(order.index(before) if before in order else len(order), lesson)
            required[lesson] = intent.required
        case "move" if there and before != lesson:
            order.remove(lesson)
            order.insert(order.index(before) if before in order else len(order), lesson)
        case "require" if there:
            required[lesson] = intent.required
        case "unpin" if there:
            order.remove(lesson)
            answer = (True, len(order), [each for each, _ in model].index(lesson), required[lesson], False)
        case "accept":
            new = [each for each in SUGGESTED if each not in order]
            order += new
            required |= dict.fromkeys(new, False)
            answer = len(new)
        case _:
            displaced = False
    after = tuple((each, required[each]) for each in order)
    if answer is None:
        position = order.index(lesson) if lesson in order else None
        displaced = displaced and intent.what in ("pin", "move")
        answer = (after != model, len(order), position, lesson in order and required[lesson], displaced)
    return after, answer


def said(done: Done | int | None) -> Any:
    if isinstance(done, Done):
        return done.changed, done.lessons, done.position, done.required, done.displaced
    return done


lessons = st.integers(0, len(LESSONS) - 1)
intents = st.builds(
    Intent,
    st.sampled_from(["pin", "pin", "move", "move", "require", "unpin", "accept"]),
    lessons,
    st.none() | lessons,
    st.booleans(),
)


@pytest.fixture
def courses(query: Query) -> Callable[[], Course]:
    """Makes courses without lessons; lesson 6 has vanished, and so has the platform's showing of lesson 5."""
    ids = [
        query("INSERT INTO wtl.lessons (wtl_lesson_id, title) VALUES (:n, 'Zlomky') RETURNING id", n=f"{n}")[0]
        for n in LESSONS
    ]
    query("UPDATE wtl.lessons SET remote_deleted_at = now() WHERE wtl_lesson_id = '6'")

    def make() -> Course:
        insert = "INSERT INTO wtl.courses (wtl_course_id, title) VALUES (:id, 'Matematika') RETURNING id::text"
        (course,) = query(insert, id=uuid4().hex)
        for place, lesson in enumerate((*SUGGESTED, 5, 6)):
            query(
                "INSERT INTO wtl.remote_course_lessons (course_id, lesson_id, position, remote_deleted_at) "
                "VALUES (:course, :lesson, :place, CASE WHEN :gone THEN now() END)",
                course=course,
                lesson=ids[lesson],
                place=place,
                gone=lesson == 5,
            )
        return Course(course, [str(each) for each in ids])

    return make


def stored(query: Query, course: Course) -> list[tuple[int, int, bool]]:
    rows = query(
        "SELECT position, lesson_id::text, required FROM wtl.course_lessons WHERE course_id = :c ORDER BY 1",
        c=course.id,
    )
    return [(position, course.lessons.index(lesson), required) for position, lesson, required in rows]


def numbered(model: Model) -> list[tuple[int, int, bool]]:
    return [(position, lesson, required) for position, (lesson, required) in enumerate(model)]


@given(history=st.lists(intents, max_size=12))
@settings(max_examples=60)
def test_each_intent_does_what_it_does_to_a_plain_list_and_saying_it_again_does_nothing(
    courses: Callable[[], Course], session: Session, query: Query, history: list[Intent]
) -> None:
    course, model = courses(), ()
    for intent in history:
        before = model
        model, answer = told(model, intent)
        done = intent.tell(session, course)
        assert said(done) == answer
        assert stored(query, course) == numbered(model)
        if isinstance(done, Done) and done.position is not None:
            order = [lesson for lesson, _ in (before if intent.what == "unpin" else model)]
            following = dict(pairwise(order)).get(intent.lesson)
            assert done.following == (None if following is None else course.lessons[following])
        rows = "SELECT *, xmin::text, ctid::text FROM wtl.course_lessons ORDER BY 1, 2"
        there = query(rows)
        again = intent.tell(session, course)
        assert again == 0 if intent.what == "accept" else isinstance(again, Done) and not again.changed
        assert query(rows) == there


@given(history=st.lists(intents, max_size=8), lesson=lessons)
@settings(max_examples=30)
def test_what_taking_a_lesson_out_answers_puts_it_back_as_it_was(
    courses: Callable[[], Course], session: Session, query: Query, history: list[Intent], lesson: int
) -> None:
    course = courses()
    for intent in history:
        intent.tell(session, course)
    before = stored(query, course)
    done = unpin(session, course.id, course.lessons[lesson])
    assert done is not None
    if done.changed:
        pin(session, course.id, course.lessons[lesson], done.following, required=done.required)
    assert stored(query, course) == before


def serial_orders(one: Sequence[Any], other: Sequence[Any]) -> list[list[Any]]:
    """Every order in which both can have been done, each in its own; with whose it is, 0 or 1."""
    orders: list[list[Any]] = []
    for places in combinations(range(len(one) + len(other)), len(one)):
        mine, theirs = iter(one), iter(other)
        orders.append(
            [(0, next(mine)) if i in places else (1, next(theirs)) for i in range(len(one) + len(other))]
        )
    return orders


def outcome(model: Model, order: Sequence[tuple[int, Intent]]) -> tuple[Model, list[list[Any]]]:
    answers: list[list[Any]] = [[], []]
    for who, intent in order:
        model, answer = told(model, intent)
        answers[who].append(answer)
    return model, answers


@given(
    begin=st.lists(lessons, unique=True),
    both=st.tuples(st.lists(intents, min_size=1, max_size=3), st.lists(intents, min_size=1, max_size=3)),
)
@settings(max_examples=40)
def test_two_people_at_once_get_what_one_after_the_other_would(
    courses: Callable[[], Course],
    database: Database,
    session: Session,
    query: Query,
    begin: list[int],
    both: tuple[list[Intent], list[Intent]],
) -> None:
    course = courses()
    for lesson in begin:
        pin(session, course.id, course.lessons[lesson])
    together = threading.Barrier(2)

    def person(intents: Sequence[Intent]) -> list[Any]:
        with database.session() as own:
            together.wait()
            return [said(intent.tell(own, course)) for intent in intents]

    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(person, both))
    model = tuple((lesson, False) for lesson in begin)
    possible = [outcome(model, order) for order in serial_orders(*both)]
    assert any(stored(query, course) == numbered(after) and answers == answered for after, answered in possible), (
        answers,
        stored(query, course),
    )


def test_only_rows_that_change_are_written_and_other_courses_are_not_touched(
    courses: Callable[[], Course], session: Session, query: Query
) -> None:
    course, other = courses(), courses()
    for each in (course, other):
        for lesson in range(5):
            pin(session, each.id, each.lessons[lesson])
    query("UPDATE wtl.course_lessons SET updated_at = '2026-01-01', created_at = '2026-01-01'")
    move(session, course.id, course.lessons[3], course.lessons[1])
    written = "SELECT course_id::text, position FROM wtl.course_lessons WHERE updated_at > '2026-01-01' ORDER BY 2"
    assert query(written) == [(course.id, 1), (course.id, 2), (course.id, 3)]
    assert query("SELECT count(*) FROM wtl.course_lessons WHERE created_at > '2026-01-01'") == [0]


def test_positions_that_were_set_by_hand_are_put_in_order_with_the_next_change(
    courses: Callable[[], Course], session: Session, query: Query
) -> None:
    course = courses()
    for lesson, position in ((0, 7), (1, 7), (2, -3), (3, 100)):
        query(
            "INSERT INTO wtl.course_lessons (course_id, lesson_id, position, created_at) "
            "VALUES (:c, :l, :p, '2026-01-01'::timestamptz + :l2 * interval '1 day')",
            c=course.id,
            l=course.lessons[lesson],
            p=position,
            l2=lesson,
        )
    set_required(session, course.id, course.lessons[1], True)
    assert stored(query, course) == [(0, 2, False), (1, 0, False), (2, 1, True), (3, 3, False)]


def test_an_unknown_course_or_lesson_is_none_and_nothing_is_written(
    courses: Callable[[], Course], session: Session, query: Query
) -> None:
    course, nobody = courses(), str(uuid4())
    for intent in (Intent("pin"), Intent("move"), Intent("require", required=True), Intent("unpin")):
        assert intent.tell(session, replace(course, id=nobody)) is None
        assert intent.tell(session, replace(course, lessons=[nobody])) is None
    assert accept_suggestions(session, nobody) is None
    assert query("SELECT count(*) FROM wtl.course_lessons") == [0]
