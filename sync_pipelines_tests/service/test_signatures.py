"""What is signed well is taken, what differs in one bit is not; secrets as people set them."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from sync_pipelines.service.signatures import TOLERANCE_SECONDS, NotSigned, check, secrets_of, sign

NOW = 1_790_000_000
SECRET = "correct-horse-battery"
OLDER = "whsec_" + base64.b64encode(b"staple-of-some-length").decode()

visible = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters="."), min_size=1)
calls = st.tuples(visible, st.integers(NOW - TOLERANCE_SECONDS, NOW + TOLERANCE_SECONDS).map(str), st.binary())
keys = st.binary(min_size=16)


def is_taken(secret: bytes, call_id: str, timestamp: str, signature: str, body: bytes) -> bool:
    try:
        return check([secret], [call_id], [timestamp], [signature], body, NOW) == call_id
    except NotSigned:
        return False


@given(secret=keys, call=calls)
def test_what_is_signed_with_the_secret_is_taken(secret: bytes, call: tuple[str, str, bytes]) -> None:
    call_id, timestamp, body = call
    assert is_taken(secret, call_id, timestamp, sign(secret, *call), body)


@given(secret=keys, call=calls, data=st.data())
def test_what_differs_in_one_bit_from_what_was_signed_is_not(
    secret: bytes, call: tuple[str, str, bytes], data: st.DataObject
) -> None:
    call_id, timestamp, body = call
    parts = [secret, call_id.encode(), timestamp.encode(), sign(secret, *call).encode(), body]
    which = data.draw(st.sampled_from([number for number, part in enumerate(parts) if part]))
    bit = data.draw(st.integers(0, 8 * len(parts[which]) - 1))
    other = bytearray(parts[which])
    other[bit // 8] ^= 1 << bit % 8
    parts[which] = bytes(other)
    key, *headers, sent = parts
    call_id, timestamp, signature = (header.decode("latin-1") for header in headers)
    assert not is_taken(key, call_id, timestamp, signature, sent)


@given(call=calls, others=st.lists(keys, max_size=3), place=st.integers(0, 3), secret=keys)
def test_one_good_signature_among_others_is_enough_and_so_is_one_good_secret(
    call: tuple[str, str, bytes], others: list[bytes], place: int, secret: bytes
) -> None:
    call_id, timestamp, body = call
    all_of_them = [*others[:place], secret, *others[place:]]
    signatures = " ".join([*(sign(one, *call) for one in all_of_them), "v2,else", "v1"])
    assert check([secret], [call_id], [timestamp], [signatures], body, NOW) == call_id
    assert check(all_of_them, [call_id], [timestamp], [sign(secret, *call)], body, NOW) == call_id


@given(seconds=st.integers(-(10**6), 10**6))
def test_a_call_is_taken_for_five_minutes_before_and_after_its_timestamp(seconds: int) -> None:
    timestamp = str(NOW + seconds)
    signature = sign(SECRET.encode(), "a", timestamp, b"")
    assert is_taken(SECRET.encode(), "a", timestamp, signature, b"") == (abs(seconds) <= TOLERANCE_SECONDS)


@pytest.mark.parametrize("which", range(3))
@pytest.mark.parametrize("many", [0, 2])
def test_each_of_the_three_headers_is_there_once(which: int, many: int) -> None:
    signature = sign(SECRET.encode(), "a", str(NOW), b"")
    headers = [["a"], [str(NOW)], [signature]]
    headers[which] *= many
    with pytest.raises(NotSigned, match="each once"):
        check([SECRET.encode()], *headers, b"", NOW)  # pyright: ignore[reportCallIssue]


def test_secrets_are_texts_or_base64_and_of_several_each_is_good() -> None:
    assert secrets_of("X", None) == ()
    assert secrets_of("X", SecretStr(f" {SECRET}, {OLDER}\n")) == (SECRET.encode(), b"staple-of-some-length")
    assert secrets_of("X", SecretStr(OLDER.rstrip("="))) == (b"staple-of-some-length",)
