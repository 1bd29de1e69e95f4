"""Random histories of a school's courses against a model in plain Python, which knows no sync engine."""

from dataclasses import dataclass, field
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from sync_pipelines.errors import GuardTripped, NotFound, SourceError, StateError, SyncError
from sync_pipelines.flows.webtolearn import COURSE_LESSONS, COURSES, USERS
from sync_pipelines.sandbox.webtolearn import Platform
from sync_pipelines.sandbox.webtolearn.faults import FAULTS
from sync_pipelines_tests.flows.webtolearn.model import granted, lasting_longest, until
from sync_pipelines_tests.flows.webtolearn.school import School

ENDS = ("Forever", "2021-06-12UTC01:39:31.06", "2030-01-31UTC11:00:00.01", "2088-09-03CEST11:39:31.09")
UNREADABLE = "kiedyś"
CASES = ["1", "2", "3", "4"]
WAYS = ("none", "path", "filter", "query")
#: The first three wait or send 40 MB.
LEFT_OUT = {"hang", "slow", "huge"}

courses, users = st.sampled_from(CASES[:3]), st.sampled_from(CASES)
some = st.lists(courses, min_size=1, max_size=3, unique=True)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("give"), courses, users, st.sampled_from([*ENDS, UNREADABLE])),
        st.tuples(st.just("give"), courses, users, st.sampled_from([*ENDS, UNREADABLE])),
        st.tuples(st.just("take one"), courses, users),
        st.tuples(st.just("take all"), courses, users),
        st.tuples(st.just("course"), courses),
        st.tuples(st.just("user"), users),
        st.tuples(st.just("lists")),
        st.tuples(st.just("read"), some, st.booleans()),
        st.tuples(st.just("read"), some, st.booleans()),
    ),
    max_size=30,
)


@dataclass
class Model:
    """What wtl.course_users_current must show, from what the platform showed when it was last read."""

    platform: Platform
    known_courses: dict[str, bool] = field(
        default_factory=dict[str, bool]
    )  # whether it was there when last listed
    known_users: set[str] = field(default_factory=set[str])
    held: dict[str, dict[str, str]] = field(default_factory=dict[str, dict[str, str]])

    def listed(self) -> None:
        there = {row["id"] for row in self.platform.courses}
        self.known_courses = {c: c in there for c in self.known_courses.keys() | there}
        self.known_users |= {row["id"] for row in self.platform.users}

    def read(self, course: str, *, approved: bool) -> type[SyncError] | None:
        """Take in what the platform shows of a course; the error it ends with."""
        if course not in self.known_courses:
            return StateError
        if not self.known_courses[course]:
            return None
        if course not in {row["id"] for row in self.platform.courses}:
            return NotFound
        grants = self.platform.course_users.get(course, [])
        before = self.held.get(course, {})
        if before and not grants and not approved:
            return GuardTripped
        texts: dict[str, list[str]] = {}
        for row in grants:
            texts.setdefault(row["id"], []).append(row["expired_at"])
        now: dict[str, str] = {}
        for user, said in texts.items():
            readable = [text for text in said if text != UNREADABLE]
            clear = "Forever" in said or len(readable) == len(said)
            if clear and user in self.known_users:
                now[user] = lasting_longest(readable)
            elif user in before:
                now[user] = before[user]
        self.held[course] = now
        return None


class Courses:
    """A school of at most three courses and four users, and what its people do."""

    def __init__(self, school: School) -> None:
        self.school = school
        self.platform = Platform()
        self.kept: dict[str, list[dict[str, Any]]] = {}
        school.open(self.platform)
        for key in CASES[:2]:
            self.course(key)
            self.user(key)
        self.platform.lessons += [{"id": key, "name": f"Lekcja {key}"} for key in CASES]
        school.lists()
        school.people_work()
        self.people = school.work_of_people()
        self.model = Model(self.platform)
        self.model.listed()
        self.ids: dict[tuple[str, str], str] = {}

    def course(self, key: str) -> None:
        """It goes, or it comes, or comes back with those it had."""
        platform = self.platform
        if platform.put("courses", key, {"id": key, "name": f"Kurs {key}"}):
            there = {row["id"] for row in platform.users}
            platform.course_users[key] = [row for row in self.kept.get(key, []) if row["id"] in there]
        else:
            self.kept[key] = platform.course_users.get(key, [])
            platform.remove("courses", key)

    def user(self, key: str) -> None:
        if not self.platform.put("users", key, {"id": key, "email": f"u{key}@szkola.example"}):
            self.platform.remove("users", key)

    def give(self, course: str, user: str, text: str) -> None:
        if course in self.platform.course_users and any(row["id"] == user for row in self.platform.users):
            row = {"id": user, "email": f"u{user}@szkola.example", "expired_at": text}
            self.platform.course_users[course].append(row)

    def take(self, course: str, user: str, *, all_of_them: bool) -> None:
        rows = self.platform.course_users.get(course, [])
        for row in [row for row in rows if row["id"] == user][: None if all_of_them else 1]:
            rows.remove(row)

    def lists(self) -> None:
        for flow in (COURSES, USERS):
            self.school.run(flow, allow_mass_vanish=True)
        self.model.listed()

    def read(self, keys: list[str], *, approved: bool) -> None:
        done = self.school.courses(*keys, allow_mass_vanish=approved)
        assert done.keys() == set(keys)
        for key in keys:
            wanted = self.model.read(key, approved=approved)
            error = done[key].error
            assert (None if error is None else type(error)) == wanted
            assert done[key].report.complete == (wanted is None)

    def check(self) -> None:
        rows = self.school.query(
            "SELECT wtl_course_id, wtl_user_id, id, expires_at, expires_raw FROM wtl.course_users_current"
        )
        wanted = {(course, user): raw for course, held in self.model.held.items() for user, raw in held.items()}
        assert {(course, user): raw for course, user, _, _, raw in rows} == wanted
        for course, user, row, ends, raw in rows:
            assert ends == until(raw)
            assert self.ids.setdefault((course, user), row) == row
        assert self.school.work_of_people() == self.people


