"""/control: schools can be seen and changed while they serve, and nothing else."""

import json
from typing import Any

import httpx
import pytest

from sync_pipelines.sandbox.bakalari import FAULTS, School, bakalari_app

OTHERS = {
    "style": "old",
    "pages": "none",
    "access_seconds": 5,
    "refresh_seconds": 60,
    "refresh_reuses": 1,
    "rotates": False,
    "lost_refreshes": 2,
    "summer": True,
    "holiday": True,
    "down": "unavailable",
    "delay": 0.5,
    "needs_language": True,
    "bulk": False,
    "bulk_complete": False,
    "bulk_token": "key",
    "dummy": True,
    "conflicts": {"a": "b"},
}


def sentence(answer: httpx.Response, status: int) -> str:
    assert answer.status_code == status
    assert answer.json().keys() == {"error"}
    return answer.json()["error"]


def test_schools_are_listed_with_their_counts(control: httpx.Client, school: School) -> None:
    said = control.get("/control").json()
    assert said.keys() == {"gym-01", "empty"}
    assert said["gym-01"]["pupils"] == len(school.pupils)
    assert said["gym-01"]["enrollments"] == len(school.enrolled())
    assert set(said["empty"].values()) == {0}


def test_the_truth_is_shown(control: httpx.Client, school: School, http: httpx.Client) -> None:
    http.get("/api/3")
    said = control.get("/control/gym-01").json()
    assert {tuple(pair) for pair in said["enrollments"]} == school.enrolled()
    assert [row["id"] for row in said["teachers"]] == [teacher.id for teacher in school.teachers]
    assert [row["id"] for row in said["subjects"]] == [subject.id for subject in school.subjects]
    assert [row["id"] for row in said["classes"]] == [class_.id for class_ in school.classes]
    assert [row["code"] for row in said["pupils"]] == [pupil.code for pupil in school.pupils]
    assert {row["username"]: row["password"] for row in said["accounts"]} == {
        name: account.password for name, account in school.accounts.items()
    }
    assert said["requests"]["/api/3"] == 1
    assert said["counts"]["requests"] == school.requests.total()


def test_control_is_not_counted_and_never_down(control: httpx.Client, school: School) -> None:
    before = school.requests.total()
    school.down = "dropped"
    assert control.get("/control/gym-01").status_code == 200
    assert school.requests.total() == before


@pytest.mark.parametrize("name", OTHERS)
def test_a_setting_is_changed_alone(control: httpx.Client, school: School, name: str) -> None:
    before = control.get("/control/gym-01").json()["settings"]
    assert before.keys() == OTHERS.keys()
    assert control.patch("/control/gym-01", json={name: OTHERS[name]}).json() == before | {name: OTHERS[name]}
    assert getattr(school, name) == OTHERS[name] != before[name]


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("style", "newest", "new, old"),
        ("pages", None, "rendered, embedded, none"),
        ("access_seconds", -1, "a whole number from 0"),
        ("access_seconds", True, "a whole number from 0"),
        ("down", "yes", "null, unavailable or dropped"),
        ("down", [], "null, unavailable or dropped"),
        ("delay", float("inf"), "a number from 0"),
        ("summer", 1, "true or false"),
        ("bulk_token", 7, "null or a text"),
        ("conflicts", {"a": 1}, "an object of usernames"),
        ("colour", "blue", "style, pages"),
    ],
)
def test_a_wrong_setting_is_refused_with_those_allowed_and_changes_nothing(
    control: httpx.Client, name: str, value: object, allowed: str
) -> None:
    before = control.get("/control/gym-01").json()["settings"]
    said = sentence(control.patch("/control/gym-01", content=json.dumps({"lost_refreshes": 9, name: value})), 400)
    assert name in said
    assert allowed in said
    assert control.get("/control/gym-01").json()["settings"] == before


def test_a_class_is_renamed_and_keeps_its_id(control: httpx.Client, school: School) -> None:
    class_ = school.classes[0]
    said = control.patch(f"/control/gym-01/classes/{class_.id}", json={"abbrev": "9.Z", "study_year": 9}).json()
    assert said == {"id": class_.id, "abbrev": "9.Z", "name": class_.name, "study_year": 9}
    assert (class_.abbrev, class_.study_year) == ("9.Z", 9)
    assert "there is no class" in sentence(control.patch("/control/gym-01/classes/none", json={}), 404)
    assert "abbrev is a text" in sentence(
        control.patch(f"/control/gym-01/classes/{class_.id}", json={"abbrev": 1}), 400
    )


def test_a_fault_is_switched_on_and_off(control: httpx.Client, http: httpx.Client) -> None:
    assert control.get("/control/gym-01/faults").json() == {name: fault.sentence for name, fault in FAULTS.items()}
    asked = {"fault": "unavailable", "path": "/api/3", "times": 2, "after": 0, "seconds": 1.0}
    answer = control.post("/control/gym-01/faults", json=asked)
    assert (answer.status_code, answer.json()) == (201, asked | {"seen": 0, "used": 0, "left": 2})
    assert http.get("/api/3").status_code == 503
    assert control.get("/control/gym-01").json()["faults"][0]["left"] == 1
    assert control.delete("/control/gym-01/faults").json() == []
    assert http.get("/api/3").status_code == 200


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"fault": "gremlins"}, "fault is one of"),
        ({"fault": "reset", "times": 0}, "times is null or a whole number from 1"),
        ({"fault": "reset", "path": "api"}, "path is one below"),
        ({"fault": "reset", "often": 1}, "a fault has no 'often'"),
    ],
)
def test_a_fault_that_is_none_is_refused(
    control: httpx.Client, school: School, asked: dict[str, Any], said: str
) -> None:
    assert said in sentence(control.post("/control/gym-01/faults", json=asked), 400)
    assert school.faults == []


@pytest.mark.parametrize("body", [b"", b"[]", b"\xff"])
@pytest.mark.parametrize(("method", "path"), [("PATCH", "/control/gym-01"), ("POST", "/control/gym-01/faults")])
def test_a_body_that_is_not_the_json_asked_for_is_refused(
    control: httpx.Client, method: str, path: str, body: bytes
) -> None:
    assert "the body" in sentence(control.request(method, path, content=body), 400)


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/control/nobody"), ("PATCH", "/control/nobody"), ("POST", "/control/nobody/faults")],
)
def test_a_school_that_there_is_not_is_refused_with_those_that_there_are(
    control: httpx.Client, method: str, path: str
) -> None:
    assert "there are gym-01, empty" in sentence(control.request(method, path, json={}), 404)


@pytest.mark.parametrize("path", ["/nobody", "/nobody/api/3", "/control/gym-01/classes"])
def test_an_unknown_path_is_a_sentence_too(server: str, path: str) -> None:
    assert f"there is no GET /bakalari{path}" in sentence(httpx.get(server + path), 404)


@pytest.mark.parametrize("ids", [["a", "a"], ["control"], [""], ["a/b"]])
def test_schools_have_ids_of_their_own_that_are_parts_of_a_path(ids: list[str]) -> None:
    with pytest.raises(ValueError, match="a school cannot have the id"):
        bakalari_app([School(key) for key in ids])
