"""A platform that changes while it is read: by seed, and with a record of what came and went."""

import itertools
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from sync_pipelines.sandbox.webtolearn import Platform
from sync_pipelines_tests.sandbox.asking import BY_ID, EVERYTHING

LISTS = {"courses": "/training/list", "lessons": "/lesson/list", "users": "/user/list"}


@pytest.fixture(scope="module")
def platform() -> Platform:
    return Platform.invented(courses=20, lessons=60, users=30, seed=3)


def listed(api: httpx.Client, resource: str) -> dict[str, Any]:
    rows = api.get(LISTS[resource], params={"range": EVERYTHING, "sort": BY_ID}).json()
    assert [int(row["id"]) for row in rows] == sorted({int(row["id"]) for row in rows})
    return {row["id"]: row for row in rows}


def test_nothing_changes_unless_it_is_asked_to(api: httpx.Client, platform: Platform) -> None:
    before = listed(api, "lessons")
    assert listed(api, "lessons") == before
    assert platform == Platform.invented(courses=20, lessons=60, users=30, seed=3)


@pytest.mark.parametrize("resource", LISTS)
def test_what_is_not_on_record_was_there_throughout(api: httpx.Client, platform: Platform, resource: str) -> None:
    platform.churn = 2
    seen = [listed(api, resource) for _ in range(60)]
    there_throughout = set.intersection(*(set(rows) for rows in seen))
    there_at_all = set[str]().union(*seen)
    assert there_at_all - there_throughout <= platform.churned[resource]
    assert set(seen[0]) - platform.churned[resource] <= there_throughout
    assert not any(platform.churned[other] for other in LISTS if other != resource)


@pytest.mark.parametrize("resource", LISTS)
def test_rows_are_appended_inserted_deleted_and_renamed(
    api: httpx.Client, platform: Platform, resource: str
) -> None:
    before = {row["id"]: row for row in platform.rows(resource)}
    platform.churn = 1
    after = [listed(api, resource) for _ in range(50)][-1]
    last = max(map(int, before))
    new = [int(key) for key in after.keys() - before.keys()]
    assert any(key > last for key in new)
    assert any(key < last for key in new)
    assert before.keys() - after.keys()
    assert any(after[key] != before[key] for key in after.keys() & before.keys())


def test_a_half_is_one_change_after_every_second_listing(api: httpx.Client, platform: Platform) -> None:
    platform.churn = 0.5
    seen = [listed(api, "lessons") for _ in range(9)]
    assert [now != then for then, now in itertools.pairwise(seen)] == [False, True] * 4


def test_the_same_seed_and_requests_change_the_same(serve: Callable[[Any], str]) -> None:
    left: list[Platform] = []
    for seed in (4, 4, 5):
        platform = Platform.invented(courses=20, lessons=60, users=30, seed=seed)
        platform.churn = 1.7
        with httpx.Client(base_url=serve(platform), headers={"X-Auth-Token": platform.token}) as api:
            for path in [*LISTS.values(), f"/training/{platform.courses[0]['id']}/user/list"] * 9:
                api.get(path)
        left.append(platform)
    assert left[0] == left[1]
    assert left[0].churned != left[2].churned


def test_what_hangs_on_a_row_goes_with_it(api: httpx.Client, platform: Platform) -> None:
    platform.churn = 5
    for _ in range(30):
        for path in LISTS.values():
            api.get(path)
    have = {resource: {row["id"] for row in platform.rows(resource)} for resource in LISTS}
    addresses = {row["id"]: row["email"] for row in platform.users}
    grants = [row for rows in platform.course_users.values() for row in rows]
    assert platform.course_users.keys() | platform.course_lessons.keys() <= have["courses"]
    assert (
        platform.lesson_users.keys() | {x for xs in platform.course_lessons.values() for x in xs}
        <= have["lessons"]
    )
    assert grants
    assert all(row["email"] == addresses[row["id"]] for row in grants)


def test_new_lessons_belong_to_courses(api: httpx.Client, platform: Platform) -> None:
    before = {row["id"] for row in platform.lessons}
    platform.churn = 1
    for _ in range(40):
        listed(api, "lessons")
    related = [lesson for lessons in platform.course_lessons.values() for lesson in lessons]
    assert {row["id"] for row in platform.lessons} - before <= {*related}
    assert len(related) == len({*related})


def test_an_empty_platform_fills(serve: Callable[[Any], str]) -> None:
    platform = Platform(churn=1)
    with httpx.Client(base_url=serve(platform), headers={"X-Auth-Token": platform.token}) as api:
        assert (len(listed(api, "users")), len(listed(api, "users"))) == (0, 1)
