"""/control: what is there can be seen and changed while it serves, and nothing else."""

import json
from typing import Any

import httpx
import pytest

from sync_pipelines.sandbox.webtolearn import Platform
from sync_pipelines.sandbox.webtolearn.faults import FAULTS
from sync_pipelines.sandbox.webtolearn.ranges import MEANINGS
from sync_pipelines_tests.sandbox.asking import EVERYTHING, ids, total

SETTINGS = {
    "range": "inclusive",
    "page_cap": None,
    "filters": "honoured",
    "sort_ignored": False,
    "relation": "none",
    "churn": 0.0,
    "limit_minute": 360,
    "limit_hour": 3600,
    "token": "sandbox-token",
}
OTHERS = {
    "range": "page-size",
    "page_cap": 7,
    "filters": "ignored",
    "sort_ignored": True,
    "relation": "path",
    "churn": 0.5,
    "limit_minute": 0,
    "limit_hour": 1,
    "token": "inny",
}


@pytest.fixture(scope="module")
def platform() -> Platform:
    return Platform.invented(courses=5, lessons=40, users=20)


def state(control: httpx.Client) -> dict[str, Any]:
    answer = control.get("/control")
    assert answer.status_code == 200
    return answer.json()


def sentence(answer: httpx.Response, status: int) -> str:
    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.json().keys() == {"error"}
    return answer.json()["error"]


def test_the_whole_state_is_shown(api: httpx.Client, control: httpx.Client, platform: Platform) -> None:
    assert state(control) == {
        "settings": SETTINGS,
        "faults": [],
        "statistics": {"requests": 0, "by_path": {}, "by_status": {}, "most_in_one_minute": 0},
        "rows": {"courses": 5, "lessons": 40, "users": 20},
        "churned": {"courses": [], "lessons": [], "users": []},
    }


def test_requests_are_counted_by_path_and_status(api: httpx.Client, control: httpx.Client) -> None:
    for path in ("/lesson/list", "/lesson/list", "/training/999/user/list", "/sdsdada", "/user/limits"):
        api.get(path)
    api.get("/lesson/list", headers={"X-Auth-Token": "x"})
    api.post("/lesson/list")
    control.post("/control/faults", json={"fault": "reset"})
    with pytest.raises(httpx.ReadError):
        api.get("/lesson/list")
    counted = state(control)["statistics"]
    assert counted["by_path"] == {
        "/lesson/list": 5,
        "/sdsdada": 1,
        "/training/999/user/list": 1,
        "/user/limits": 1,
    }
    assert counted["by_status"] == {"200": 2, "201": 1, "403": 1, "404": 2, "405": 1, "no answer": 1}
    assert counted["requests"] == 8
    assert 4 <= counted["most_in_one_minute"] <= 8  # a new minute may begin among them


def test_control_is_never_limited_and_needs_no_token(
    api: httpx.Client, control: httpx.Client, platform: Platform
) -> None:
    platform.limit_minute, platform.limit_hour = 1, 1
    for _ in range(5):
        state(control)
    assert [api.get("/user/limits").status_code for _ in range(2)] == [201, 429]
    assert state(control)["statistics"]["requests"] == 2


# Settings.


@pytest.mark.parametrize("name", SETTINGS)
def test_a_setting_is_changed_alone(control: httpx.Client, name: str) -> None:
    assert control.patch("/control", json={name: OTHERS[name]}).json() == state(control)
    assert state(control)["settings"] == SETTINGS | {name: OTHERS[name]}
    assert control.patch("/control", json={name: SETTINGS[name]}).json()["settings"] == SETTINGS


