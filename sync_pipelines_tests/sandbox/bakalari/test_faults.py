"""What can go wrong at a school, does as its sentence says."""

import json
from typing import Any

import httpx
import pytest

from sync_pipelines.sandbox.bakalari import FAULTS, Account, School
from sync_pipelines_tests.sandbox.bakalari.asking import by_password, by_refresh_token, get, with_token

# What an answer is instead: a status, a piece of its body, and headers that it has.
REFUSED: dict[str, tuple[int, str, set[str]]] = {
    "server-error": (500, "Internal", set()),
    "bad-gateway": (502, "<html>", set()),
    "unavailable": (503, "<html>", set()),
    "rate-limit": (429, "Message", set()),
    "rate-limit-retry-after": (429, "Message", {"retry-after"}),
    "denied": (401, "Authorization has been denied", set()),
    "forbidden": (403, "privilege", set()),
    "not-found": (404, "404", set()),
    "login-page": (200, "<!DOCTYPE html>", set()),
}
NO_JSON = {"cut-json", "empty-body", "bom"}
NO_ANSWER = {"reset", "truncated", "bad-gzip"}
OTHERS = {
    "slow",
    "hang",
    "huge",
    "null",
    "nan",
    "duplicate-keys",
    "deep-nesting",
    "no-refresh-token",
    "odd-expires-in",
    "no-expires-in",
}


def test_every_fault_has_a_test_and_a_sentence() -> None:
    assert REFUSED.keys() | NO_JSON | NO_ANSWER | OTHERS == FAULTS.keys()
    assert all(fault.sentence.endswith(".") for fault in FAULTS.values())
    assert len({fault.sentence for fault in FAULTS.values()}) == len(FAULTS)


@pytest.mark.parametrize("fault", REFUSED)
def test_a_refusal_is_in_place_of_the_answer_and_of_what_was_asked_for(
    http: httpx.Client, school: School, pupil: Account, fault: str
) -> None:
    school.switch_on(fault, path="/api/login", times=1, seconds=7)
    answer = by_password(http, pupil)
    status, text, headers = REFUSED[fault]
    assert answer.status_code == status
    assert text in answer.text
    assert headers <= answer.headers.keys()
    assert pupil.password_logins == 0
    assert by_password(http, pupil).status_code == 200


@pytest.mark.parametrize("fault", sorted(NO_JSON))
def test_a_body_that_is_no_json_comes_with_200(http: httpx.Client, school: School, fault: str) -> None:
    school.switch_on(fault)
    answer = http.get("/api/3")
    assert answer.status_code == 200
    with pytest.raises(ValueError):  # noqa: PT011
        json.loads(answer.text)


@pytest.mark.parametrize("fault", sorted(NO_ANSWER))
def test_an_answer_that_is_broken_is_not_read(
    http: httpx.Client, school: School, pupil: Account, fault: str
) -> None:
    school.switch_on(fault, path="/api/login")
    with pytest.raises((httpx.TransportError, httpx.DecodingError)):
        by_password(http, pupil)
    assert pupil.password_logins == 1  # it was lost on its way back


def test_an_answer_may_be_late_and_one_may_never_come(http: httpx.Client, school: School) -> None:
    late = school.switch_on("slow", seconds=3600)
    with pytest.raises(httpx.ReadTimeout):
        http.get("/api/3", timeout=0.2)
    late.seconds = 0.01
    assert http.get("/api/3").status_code == 200
    school.delay = 3600
    with pytest.raises(httpx.ReadTimeout):
        http.get("/api/3", timeout=0.2)
    school.delay = 0
    school.switch_on("hang", times=1)
    with pytest.raises(httpx.ReadTimeout):
        http.get("/api/3", timeout=0.2)
    assert http.get("/api/3").status_code == 200


def test_null_comes_in_place_of_an_object(http: httpx.Client, school: School) -> None:
    school.switch_on("null")
    assert http.get("/api/3").json() is None


def test_bodies_that_no_parser_should_like(http: httpx.Client, school: School) -> None:
    for fault, text in (("nan", "NaN"), ("duplicate-keys", '"x":1,"x":2'), ("deep-nesting", "[" * 100_000)):
        school.switch_on(fault, times=1)
        assert text in http.get("/api/3").text


