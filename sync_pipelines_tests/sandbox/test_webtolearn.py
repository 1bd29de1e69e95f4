"""The sandbox keeps the recorded contract (contracts/wtl.md A1–A14); httpx asks, no client of ours."""

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from sync_pipelines.sandbox.webtolearn import Platform, RateWindow


@pytest.fixture
def platform() -> Platform:
    return Platform.invented(courses=30, lessons=1200, users=60)


@pytest.fixture
def api(serve: Callable[[Any], str], platform: Platform) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=serve(platform), headers={"X-Auth-Token": "sandbox-token"}) as client:
        yield client


def ids(answer: httpx.Response) -> list[str]:
    return [row["id"] for row in answer.json()]


def test_the_same_seed_invents_the_same_school() -> None:
    assert Platform.invented(seed=5) == Platform.invented(seed=5)
    assert Platform.invented(seed=5) != Platform.invented(seed=6)


def test_ids_are_texts_that_ascend_with_gaps(platform: Platform) -> None:
    numbers = [int(row["id"]) for row in platform.lessons]
    assert numbers == sorted(set(numbers))
    assert numbers[-1] > len(numbers)


def test_text_is_polish_and_escaped_on_the_wire(api: httpx.Client) -> None:
    answer = api.get("/training/list", params={"range": "[0,1000]"})
    assert answer.content.isascii()
    assert any(not row["name"].isascii() for row in answer.json())
    assert b", " not in answer.content.split(b'"name"')[0]


@pytest.mark.parametrize("token", [None, "", "hunter22"])
def test_a_wrong_token_is_403_with_the_vendors_body(api: httpx.Client, token: str | None) -> None:
    headers = {} if token is None else {"X-Auth-Token": token}
    answer = httpx.get(f"{api.base_url}training/list", headers=headers)
    assert answer.status_code == 403
    assert answer.json() == {"Status": {"message": "Not authenticated"}, "Code": 403}
    assert answer.headers["X-RateLimit-Remaining-Minute"] == "359"


def test_a_range_is_first_and_last_row(api: httpx.Client, platform: Platform) -> None:
    answer = api.get("/lesson/list", params={"range": "[10,19]"})
    assert ids(answer) == [row["id"] for row in platform.lessons[10:20]]
    assert answer.headers["Content-Range"] == "lessons 10-20/1200"


def test_the_end_of_the_range_is_not_clamped_to_the_total(api: httpx.Client) -> None:
    assert api.get("/training/list", params={"range": "[0,100]"}).headers["Content-Range"] == "trainings 0-101/30"


def test_detection_by_two_small_ranges_says_inclusive(api: httpx.Client) -> None:
    counts = [len(ids(api.get("/lesson/list", params={"range": text}))) for text in ("[0,1]", "[1,1]")]
    assert counts == [2, 1]


def test_sorting_is_by_number_for_ids_and_silently_ignored_when_unreadable(api: httpx.Client) -> None:
    down = ids(api.get("/lesson/list", params={"range": "[0,5000]", "sort": '["id","DESC"]'}))
    assert [int(i) for i in down] == sorted(map(int, down), reverse=True)
    answer = api.get("/lesson/list", params={"range": "[0,5000]", "sort": "[title.DESC]"})
    assert answer.status_code == 200
    assert ids(answer) == down[::-1]


def test_a_filter_on_a_listed_field_filters_and_on_another_is_ignored(
    api: httpx.Client, platform: Platform
) -> None:
    def total(rule: str) -> str:
        return api.get("/training/list", params={"range": "[0,1]", "filter": rule}).headers["Content-Range"]

    name = platform.courses[3]["name"]
    assert total(f'[{{"field":"name","type":"equals","value":"{name}"}}]').endswith("/1")
    assert total('[{"field":"training_id","type":"equals","value":"-1"}]').endswith("/30")


def test_members_of_a_course_have_an_expiry_and_unknown_courses_are_404(
    api: httpx.Client, platform: Platform
) -> None:
    course = platform.courses[0]["id"]
    members = api.get(f"/training/{course}/user/list", params={"range": "[0,1000]"}).json()
    assert members
    assert all(set(row) == {"id", "email", "expired_at"} for row in members)
    answer = api.get("/training/999999/user/list")
    assert (answer.status_code, answer.json()["success"]) == (404, False)


def test_single_objects_have_the_recorded_shapes(api: httpx.Client, platform: Platform) -> None:
    user = platform.users[0]
    assert api.get(f"/user/by-email/{user['email']}").json() == user
    assert api.get("/user/by-email/nobody@szkola.example").status_code == 404
    limits = api.get("/user/limits")
    assert (limits.status_code, limits.json()["used"]) == (201, 60)


def test_an_unknown_route_is_404_with_nothing_in_it(api: httpx.Client) -> None:
    answer = api.get("/training/1/lesson/list")
    assert (answer.status_code, answer.content) == (404, b"")


def test_writing_is_not_possible(api: httpx.Client) -> None:
    assert api.post("/training/list").status_code == 405


def test_the_limit_is_enforced_with_a_body_that_is_not_json(serve: Callable[[Any], str]) -> None:
    platform = Platform(limit_minute=2, limit_hour=2)
    with httpx.Client(base_url=serve(platform), headers={"X-Auth-Token": platform.token}) as api:
        answers = [api.get("/training/list") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert [answer.headers["X-RateLimit-Remaining-Hour"] for answer in answers] == ["1", "0", "0"]
    with pytest.raises(ValueError, match="Expecting"):
        answers[-1].json()


def test_a_new_minute_gives_new_requests_within_the_hours() -> None:
    now = 0.0
    window = RateWindow(2, 3, clock=lambda: now)
    assert [window.spend()[0] for _ in range(3)] == [True, True, False]
    now = 60.0
    assert window.spend()[0] is False
    now = 3600.0
    assert window.spend()[0] is True


def test_a_capped_server_gives_fewer_rows_and_the_true_total(
    serve: Callable[[Any], str], platform: Platform
) -> None:
    platform.page_cap = 50
    answer = httpx.get(
        f"{serve(platform)}/lesson/list", params={"range": "[0,1000]"}, headers={"X-Auth-Token": platform.token}
    )
    assert len(answer.json()) == 50
    assert answer.headers["Content-Range"].endswith("/1200")