@settings(max_examples=40)
@given(steps)
def test_any_history_of_grants_ends_as_the_model_says(school: School, steps: list[tuple[Any, ...]]) -> None:
    at = Courses(school)
    for step in steps:
        match step:
            case ("give", course, user, text):
                at.give(course, user, text)
            case ("take one" | "take all" as how, course, user):
                at.take(course, user, all_of_them=how == "take all")
            case ("course", key):
                at.course(key)
            case ("user", key):
                at.user(key)
            case ("lists",):
                at.lists()
            case ("read", keys, approved):
                at.read(keys, approved=approved)
            case _:
                raise AssertionError(step)
        if step[0] in ("lists", "read"):
            at.check()
    at.lists()
    at.read(CASES[:3], approved=True)
    at.check()


# --- with faults ------------------------------------------------------------------------------------------


@settings(max_examples=40)
@given(
    st.sampled_from([None, 2, 3, 7]),
    st.sampled_from(["inclusive", "offset-limit", "offset-limit+1", "half-open"]),
    st.lists(
        st.tuples(
            st.sampled_from(sorted(FAULTS.keys() - LEFT_OUT)),
            st.one_of(st.none(), st.integers(1, 3)),
            st.integers(0, 9),
        ),
        max_size=3,
    ),
    st.randoms(use_true_random=False),
)  # fmt: skip
def test_whatever_goes_wrong_nobody_who_is_still_listed_loses_access(
    school: School, cap: int | None, meaning: str, faults: list[tuple[str, int | None, int]], rng: Any
) -> None:
    school.open(Platform.invented(courses=2, lessons=1, users=15, seed=rng.randint(0, 99)))
    school.sync()
    school.people_work()
    people, platform = school.work_of_people(), school.platform
    lost: set[tuple[str, str]] = set()
    for course, grants in platform.course_users.items():
        gone = {grant["id"] for grant in rng.sample(grants, rng.randint(0, len(grants) // 2))}
        lost |= {(course, user) for user in gone}
        grants[:] = [grant for grant in grants if grant["id"] not in gone]
    platform.page_cap, platform.range_meaning = cap, meaning
    for fault, times, after in faults:
        platform.switch_on(fault, path="/training/*/user/list", times=times, after=after)
    for _ in range(2):
        before = school.closed()
        school.clock.now += 3600
        done, error = school.courses_until()
        assert error is None or isinstance(error, SourceError)
        whole = {course for course, one in done.items() if one.report.complete}
        if not any(fault == "repeated-id" for fault, *_ in faults):
            assert school.closed() <= lost
        assert {course for course, _ in school.closed() - before} <= whole
        assert school.work_of_people() == people
    platform.faults.clear()
    school.clock.now += 3600
    school.courses(allow_mass_vanish=True)
    assert school.closed() == lost
    assert school.grants() == granted(platform, school.ids("courses"))
    assert school.rejects() == {}


# --- lessons ----------------------------------------------------------------------------------------------


@settings(max_examples=25)
@given(
    st.lists(
        st.tuples(st.sampled_from(WAYS), st.booleans(), some, st.booleans(), st.integers(0, 999)),
        min_size=1,
        max_size=6,
    )
)
def test_any_history_of_lessons_is_shown_where_it_is_proven_and_nowhere_else(
    school: School, history: list[tuple[str, bool, list[str], bool, int]]
) -> None:
    at = Courses(school)
    at.course("3")
    at.lists()
    platform = at.platform
    held: dict[str, list[str]] = {}
    for way, honoured, asked, approved, number in history:
        platform.relation, platform.filters = way, "honoured" if honoured else "ignored"
        # Each lesson in one course or in none, as the number says, in an order that it says too.
        order = CASES[number % 4 :] + CASES[: number % 4]
        platform.course_lessons = {
            course: [lesson for lesson in order if number // 4 ** int(lesson) % 4 == int(course)]
            for course in CASES[:3]
        }  # fmt: skip
        shown = way in ("path", "query") or (way == "filter" and honoured)
        # Where those asked for do not prove it, others of the platform may.
        proven = shown and any(0 < len(lessons) < len(CASES) for lessons in platform.course_lessons.values())
        done = school.courses(*asked, flow=COURSE_LESSONS, allow_mass_vanish=approved)
        for course in asked if proven else ():
            lessons = platform.course_lessons[course]
            if lessons == [] != held.get(course, []) and not approved:
                assert done[course].guarded
                continue
            assert (done[course].error, done[course].report.complete) == (None, True)
            held[course] = lessons
        wanted = {(c, lesson): place for c, ls in held.items() for place, lesson in enumerate(ls, 1)}
        assert school.places() == wanted
        assert school.work_of_people() == at.people
        assert school.marked() == set()
