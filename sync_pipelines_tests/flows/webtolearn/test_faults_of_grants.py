"""Who has access, where the platform says it several times, unclearly, or in no order. The numbers are those of
contracts/faults.md."""

import random
from datetime import UTC, datetime
from itertools import permutations
from typing import Any

import pytest

from sync_pipelines.flows.webtolearn import COURSES, USERS
from sync_pipelines.sandbox.webtolearn import Platform
from sync_pipelines_tests.flows.webtolearn.model import granted
from sync_pipelines_tests.flows.webtolearn.school import School

EARLY, LATE = "2021-06-12UTC01:39:31.06", "2088-09-03UTC11:39:31.09"
CURRENT = "SELECT wtl_user_id, active, expires_at, expires_raw FROM wtl.course_users_current ORDER BY 1"


@pytest.fixture
def course(school: School) -> School:
    """A school of one course, 7, and twenty users, whom the tests give access."""
    users = [{"id": str(n), "email": f"u{n}@szkola.example"} for n in range(1, 21)]
    school.open(Platform(courses=[{"id": "7", "name": "Fizyka"}], users=users))
    school.lists()
    return school


def grant(school: School, *grants: tuple[str, str]) -> None:
    """These are course 7's, in the order of their users."""
    emails = {user["id"]: user["email"] for user in school.platform.users}
    ordered = sorted(grants, key=lambda grant: int(grant[0]))
    school.platform.course_users["7"] = [
        {"id": user, "email": emails[user], "expired_at": text} for user, text in ordered
    ]


def read(school: School, **options: bool) -> Any:
    """The report of course 7."""
    done = school.courses("7", **options)["7"]  # pyright: ignore[reportArgumentType]
    assert done.error is None
    return done.report


# --- several grants ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("texts", [*permutations((EARLY, "Forever", LATE)), (EARLY, EARLY, "Forever")])
def test_of_several_grants_the_one_for_ever_counts(course: School, texts: tuple[str, ...]) -> None:
    """Fault 24."""
    grant(course, *(("1", text) for text in texts), ("2", EARLY))
    report = read(course)
    assert (report.created, report.failed, report.complete) == (2, 0, True)
    assert course.query(CURRENT)[0] == ("1", True, None, "Forever")


@pytest.mark.parametrize("texts", [*permutations((EARLY, LATE, "2021-06-12UTC02:00:00.06"))])
def test_of_several_grants_that_end_the_one_that_lasts_longest_counts(
    course: School, texts: tuple[str, ...]
) -> None:
    """Fault 24."""
    grant(course, *(("1", text) for text in texts))
    assert read(course).created == 1
    assert course.query(CURRENT) == [("1", True, datetime(2088, 9, 3, 23, 39, 31, tzinfo=UTC), LATE)]


def test_a_grant_more_that_changes_nothing_writes_nothing(course: School) -> None:
    """Fault 24."""
    grant(course, ("1", LATE), ("2", "Forever"))
    read(course)
    before = course.everything()
    grant(course, ("1", EARLY), ("1", LATE), ("1", LATE), ("2", LATE), ("2", "Forever"), ("2", EARLY))
    assert read(course).skipped == 2
    assert course.everything() == before
    grant(course, ("1", EARLY), ("2", EARLY))
    assert read(course).updated == 2
    course.mends()


# --- when it ends -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "ends"),
    [
        ("2030-06-12UTC01:39:31.06", datetime(2030, 6, 12, 13, 39, 31, tzinfo=UTC)),
        ("2030-06-12UTC12:00:00.06", datetime(2030, 6, 12, 12, 0, 0, tzinfo=UTC)),
        ("2030-06-12UTC00:10:00.06", datetime(2030, 6, 12, 0, 10, 0, tzinfo=UTC)),
        ("2030-05-31UTC23:59:59.09", datetime(2030, 5, 31, 23, 59, 59, tzinfo=UTC)),
        ("2030-12-31CET11:30:00.12", datetime(2030, 12, 31, 22, 30, 0, tzinfo=UTC)),
        ("2030-12-31CEST12:30:00.12", datetime(2030, 12, 31, 10, 30, 0, tzinfo=UTC)),
        # On both sides of the hour that the clocks skip, and in the one that comes twice.
        ("2030-03-31CET01:59:59.03", datetime(2030, 3, 31, 12, 59, 59, tzinfo=UTC)),
        ("2030-03-31CEST03:00:00.03", datetime(2030, 3, 31, 13, 0, 0, tzinfo=UTC)),
        ("2030-10-27CEST14:30:00.10", datetime(2030, 10, 27, 12, 30, 0, tzinfo=UTC)),
        ("2030-10-27CET14:30:00.10", datetime(2030, 10, 27, 13, 30, 0, tzinfo=UTC)),
        ("Forever", None),
    ],
)
def test_an_end_is_an_instant_and_of_two_hours_the_later(course: School, text: str, ends: datetime | None) -> None:
    """Faults 25 and 74."""
    grant(course, ("1", text))
    read(course)
    assert course.query(CURRENT) == [("1", True, ends, text)]


