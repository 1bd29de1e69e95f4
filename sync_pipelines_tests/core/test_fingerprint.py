import subprocess
import sys
import unicodedata
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from sync_pipelines.core import fingerprint

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.text(), json_values))
def test_the_order_of_keys_does_not_matter(value: dict[str, object]) -> None:
    assert fingerprint(value) == fingerprint(dict(reversed(value.items())))


@given(json_values, json_values)
def test_different_values_have_different_fingerprints(a: object, b: object) -> None:
    if _nfc(a) != _nfc(b):
        assert fingerprint(a) != fingerprint(b)


@given(st.text())
def test_two_unicode_spellings_of_a_text_are_one(text: str) -> None:
    assert fingerprint(unicodedata.normalize("NFC", text)) == fingerprint(unicodedata.normalize("NFD", text))


def test_one_and_the_text_one_differ() -> None:
    assert len({fingerprint(v) for v in (1, "1", " 1", 1.5, True, None, "", [], {})}) == 9


def test_half_a_character_has_a_fingerprint_too() -> None:
    assert fingerprint("\ud800") != fingerprint("\ud801")


def test_it_is_the_same_in_every_process() -> None:
    code = "from sync_pipelines.core import fingerprint; print(fingerprint({'b': [1, 'ż'], 'a': None}))"
    said = {
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert said == {f"{fingerprint({'a': None, 'b': [1, 'ż']})}\n".encode()}


def test_a_record_is_its_fields() -> None:
    @dataclass(frozen=True)
    class Room:
        id: str
        name: str

    assert fingerprint(Room("1", "A")) == fingerprint({"id": "1", "name": "A"})


def _nfc(value: object) -> object:
    """What canonical equality means: composed text, and types told apart as JSON does."""
    if isinstance(value, str):
        return ("s", unicodedata.normalize("NFC", value))
    if isinstance(value, list):
        return [_nfc(v) for v in value]
    if isinstance(value, dict):
        return {unicodedata.normalize("NFC", k): _nfc(v) for k, v in value.items()}
    return (type(value).__name__, value)
