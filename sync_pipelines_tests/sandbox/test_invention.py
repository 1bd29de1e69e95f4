"""What is invented looks like what was recorded (contracts/wtl.md A4–A8)."""

import re
from collections import Counter

import pytest

from sync_pipelines.sandbox.webtolearn import Platform
from sync_pipelines.sandbox.webtolearn.invention import Row

DATED = re.compile(r"(20\d\d)-(\d\d)-\d\dUTC(\d\d):[0-5]\d:[0-5]\d\.(\d\d)")


@pytest.fixture(scope="module")
def platform() -> Platform:
    return Platform.invented(seed=7)


@pytest.fixture(scope="module")
def grants(platform: Platform) -> list[list[Row]]:
    return [*platform.course_users.values(), *platform.lesson_users.values()]


def test_an_expiry_is_forever_or_a_date_with_twelve_hours_and_the_month_again(grants: list[list[Row]]) -> None:
    texts = [row["expired_at"] for rows in grants for row in rows]
    dated = [found for text in texts if (found := DATED.fullmatch(text))]
    assert len(dated) + texts.count("Forever") == len(texts)
    assert all(found[2] == found[4] and 1 <= int(found[3]) <= 12 for found in dated)
    assert {found[1] for found in dated} == {"2021", "2027"}


def test_some_users_have_a_course_several_times(grants: list[list[Row]]) -> None:
    several = 0
    for rows in grants:
        assert [int(row["id"]) for row in rows] == sorted(int(row["id"]) for row in rows)
        for user, times in Counter(row["id"] for row in rows).items():
            until = [row["expired_at"] for row in rows if row["id"] == user]
            assert times in (1, 3)
            assert times == 1 or (until[1] == "Forever" and until[0] < until[2] < "F")
            several += times == 3
    assert several > 20


def test_every_course_and_some_lessons_have_users(platform: Platform) -> None:
    assert platform.course_users.keys() == {row["id"] for row in platform.courses}
    assert len(platform.lesson_users) == 24
    assert platform.lesson_users.keys() < {row["id"] for row in platform.lessons}


def test_each_lesson_is_in_one_course_and_not_by_number(platform: Platform) -> None:
    related = [lesson for lessons in platform.course_lessons.values() for lesson in lessons]
    assert sorted(related, key=int) == [row["id"] for row in platform.lessons]
    assert any(lessons != sorted(lessons, key=int) for lessons in platform.course_lessons.values())


@pytest.mark.parametrize("none", ["courses", "lessons", "users"])
def test_a_school_may_lack_anything(none: str) -> None:
    assert getattr(Platform.invented(**{none: 0}), none) == []
