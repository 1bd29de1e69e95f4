"""JSON bodies, strictly read."""

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_pipelines.clients.http import Answer
from sync_pipelines.clients.json_bodies import json_of, kind_of, raise_if_no_objects
from sync_pipelines.errors import SourceUnavailable, UnexpectedAnswer

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def answer(body: bytes, content_type: str = "application/json") -> Answer:
    return Answer(200, {"content-type": content_type}, body, "x")


@given(JSON)
def test_what_is_json_is_read_as_it_is(value: object) -> None:
    assert json_of(answer(json.dumps(value).encode())) == value


@given(st.binary())
def test_any_bytes_are_json_or_an_unavailable_source(body: bytes) -> None:
    with suppress(SourceUnavailable):
        json_of(answer(body))


def test_an_error_has_no_body_for_a_cause() -> None:
    with pytest.raises(SourceUnavailable) as caught:
        json_of(answer(b'{"access_token":"hunter22'))
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


@given(JSON.filter(lambda value: isinstance(value, (list, dict)) and bool(value)), st.data())
def test_a_body_that_was_cut_is_never_taken_for_a_whole_one(value: object, data: st.DataObject) -> None:
    whole = json.dumps(value).encode()
    with pytest.raises(SourceUnavailable):
        json_of(answer(whole[: data.draw(st.integers(0, len(whole) - 1))]))


def test_an_object_that_names_a_field_twice_is_no_object() -> None:
    assert not isinstance(json_of(answer(b'{"a":1,"a":2}')), dict)


@pytest.mark.parametrize("body", [b"\xef\xbb\xbf{}", b"[NaN]", b"[-Infinity]", b"[" * 100_000, b"", b"\xff"])
def test_what_is_nearly_json_is_none(body: bytes) -> None:
    with pytest.raises(SourceUnavailable):
        json_of(answer(body))


@pytest.mark.parametrize(
    "page", [answer(b"\n <!doctype html>"), answer(b"{}", "text/HTML; charset=utf-8"), answer(b"<?xml?>")]
)
def test_a_web_page_is_called_one(page: Answer) -> None:
    with pytest.raises(SourceUnavailable, match="a web page"):
        json_of(page)


@pytest.mark.parametrize(
    ("odd", "of", "refused"), [(20, 20, False), (21, 22, True), (21, 211, False), (0, 0, False)]
)
def test_a_list_of_other_things_than_objects_is_no_list_of_records(odd: int, of: int, refused: bool) -> None:
    rows: list[object] = [*[None] * odd, *[{}] * (of - odd)]
    if refused:
        with pytest.raises(UnexpectedAnswer):
            raise_if_no_objects(rows, "x")
    else:
        raise_if_no_objects(rows, "x")


@given(JSON)
def test_the_kind_of_a_value_is_told_without_the_value(value: object) -> None:
    assert kind_of(value) in {
        *("null", "true or false", "text", "empty text", "a number", "a fraction", "an object", "a list")
    }
