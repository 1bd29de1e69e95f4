"""The sandbox keeps the recorded contract (contracts/wtl.md A1–A14); httpx asks, no client of ours."""

import json

import httpx
import pytest

from sync_pipelines.sandbox.webtolearn import Platform
from sync_pipelines_tests.sandbox.asking import BY_ID, ids, total


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
    def found(rule: str) -> int:
        return total(api.get("/training/list", params={"range": "[0,1]", "filter": rule}))

    name = platform.courses[3]["name"]
    assert found(f'[{{"field":"name","type":"equals","value":"{name}"}}]') == 1
    assert found('[{"field":"training_id","type":"equals","value":"-1"}]') == 30


@pytest.mark.parametrize("rule", ["[", "7", '{"field":"name"}', '["name"]', '[{"field":"name","type":"in"}]'])
def test_a_filter_that_cannot_be_read_is_ignored(api: httpx.Client, rule: str) -> None:
    assert total(api.get("/training/list", params={"filter": rule})) == 30


@pytest.mark.parametrize(
    ("kind", "value", "found"),
    [
        ("contains", "ĘZYK", 2),
        ("in", ["Fizyka"], 1),
        ("in", "Fizyka", 1),
        ("not in", ["Fizyka"], 2),
        ("more", "J", 2),
    ],
)
def test_filters_compare_texts(
    api: httpx.Client, platform: Platform, kind: str, value: object, found: int
) -> None:
    platform.courses = [
        {"id": str(i), "name": name} for i, name in enumerate(["Fizyka", "Język polski", "Język niemiecki"])
    ]
    rule = json.dumps([{"field": "name", "type": kind, "value": value}])
    assert total(api.get("/training/list", params={"filter": rule})) == found


def test_a_platform_may_ignore_every_filter(api: httpx.Client, platform: Platform) -> None:
    platform.filters = "ignored"
    rule = '[{"field":"name","type":"equals","value":"nothing"}]'
    assert total(api.get("/training/list", params={"filter": rule})) == 30


def test_a_platform_may_ignore_every_sort(api: httpx.Client, platform: Platform) -> None:
    platform.sort_ignored = True
    listed = [
        ids(api.get("/lesson/list", params={"range": "[0,5000]", "sort": sort})) for sort in (BY_ID, "", "x")
    ]
    assert listed[0] == listed[1] == listed[2]
    assert sorted(listed[0], key=int) == [row["id"] for row in platform.lessons] != listed[0]


def test_a_changed_row_is_sorted_where_it_now_belongs(api: httpx.Client, platform: Platform) -> None:
    def listed(sort: str) -> list[str]:
        return ids(api.get("/lesson/list", params={"range": "[0,5000]", "sort": sort}))

    platform.lessons.reverse()
    assert listed(BY_ID) == sorted(listed(""), key=int)
    platform.lessons[0] = {"id": "0", "name": "A"}
    assert listed(BY_ID)[0] == "0"
    assert listed('["name","ASC"]')[0] == "0"
    platform.lessons[0]["name"] = "ż"
    assert listed('["name","ASC"]')[-1] == "0"


def test_members_of_a_course_have_an_expiry_and_unknown_courses_are_404(
    api: httpx.Client, platform: Platform
) -> None:
    course = platform.courses[0]["id"]
    members = api.get(f"/training/{course}/user/list", params={"range": "[0,1000]"}).json()
    assert members
    assert all(set(row) == {"id", "email", "expired_at"} for row in members)
    answer = api.get("/training/2999/user/list")
    assert answer.status_code == 404
    assert answer.content == b'{"success":false,"message":"Entity training with id 2999 not found"}'  # 68 bytes
    assert api.get("/lesson/299999/user/list").json()["message"] == "Entity lesson with id 299999 not found"


def test_single_objects_have_the_recorded_shapes(api: httpx.Client, platform: Platform) -> None:
    user = platform.users[0]
    assert api.get(f"/user/by-email/{user['email']}").json() == user
    assert api.get("/user/by-email/nobody@szkola.example").status_code == 404
    limits = api.get("/user/limits")
    assert (limits.status_code, limits.json()["used"]) == (201, 60)


def test_an_unknown_route_is_404_with_nothing_in_it(api: httpx.Client) -> None:
    answer = api.get("/sdsdada")
    assert (answer.status_code, answer.content) == (404, b"")


def test_writing_is_not_possible(api: httpx.Client) -> None:
    assert api.post("/training/list").status_code == 405