def test_a_huge_body_is_streamed(http: httpx.Client, school: School) -> None:
    school.switch_on("huge")
    with http.stream("GET", "/api/3") as answer:
        assert "Content-Length" not in answer.headers


def test_a_logins_answer_may_lack_what_it_should_say(http: httpx.Client, school: School, pupil: Account) -> None:
    good = by_password(http, pupil).json()
    for fault, field in (("no-refresh-token", "refresh_token"), ("no-expires-in", "expires_in")):
        school.switch_on(fault, path="/api/login", times=1)
        assert good.keys() - by_refresh_token(http, good["refresh_token"]).json().keys() == {field}
    school.switch_on("odd-expires-in", path="/api/login")
    assert [by_password(http, pupil).json()["expires_in"] for _ in range(4)] == ["3599", 0, -1, None]


def test_a_fault_is_for_the_paths_it_names_and_for_so_many_requests(
    http: httpx.Client, school: School, superuser: Account
) -> None:
    token = by_password(http, superuser).json()["access_token"]
    school.switch_on("unavailable", path="/api/3/marking/*", times=2, after=1)
    statuses = [with_token(http, token, "/api/3/marking/atoms").status_code for _ in range(4)]
    assert statuses == [200, 503, 503, 200]
    assert with_token(http, token).status_code == 200


def test_subjects_may_be_forbidden_for_good(http: httpx.Client, school: School, pupil: Account) -> None:
    school.switch_on("forbidden", path="/api/3/subjects")
    assert [get(http, pupil, "/api/3/subjects").status_code for _ in range(2)] == [403, 403]
    assert get(http, pupil, "/api/3/user").status_code == 200


def test_a_school_may_be_down_in_two_ways(http: httpx.Client, school: School, pupil: Account) -> None:
    school.down = "unavailable"
    assert by_password(http, pupil).status_code == 503
    school.down = "dropped"
    with pytest.raises(httpx.TransportError):
        by_password(http, pupil)
    assert pupil.password_logins == 0
    school.down = None
    assert by_password(http, pupil).status_code == 200


def test_some_servers_want_a_language(http: httpx.Client, school: School, url: str) -> None:
    school.needs_language = True
    assert http.get("/api/3").status_code == 200
    with httpx.Client() as client:
        assert client.get(f"{url}/api/3").status_code == 500
    school.needs_language = False
    assert httpx.get(f"{url}/api/3").status_code == 200


def test_a_fault_that_there_is_not_is_refused(school: School) -> None:
    with pytest.raises(ValueError, match="fault is one of"):
        school.switch_on("gremlins")


# The public dummy server.


def test_the_dummy_lets_anybody_in_and_takes_the_password_for_a_class(http: httpx.Client, school: School) -> None:
    school.dummy = True
    said: list[Any] = []
    for name, password in (("anna", "1.A"), ("bára", "2.B")):
        login = http.post("/api/login", data={"grant_type": "password", "username": name, "password": password})
        pair = login.json()
        again = by_refresh_token(http, pair["refresh_token"]).json()
        assert (again["access_token"], again["refresh_token"]) == (pair["access_token"], pair["refresh_token"])
        assert (pair["bak:UserId"], len(pair["access_token"])) == ("1", 2000)
        said.append(with_token(http, pair["access_token"]).json())
    assert {row["UserUID"] for row in said} == {"1234/the_id"}
    assert [row["FullName"] for row in said] == ["anna, 1.A", "bára, 2.B"]
    assert [row["Class"]["Abbrev"] for row in said] == ["1.A", "2.B"]


def test_the_dummys_refusals_have_no_body(http: httpx.Client, school: School) -> None:
    school.dummy = True
    assert http.get("/api/3").json()["BaseUrl"] == "api/3"
    for path, status in (("/api", 400), ("/api/3/subjects", 400), ("/api/3/user", 401)):
        answer = http.get(path)
        assert (answer.status_code, answer.content) == (status, b"")
        assert "WWW-Authenticate" not in answer.headers
