"""Any text has a form that PostgreSQL can hold; the server's own word on it is in test_state.py."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_pipelines.postgres.storable import (
    key_of,
    storable,
    stored_key,
    stored_keys,
    stored_versions,
    whole_json,
)

#: Any text, halves of characters included.
texts = st.text(st.characters(exclude_categories=()), min_size=1)


def can_be_held(text: str) -> bool:
    return "\x00" not in text and not any("\ud800" <= c <= "\udfff" for c in text)


@given(st.lists(texts, min_size=1))
def test_any_key_can_be_held_and_comes_back(keys: list[str]) -> None:
    kept = stored_keys(keys)
    assert kept == [stored_key(key) for key in keys]
    assert all(map(can_be_held, kept))
    assert [key_of(text) for text in kept] == keys


@given(st.lists(texts | st.none()))
def test_any_version_can_be_held_and_stays_itself_where_it_could_be_before(versions: list[str | None]) -> None:
    for version, kept in zip(versions, stored_versions(versions), strict=True):
        assert (kept is None) == (version is None)
        assert kept is None or can_be_held(kept)
        assert kept == version or not can_be_held(version or "")


@given(texts)
def test_any_sentence_can_be_held(text: str) -> None:
    assert can_be_held(storable(text))
    assert storable(text) == text or not can_be_held(text)


@pytest.mark.parametrize(
    "payload",
    [
        {"name": "Łąka"},
        None,
        [1, 2.5],
        "\x00",
        {"half": "\ud800"},
        {"n": float("nan")},
        {"n": float("-inf")},
        "\\u0000",
    ],
)
def test_any_payload_is_json_without_nul_halves_and_numbers_that_are_none(payload: Any) -> None:
    text = whole_json(payload)
    assert can_be_held(text)
    kept = json.loads(text, parse_constant=pytest.fail)
    assert kept == payload or set(kept) == {"json"}
