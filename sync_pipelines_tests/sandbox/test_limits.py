"""The limits on requests (contracts/wtl.md A11), by a clock of the test's own."""

import httpx
import pytest

from sync_pipelines.sandbox.webtolearn import Platform, RateWindow

BEGINNING = 1_000_000_800.0  # of an hour: Sun, 09 Sep 2001 02:00:00 GMT


class Clock:
    """Stands still until it is set; seconds since 1970."""

    now = BEGINNING

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="module")
def clock() -> Clock:
    return Clock()


@pytest.fixture(autouse=True)
def beginning(clock: Clock) -> None:
    clock.now = BEGINNING


@pytest.fixture(scope="module")
def platform() -> Platform:
    return Platform(limit_minute=2, limit_hour=5)


def statuses(api: httpx.Client, count: int) -> list[int]:
    return [api.get("/training/list").status_code for _ in range(count)]


def test_a_new_minute_gives_new_requests_within_the_hours() -> None:
    now = 0.0
    window = RateWindow(2, 3, clock=lambda: now)
    assert [window.spend()[0] for _ in range(3)] == [True, True, False]
    now = 60.0
    assert window.spend()[0] is False
    now = 3600.0
    assert window.spend()[0] is True


def test_the_limit_of_the_minute_ends_with_it(api: httpx.Client, clock: Clock) -> None:
    assert statuses(api, 3) == [200, 200, 429]
    clock.now += 59
    assert statuses(api, 1) == [429]
    clock.now += 1
    assert statuses(api, 1) == [200]


def test_refused_requests_count_and_so_do_wrong_tokens(api: httpx.Client, clock: Clock) -> None:
    assert api.get("/training/list", headers={"X-Auth-Token": "x"}).status_code == 403
    assert statuses(api, 3) == [200, 429, 429]
    clock.now += 60
    assert statuses(api, 2) == [200, 429]  # the sixth of five in this hour
    clock.now += 3600 - 60
    assert statuses(api, 1) == [200]


def test_a_refusal_is_the_vendors_body_that_is_not_json(api: httpx.Client) -> None:
    refused = [api.get("/training/list") for _ in range(3)][-1]
    assert "You have reached your API call limit" in refused.text
    assert "retry-after" not in refused.headers
    with pytest.raises(ValueError, match="Expecting"):
        refused.json()


def test_every_answer_says_what_is_left(api: httpx.Client) -> None:
    answers = [api.get("/training/list") for _ in range(3)]
    assert [answer.headers["X-RateLimit-Remaining-Minute"] for answer in answers] == ["1", "0", "0"]
    assert [answer.headers["X-RateLimit-Remaining-Hour"] for answer in answers] == ["4", "3", "2"]
    assert {answer.headers["X-RateLimit-Limit-Minute"] for answer in answers} == {"2"}
    assert {answer.headers["X-RateLimit-Limit-Hour"] for answer in answers} == {"5"}


def test_limits_change_while_it_serves(api: httpx.Client, platform: Platform) -> None:
    assert statuses(api, 3) == [200, 200, 429]
    platform.limit_minute = 4
    answer = api.get("/training/list")
    assert (answer.status_code, answer.headers["X-RateLimit-Limit-Minute"]) == (200, "4")
    platform.limit_minute, platform.limit_hour = 10**9, 4
    assert statuses(api, 1) == [429]


def test_the_date_is_the_clocks(api: httpx.Client, clock: Clock) -> None:
    assert api.get("/training/list").headers.get_list("date") == ["Sun, 09 Sep 2001 02:00:00 GMT"]
    clock.now += 61
    assert api.get("/training/list").headers.get_list("date") == ["Sun, 09 Sep 2001 02:01:01 GMT"]


def test_unknown_routes_cost_nothing(api: httpx.Client) -> None:
    for _ in range(9):
        assert api.get("/training/1/lesson/list").status_code == 404
    assert statuses(api, 3) == [200, 200, 429]
