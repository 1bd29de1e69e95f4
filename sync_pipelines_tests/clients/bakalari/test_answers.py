"""What an answer says by its status, and as an object."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_pipelines.clients.bakalari.answers import TokenRefused, object_of
from sync_pipelines.errors import (
    AccessRefused,
    NotFound,
    RateLimited,
    SourceError,
    SourceUnavailable,
    UnexpectedAnswer,
)
from sync_pipelines_tests.clients.bakalari.answers import JSON, answer

NOW = datetime(2026, 11, 21, 12, 0, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (301, UnexpectedAnswer),
        (302, UnexpectedAnswer),
        (400, UnexpectedAnswer),
        (401, TokenRefused),
        (403, AccessRefused),
        (404, NotFound),
        (405, UnexpectedAnswer),
        (408, SourceUnavailable),
        (418, UnexpectedAnswer),
        (429, RateLimited),
        (500, SourceUnavailable),
        (503, SourceUnavailable),
    ],
)
@given(body=st.binary())
def test_a_status_decides_whatever_the_body_is(status: int, error: type[SourceError], body: bytes) -> None:
    with pytest.raises(SourceError) as caught:
        object_of(answer(status=status, body=body), NOW)
    assert type(caught.value) is error


@pytest.mark.parametrize(
    ("said", "seconds"),
    [({}, 60), ({"retry-after": "7"}, 7), ({"retry-after": "x"}, 60), ({"retry-after": "9999"}, 300)],
)
def test_a_limit_is_waited_for_as_long_as_it_says_or_a_minute(said: dict[str, str], seconds: float) -> None:
    with pytest.raises(RateLimited) as caught:
        object_of(answer(status=429, headers=said), NOW)
    assert caught.value.retry_after == seconds


@given(JSON)
def test_only_an_object_is_an_object(value: object) -> None:
    if isinstance(value, dict):
        assert object_of(answer(value), NOW) == value
    else:
        with pytest.raises(UnexpectedAnswer):
            object_of(answer(value), NOW)