@pytest.mark.parametrize(
    "text",
    ["kiedyś", "", "forever", "2030-13-01UTC01:00:00.13", "2030-02-30UTC01:00:00.02", "2030-06-12 01:00:00",
     "2030-06-12PST01:00:00.06", "2030-06-12UTC25:00:00.06", "0000-00-00UTC00:00:00.00", None, 0, True],
)  # fmt: skip
def test_an_end_that_cannot_be_read_is_neither_past_nor_future(course: School, text: Any) -> None:
    """Fault 25."""
    grant(course, ("1", LATE), ("2", "Forever"), ("3", LATE), ("4", LATE))
    read(course)
    before = course.query(CURRENT)
    grant(course, ("1", text), ("2", text), ("2", "Forever"), ("3", text), ("3", LATE), ("5", text))
    report = read(course)
    # 4 is gone; of 2 it is known that access is for ever; 1 and 3 keep what they had; 5 is not there yet.
    assert (report.failed, report.skipped, report.deleted, report.created) == (3, 1, 1, 0)
    assert course.query(CURRENT) == before[:3]
    assert set(course.rejects()) == {f"wtl:course/7:user {user}" for user in ("1", "3", "5")}
    assert all(payload["expired_at"] == text for _, _, payload in course.rejects().values())
    grant(course, ("1", LATE), ("2", "Forever"), ("3", EARLY), ("4", LATE), ("5", "Forever"))
    course.mends()


def test_an_unknown_end_of_every_tenth_grant_costs_the_others_nothing(school: School) -> None:
    """Fault 25."""
    school.sync()
    before = school.grants()
    for grants in school.platform.course_users.values():
        grants.pop()
    school.platform.switch_on("unknown-expiry", path="/training/*/user/list")
    done = school.courses()
    assert all(one.error is None and one.report.complete for one in done.values())
    wanted = granted(school.platform, school.ids("courses"))
    refused = {(key.split("/")[1].split(":")[0], key.split()[1]) for key in school.rejects()}
    assert school.grants() == wanted | {pair: before[pair] for pair in refused}
    school.mends()


def test_access_that_has_ended_is_ended_and_not_gone(course: School) -> None:
    """Fault 26."""
    grant(course, ("1", LATE), ("2", LATE))
    read(course)
    ids = course.query("SELECT id FROM wtl.course_users ORDER BY id")
    grant(course, ("1", EARLY), ("2", LATE))
    report = read(course)
    assert (report.updated, report.deleted) == (1, 0)
    assert [(user, active) for user, active, *_ in course.query(CURRENT)] == [("1", False), ("2", True)]
    assert course.closed() == set()
    grant(course, ("1", LATE), ("2", LATE))
    assert read(course).updated == 1
    assert course.query("SELECT id FROM wtl.course_users ORDER BY id") == ids


def test_access_ends_by_itself_and_the_next_run_says_so(course: School) -> None:
    """Fault 26."""
    grant(course, ("1", LATE))
    read(course)
    course.query("UPDATE wtl.course_users SET expires_at = now() - interval '1 minute'")
    assert [active for _, active, *_ in course.query(CURRENT)] == [False]
    assert course.query("SELECT active FROM wtl.course_users") == [True]


def test_a_grant_of_somebody_who_is_not_known_yet_waits_for_them(course: School) -> None:
    """Fault 24."""
    course.platform.put("users", "99", {"id": "99", "email": "u99@szkola.example"})
    grant(course, ("1", LATE), ("99", LATE))
    report = read(course)
    assert (report.created, report.failed, report.complete) == (1, 1, True)
    ((key, (stage, error, _)),) = course.rejects().items()
    assert (key, stage) == ("wtl:course/7:user 99", "mapping")
    assert "wtl:user 99 is not known here yet" in error
    course.run(USERS)
    course.mends()


# --- the order of ties ------------------------------------------------------------------------------------