def test_settings_work_at_once(api: httpx.Client, control: httpx.Client, platform: Platform) -> None:
    control.patch("/control", json={"range": "offset-limit", "page_cap": 3, "relation": "query"})
    answer = api.get("/lesson/list", params={"range": "[1,10]"})
    assert (ids(answer), total(answer)) == ([row["id"] for row in platform.lessons[1:4]], 40)
    control.patch("/control", json={"token": "inny"})
    assert api.get("/lesson/list").status_code == 403
    assert api.get("/lesson/list", headers={"X-Auth-Token": "inny"}).status_code == 200


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("range", "exclusive", ", ".join(MEANINGS)),
        ("range", None, "inclusive"),
        ("range", [], "inclusive"),
        ("page_cap", 0, "null or a whole number from 1"),
        ("page_cap", 1.5, "null or a whole number from 1"),
        ("page_cap", True, "null or a whole number from 1"),
        ("filters", "some", "honoured, ignored"),
        ("sort_ignored", "yes", "true or false"),
        ("relation", "both", "none, path, filter, query"),
        ("churn", -1, "a number from 0"),
        ("churn", float("nan"), "a number from 0"),
        ("churn", float("inf"), "a number from 0"),
        ("churn", True, "a number from 0"),
        ("limit_minute", -1, "a whole number from 0"),
        ("limit_hour", "many", "a whole number from 0"),
        ("token", "", "a text that is not empty"),
        ("colour", "blue", ", ".join(SETTINGS)),
    ],
)
def test_a_wrong_setting_is_refused_with_those_allowed_and_changes_nothing(
    control: httpx.Client, name: str, value: object, allowed: str
) -> None:
    body = json.dumps({"page_cap": 9, name: value})
    said = sentence(control.patch("/control", content=body), 400)
    assert name in said
    assert allowed in said
    assert state(control)["settings"] == SETTINGS


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"\xff", b"[" * 100_000])
@pytest.mark.parametrize(
    ("method", "path"),
    [("PATCH", ""), ("POST", "/faults"), ("PUT", "/rows/courses/1"), ("PUT", "/grants/{course}")],
)
def test_a_body_that_is_not_the_json_asked_for_is_refused(
    control: httpx.Client, platform: Platform, method: str, path: str, body: bytes
) -> None:
    if path.startswith("/grants") and body == b"[]":
        return  # a list of no grants is one
    where = path.format(course=platform.courses[0]["id"])
    assert "the body" in sentence(control.request(method, f"/control{where}", content=body), 400)


# Faults.


def test_every_fault_is_listed_with_its_sentence(control: httpx.Client) -> None:
    assert control.get("/control/faults").json() == {name: fault.sentence for name, fault in FAULTS.items()}


def test_a_fault_is_switched_on_and_off(api: httpx.Client, control: httpx.Client) -> None:
    asked = {"fault": "server-error", "path": "/lesson/list", "times": 3, "after": 1, "seconds": 2.0}
    answer = control.post("/control/faults", json=asked)
    assert (answer.status_code, answer.json()) == (201, asked | {"seen": 0, "used": 0, "left": 3})
    assert [api.get("/lesson/list").status_code for _ in range(2)] == [200, 500]
    assert state(control)["faults"] == [asked | {"seen": 2, "used": 1, "left": 2}]
    assert control.delete("/control/faults").status_code == 200
    assert state(control)["faults"] == []
    assert api.get("/lesson/list").status_code == 200


def test_a_name_is_enough(control: httpx.Client) -> None:
    said = control.post("/control/faults", json={"fault": "null"}).json()
    assert (said["path"], said["times"], said["after"], said["left"]) == ("*/list", None, 0, None)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({}, "fault is one of bad-token, "),
        ({"fault": "gremlins"}, "fault is one of bad-token, "),
        ({"fault": ["reset"]}, "fault is one of bad-token, "),
        ({"fault": "reset", "times": 0}, "times is null or a whole number from 1"),
        ({"fault": "reset", "times": "3"}, "times is null or a whole number from 1"),
        ({"fault": "reset", "after": 1.5}, "after is a whole number from 0"),
        ({"fault": "reset", "path": "lesson"}, "path is one below the API's address"),
        ({"fault": "reset", "path": 7}, "path is one below the API's address"),
        ({"fault": "slow", "seconds": "long"}, "seconds is a number"),
        ({"fault": "reset", "often": 1}, "it has fault, path, times, after, seconds"),
    ],
)
def test_a_fault_that_is_none_is_refused(control: httpx.Client, asked: dict[str, Any], said: str) -> None:
    assert said in sentence(control.post("/control/faults", json=asked), 400)
    assert state(control)["faults"] == []


# Rows.


