"""Every fault does what its sentence says, within its limits."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from sync_pipelines.sandbox.webtolearn import Platform
from sync_pipelines.sandbox.webtolearn.faults import FAULTS
from sync_pipelines.sandbox.webtolearn.row_defects import ROW_DEFECTS
from sync_pipelines_tests.sandbox.asking import ids, total

NOW = 1_000_000_800.0  # Sun, 09 Sep 2001 02:00:00 GMT
WHOLE = [{"id": str(i), "name": f"Lekcja {i}: ż"} for i in range(1, 13)]


@pytest.fixture(scope="module")
def platform() -> Platform:
    return Platform(
        lessons=[dict(row) for row in WHOLE],
        courses=[{"id": "1", "name": "Fizyka"}, {"id": "2", "name": "Muzyka"}],
    )


@pytest.fixture(scope="module")
def clock() -> Callable[[], float]:
    return lambda: NOW


def lessons(api: httpx.Client) -> httpx.Response:
    return api.get("/lesson/list", params={"range": "[0,99]"})


def is_not_json(answer: httpx.Response) -> bool:
    try:
        answer.json()
    except ValueError:
        return True
    return False


def says(answer: httpx.Response, status: int, message: str) -> bool:
    return (answer.status_code, answer.json()) == (status, {"success": False, "message": message})


def page(answer: httpx.Response, status: int, text: str) -> bool:
    """An HTML page that some other server could have sent."""
    html = answer.headers["Content-Type"].startswith("text/html") and text in answer.text
    return html and answer.status_code == status and "X-RateLimit-Limit-Hour" not in answer.headers


def limited(answer: httpx.Response, retry_after: str | None = None, window: str = "Minute") -> bool:
    left = answer.headers[f"X-RateLimit-Remaining-{window}"] == "0"
    known = "You have reached your API call limit" in answer.text and is_not_json(answer)
    return known and left and answer.status_code == 429 and answer.headers.get("Retry-After") == retry_after


def first_row(answer: httpx.Response) -> list[tuple[str, Any]]:
    return json.loads(answer.content, object_pairs_hook=list)[0]


NOT_FOUND = "Entity training with id 2999 not found\n"
NOT_UNIQUE = "The email field must contain a unique value.\nThe username field must contain a unique value.\n"

# What an answer with the fault is like, asked for /lesson/list with twelve lessons.
SEEN: dict[str, Callable[[httpx.Response], bool]] = {
    "bad-token": lambda a: (
        (a.status_code, a.content) == (403, b'{"Status":{"message":"Not authenticated"},"Code":403}')
    ),
    "not-found": lambda a: says(a, 404, NOT_FOUND),
    "not-found-polish": lambda a: says(a, 404, "Nie znaleziono żądanego zasobu\n"),
    "bad-request": lambda a: says(a, 400, NOT_UNIQUE) and len(a.content) == 125,
    "rate-limit": limited,
    "rate-limit-retry-after": lambda a: limited(a, "1"),
    "rate-limit-retry-date": lambda a: limited(a, "Sun, 09 Sep 2001 02:00:01 GMT"),
    "hour-used-up": lambda a: limited(a, window="Hour") and a.headers["X-RateLimit-Remaining-Minute"] != "0",
    "licence": lambda a: (a.status_code, a.json()["Code"]) == (402, 402),
    "licence-as-400": lambda a: a.status_code == 400 and is_not_json(a) and '"Code": 402' in a.text,
    "unknown-route": lambda a: (a.status_code, a.content) == (404, b""),
    "status-201": lambda a: (a.status_code, a.json(), total(a)) == (201, WHOLE, 12),
    "server-error": lambda a: a.status_code == 500 and is_not_json(a),
    "bad-gateway": lambda a: page(a, 502, "502 Bad Gateway"),
    "login-page": lambda a: page(a, 200, "<form"),
    "redirect": lambda a: (a.status_code, a.headers["Location"]) == (302, "/login"),
    "cut-json": lambda a: a.status_code == 200 and is_not_json(a) and a.text.startswith('[{"id"'),
    "huge": lambda a: len(a.content) > 40_000_000 and "Content-Length" not in a.headers and a.json() == WHOLE,
    "object": lambda a: a.json() == {str(i): row for i, row in enumerate(WHOLE)},
    "wrapper": lambda a: a.json() == {"data": WHOLE},
    "null": lambda a: a.content == b"null",
    "single-object": lambda a: a.json() == WHOLE[0],
    "error-object-200": lambda a: says(a, 200, NOT_FOUND),
    "no-content-range": lambda a: a.json() == WHOLE and "Content-Range" not in a.headers,
    "bad-content-range": lambda a: a.json() == WHOLE and a.headers["Content-Range"] == "*/0",
    "total-too-small": lambda a: a.json() == WHOLE and total(a) == 11,
    "empty": lambda a: (a.status_code, a.json(), total(a)) == (200, [], 0),
    "empty-first-page": lambda a: (a.status_code, a.json(), total(a)) == (200, [], 12),
    "repeated-id": lambda a: ids(a) == ["1", "1", *(row["id"] for row in WHOLE[2:])] and total(a) == 12,
    "unsorted": lambda a: a.json() == WHOLE[::-1],
    "bom": lambda a: a.content.startswith(b"\xef\xbb\xbf[{"),
    "wrong-charset": lambda a: "Café" in a.content.decode("latin-1") and b"\xe9" in a.content,
    "nan": lambda a: b"NaN" in a.content,
    "duplicate-keys": lambda a: [name for name, _ in first_row(a)].count("id") == 2,
    "deep-nesting": lambda a: a.content.count(b"[" * 100_000) == 1 == a.content.count(b"]" * 100_000),
    "giant-number": lambda a: a.content.startswith(b'[{"id":' + b"9" * 5000 + b","),
}
# And those after which there is no answer to look at.
RAISED: dict[str, type[Exception]] = {
    "hang": httpx.ReadTimeout,
    "reset": httpx.ReadError,
    "truncated": httpx.RemoteProtocolError,
    "bad-gzip": httpx.DecodingError,
}


def test_every_fault_is_tried_and_has_a_sentence() -> None:
    assert {*SEEN, *RAISED, "slow"} == FAULTS.keys() - ROW_DEFECTS.keys()
    assert all(fault.sentence.endswith(".") for fault in FAULTS.values())
    assert len({fault.sentence for fault in FAULTS.values()}) == len(FAULTS)


@pytest.mark.parametrize("fault", SEEN)
def test_a_fault_does_what_it_says_once(api: httpx.Client, platform: Platform, fault: str) -> None:
    platform.switch_on(fault, times=1)
    assert SEEN[fault](lessons(api))
    assert lessons(api).json() == WHOLE


@pytest.mark.parametrize("fault", RAISED)
def test_a_fault_ends_the_connection_or_the_reading_once(
    api: httpx.Client, platform: Platform, fault: str
) -> None:
    platform.switch_on(fault, times=1)
    with pytest.raises(RAISED[fault]):
        api.get("/lesson/list", timeout=0.2 if fault == "hang" else 20)
    assert lessons(api).json() == WHOLE


def test_a_slow_answer_comes_after_its_seconds(api: httpx.Client, platform: Platform) -> None:
    on = platform.switch_on("slow", seconds=3600)
    with pytest.raises(httpx.ReadTimeout):
        api.get("/lesson/list", timeout=0.2)
    on.seconds = 0.01
    assert lessons(api).json() == WHOLE


def test_a_truncated_body_is_shorter_than_it_says(api: httpx.Client, platform: Platform) -> None:
    platform.switch_on("truncated")
    with api.stream("GET", "/lesson/list") as answer:
        promised = int(answer.headers["Content-Length"])
        with pytest.raises(
            httpx.RemoteProtocolError, match=f"received {promised // 2} bytes, expected {promised}"
        ):
            answer.read()


def test_a_redirect_leads_to_the_login_page(api: httpx.Client, platform: Platform) -> None:
    platform.switch_on("redirect")
    answer = api.get("/lesson/list", follow_redirects=True)
    assert (answer.url.path, answer.status_code) == ("/login", 200)
    assert "<form" in answer.text


def test_content_range_is_wrong_in_three_ways_in_turn(api: httpx.Client, platform: Platform) -> None:
    platform.switch_on("bad-content-range")
    said = [lessons(api).headers["Content-Range"] for _ in range(4)]
    assert said == ["*/0", "lessons x", "lessons 0-1012/12", "*/0"]


def test_only_the_first_page_is_empty(api: httpx.Client, platform: Platform) -> None:
    platform.switch_on("empty-first-page")
    assert ids(api.get("/lesson/list", params={"range": "[3,4]"})) == ["4", "5"]


@pytest.mark.parametrize("seconds", [-5, 0, 2.5, 10**9])
def test_a_server_may_ask_for_any_wait(api: httpx.Client, platform: Platform, seconds: float) -> None:
    platform.switch_on("rate-limit-retry-after", seconds=seconds)
    assert float(lessons(api).headers["Retry-After"]) == seconds


@pytest.mark.parametrize(
    "fault", [name for name in FAULTS if name not in ("hang", "reset", "truncated", "bad-gzip")]
)
def test_no_fault_breaks_on_an_empty_list_or_after_another(
    api: httpx.Client, platform: Platform, fault: str
) -> None:
    platform.switch_on("null-rows")
    platform.switch_on("missing-title")
    on = platform.switch_on(fault, seconds=0)
    expected = {"server-error": 500, "bad-gateway": 502}.get(fault, 499)
    assert lessons(api).status_code <= expected
    assert api.get("/user/list").status_code <= expected
    assert on.used == 2


# The limits of a fault.


def test_a_fault_waits_then_comes_then_is_spent(api: httpx.Client, platform: Platform) -> None:
    on = platform.switch_on("server-error", after=2, times=3)
    assert [lessons(api).status_code for _ in range(7)] == [200, 200, 500, 500, 500, 200, 200]
    assert (on.seen, on.used, on.left) == (7, 3, 0)


def test_without_times_it_stays(api: httpx.Client, platform: Platform) -> None:
    on = platform.switch_on("server-error")
    assert [lessons(api).status_code for _ in range(5)] == [500] * 5
    assert on.left is None
    platform.faults.clear()
    assert lessons(api).status_code == 200


@pytest.mark.parametrize(
    ("path", "met"),
    [
        ("*/list", ["/lesson/list", "/training/list", "/training/1/user/list"]),
        ("/lesson/list", ["/lesson/list"]),
        ("/training/*", ["/training/list", "/training/1/user/list"]),
        ("/training/*/user/list", ["/training/1/user/list"]),
        ("*", ["/lesson/list", "/training/list", "/training/1/user/list", "/user/limits"]),
        ("/nothing", []),
    ],
)
def test_a_fault_is_met_on_its_path_only(api: httpx.Client, platform: Platform, path: str, met: list[str]) -> None:
    platform.switch_on("server-error", path=path)
    asked = ["/lesson/list", "/training/list", "/training/1/user/list", "/user/limits"]
    assert [p for p in asked if api.get(p).status_code == 500] == met


def test_a_fault_about_rows_keeps_its_turn_for_a_list(api: httpx.Client, platform: Platform) -> None:
    on = platform.switch_on("null", path="*", times=1)
    assert api.get("/user/limits").status_code == 201
    assert api.get("/lesson/list", headers={"X-Auth-Token": "x"}).status_code == 403
    assert on.seen == 0
    assert lessons(api).json() is None


def test_several_faults_change_one_answer(api: httpx.Client, platform: Platform) -> None:
    for fault in ("bom", "status-201", "unsorted", "no-content-range"):
        platform.switch_on(fault)
    answer = lessons(api)
    assert (answer.status_code, answer.content[:3]) == (201, b"\xef\xbb\xbf")
    assert answer.json() == WHOLE[::-1]
    assert "Content-Range" not in answer.headers


def test_the_limits_count_what_a_fault_answers(api: httpx.Client, platform: Platform) -> None:
    platform.limit_minute = 3
    platform.switch_on("null", times=2)
    assert [lessons(api).status_code for _ in range(4)] == [200, 200, 200, 429]


@pytest.mark.parametrize(
    "wrong",
    [
        {"fault": "no-such"},
        {"fault": "reset", "times": 0},
        {"fault": "reset", "times": True},
        {"fault": "reset", "after": -1},
        {"fault": "reset", "path": "lesson/list"},
        {"fault": "slow", "seconds": float("inf")},
    ],
)
def test_a_fault_that_is_none_is_refused(platform: Platform, wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"^{next(reversed(wrong))} is "):
        platform.switch_on(**wrong)
    assert platform.faults == []