@pytest.mark.parametrize("cap", [None, 3, 5, 8])
@pytest.mark.parametrize("seed", range(3))
def test_grants_that_change_places_between_pages_close_nothing_that_is_there(
    course: School, cap: int | None, seed: int
) -> None:
    """Fault 79."""
    texts = (EARLY, "Forever", LATE)
    grant(course, *((str(user), text) for user in range(1, 9) for text in texts[: 1 + user % 3]))
    read(course)
    before = course.grants()
    rng, platform = random.Random(seed), course.platform
    platform.course_users["7"] = [g for g in platform.course_users["7"] if g["id"] != "4"]

    def shuffle(number: int) -> None:
        rng.shuffle(platform.course_users["7"])

    platform.page_cap, course.between = cap, shuffle
    done = course.courses("7")["7"]
    if cap is None:
        assert done.report.complete
    if done.error is None and done.report.complete:
        assert course.closed() == {("7", "4")}
        assert course.grants() == granted(platform, ["7"])
    else:
        assert course.closed() == set()
        assert course.grants().keys() == before.keys()
    course.mends()


def test_a_list_that_was_not_read_to_its_end_shortens_nobodys_access(course: School) -> None:
    """Fault 79: the grant for ever is always on the page that does not fit."""
    grants = [("1", EARLY), ("1", "2021-06-13UTC01:00:00.06"), ("1", "Forever")]
    grant(course, *grants)
    read(course)
    rows, platform = course.platform.course_users["7"], course.platform

    def order(query: str) -> None:
        platform.course_users["7"] = rows if "range=[0," in query else [rows[2], *rows[:2]]

    platform.page_cap, course.before = 2, order
    assert not read(course).complete
    assert course.query(CURRENT) == [("1", True, None, "Forever")]


def test_grants_beyond_the_cap_are_read_id_by_id_in_one_pass(course: School) -> None:
    """Fault 79."""
    grant(course, *((str(user), text) for user in range(1, 9) for text in (EARLY, LATE)))
    course.platform.page_cap = 5
    assert read(course).complete
    assert course.grants() == granted(course.platform, ["7"])
    asked = len(course.asked)
    grant(course, *((str(user), text) for user in range(1, 8) for text in (EARLY, LATE)))
    assert read(course).deleted == 1
    assert len(course.asked) - asked == 6  # of five rows, those of two users are new
    course.mends()


# --- an empty course --------------------------------------------------------------------------------------


def test_an_emptied_course_is_not_believed_until_one_run_is_approved(course: School) -> None:
    """Fault 12."""
    grant(course, ("1", LATE), ("2", "Forever"))
    read(course)
    before = course.everything()
    grant(course)
    done = course.courses("7")["7"]
    assert done.guarded
    assert not done.report.complete
    assert course.everything() == before
    assert read(course, allow_mass_vanish=True).deleted == 2
    assert course.closed() == {("7", "1"), ("7", "2")}
    assert read(course).complete
    grant(course, ("1", LATE), ("2", EARLY))
    assert read(course).restored == 2
    course.mends()


def test_a_course_that_never_had_anybody_may_be_empty(course: School) -> None:
    """Fault 12."""
    grant(course)
    assert (read(course).fetched, read(course).complete) == (0, True)


def test_more_than_a_tenth_of_a_large_course_is_not_believed_to_be_gone_at_once(school: School) -> None:
    """Fault 72."""
    school.open(Platform.invented(courses=2, lessons=0, users=250))
    first, second = school.ids("courses")
    for key in (first, second):
        school.platform.course_users[key] = [{**u, "expired_at": "Forever"} for u in school.platform.users]
    school.sync()
    before = school.everything()
    del school.platform.course_users[first][220:], school.platform.course_users[second][225:]
    done = school.courses()
    assert done[first].guarded
    assert (done[second].error, done[second].report.deleted) == (None, 25)
    assert school.closed() == {(second, user) for user in school.ids("users")[225:]}
    assert before["wtl.users"] == school.everything()["wtl.users"]
    assert school.courses(first, allow_mass_vanish=True)[first].report.deleted == 30
    school.mends()


def test_a_grant_that_comes_back_is_the_same_row(course: School) -> None:
    """Fault 73."""
    grant(course, ("1", LATE), ("2", LATE))
    read(course)
    ids = course.query("SELECT id FROM wtl.course_users ORDER BY id")
    grant(course, ("2", LATE))
    read(course)
    assert course.closed() == {("7", "1")}
    grant(course, ("1", EARLY), ("2", LATE))
    report = read(course)
    assert (report.restored, report.created) == (1, 0)
    assert course.query("SELECT id FROM wtl.course_users ORDER BY id") == ids
    course.run(COURSES)
    course.mends()