@pytest.mark.parametrize("resource", ["courses", "lessons", "users"])
def test_rows_are_put_replaced_and_removed(control: httpx.Client, platform: Platform, resource: str) -> None:
    def shown() -> list[Any]:
        return control.get(f"/control/rows/{resource}").json()

    before = shown()
    assert before == platform.rows(resource)
    middle = int(before[2]["id"])
    del before[2]
    assert control.delete(f"/control/rows/{resource}/{middle}").json()["id"] == str(middle)
    assert shown() == before
    new = {"id": str(middle), "name": "Nowy", "email": "nowy@szkola.example"}
    answer = control.put(
        f"/control/rows/{resource}/{middle}", json={"name": "Nowy", "email": "nowy@szkola.example"}
    )
    assert (answer.status_code, answer.json()) == (201, new)
    assert shown() == [*before[:2], new, *before[2:]]
    assert control.put(f"/control/rows/{resource}/{middle}", json={"name": None}).status_code == 200
    assert shown()[2] == {"id": str(middle), "name": None}
    assert state(control)["churned"][resource] == [str(middle)]
    assert state(control)["rows"][resource] == len(before) + 1


def test_any_row_can_be_put(api: httpx.Client, control: httpx.Client) -> None:
    for key, row in ((" 7", {"name": "\ud800"}), ("900", {"id": 900, "name": "x\x00"}), ("1.0", {"x": [None]})):
        body = json.dumps(row)
        assert control.put(f"/control/rows/courses/{key}", content=body).status_code == 201
        assert {"id": key} | row in control.get("/control/rows/courses").json()
        assert {"id": key} | row in api.get("/training/list", params={"range": EVERYTHING}).json()


def test_a_row_keeps_the_id_of_its_path(control: httpx.Client) -> None:
    assert 'the row\'s id is "8", the path\'s "7"' in sentence(
        control.put("/control/rows/courses/7", json={"id": "8"}), 400
    )


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/rows/exams"), ("PUT", "/rows/exams/1"), ("DELETE", "/rows/courses/999"), ("PUT", "/grants/999")],
)
def test_what_is_not_there_is_404_with_a_sentence(control: httpx.Client, method: str, path: str) -> None:
    body = b"[]" if "grants" in path else b"{}"
    assert path.split("/")[2 if "exams" in path else -1] in sentence(
        control.request(method, f"/control{path}", content=body), 404
    )


def test_a_courses_grants_are_put(api: httpx.Client, control: httpx.Client, platform: Platform) -> None:
    course = platform.courses[0]["id"]
    rows = [{"id": "1", "email": "a@szkola.example", "expired_at": "Forever"}] * 2
    assert control.put(f"/control/grants/{course}", json=rows).json() == rows
    assert api.get(f"/training/{course}/user/list").json() == rows
    assert "a list of rows" in sentence(control.put(f"/control/grants/{course}", json=[None]), 400)
    assert api.get(f"/training/{course}/user/list").json() == rows


# The rest.


def test_reset_goes_back_to_how_it_began(api: httpx.Client, control: httpx.Client, platform: Platform) -> None:
    began = state(control)
    control.patch(
        "", json=OTHERS | {"limit_minute": 360, "limit_hour": 3600, "token": "sandbox-token", "churn": 3}
    )
    control.post("/control/faults", json={"fault": "null", "times": 2})
    control.delete(f"/control/rows/courses/{platform.courses[0]['id']}")
    control.put(f"/control/grants/{platform.courses[0]['id']}", json=[])
    for path in ("/lesson/list", "/user/list", "/training/list"):
        api.get(path)
    assert state(control) != began
    answer = control.post("/control/reset")
    assert (answer.status_code, answer.json()) == (200, began)
    assert platform == Platform.invented(courses=5, lessons=40, users=20)
    assert api.get("/lesson/list").headers["X-RateLimit-Remaining-Hour"] == "3599"


def test_after_a_reset_the_same_happens_again(
    api: httpx.Client, control: httpx.Client, platform: Platform
) -> None:
    seen: list[Any] = []
    for _ in range(2):
        control.post("/control/reset")
        control.patch("/control", json={"churn": 1.5})
        seen.append([api.get("/lesson/list").json() for _ in range(10)])
    assert seen[0] == seen[1]
    assert seen[0][0] != seen[0][-1]


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/nothing", 404), ("POST", "", 405), ("GET", "/reset", 405)]
)
def test_an_unknown_endpoint_is_a_sentence_too(control: httpx.Client, method: str, path: str, status: int) -> None:
    assert sentence(control.request(method, f"/control{path}"), status) == f"there is no {method} /control{path}"
