"""Who a connectivity check is for, and whether it is one."""

from __future__ import annotations

import pytest
from aioice import stun
from hypothesis import given
from hypothesis import strategies as st

from rtc import checks
from rtc.checks import CheckError
from tests.rtc.checking import binding

NAMES = st.text(st.characters(codec="ascii", exclude_characters=":"), min_size=1, max_size=40)


@given(NAMES, st.text(max_size=20), st.booleans())
def test_the_name_is_found_as_the_parser_finds_it(name: str, other: str, nominate: bool) -> None:
    data = binding(f"{name}:{other}", "p" * 24, nominate=nominate)
    assert checks.user_fragment(data) == name
    request = checks.authentic(data, "p" * 24)
    known = stun.parse_message(data)
    assert request == (known.transaction_id, "USE-CANDIDATE" in known.attributes)
    assert request.nominates is nominate
    with pytest.raises(CheckError, match="stun-not-authorised"):
        checks.authentic(data, "q" * 24)


def outcome(data: bytes) -> str:
    """Why it is refused; empty if it is not. Nothing else may be raised."""
    try:
        checks.user_fragment(data)
        checks.authentic(data, "p" * 24)
    except CheckError as reason:
        return str(reason)
    return ""


@given(st.binary(max_size=200), st.binary(max_size=40))
def test_any_bytes_are_refused_for_a_reason(data: bytes, name: bytes) -> None:
    header = b"\x00\x01\x00\x00\x21\x12\xa4\x42"
    named = b"\x00\x06" + len(name).to_bytes(2, "big") + name + bytes(-len(name) % 4)
    for whole in (data, header + data, header + bytes(12) + named + data):
        assert outcome(whole) in ("stun-malformed", "stun-not-a-check", "stun-not-authorised")


@given(st.data())
def test_a_damaged_check_is_refused(data: st.DataObject) -> None:
    whole = bytearray(binding("name:other", "p" * 24, nominate=True))
    assert outcome(bytes(whole)) == ""
    # What follows the proof, a fingerprint of 8 bytes, proves nothing.
    place = data.draw(st.integers(0, len(whole) - 9))
    whole[place] ^= data.draw(st.integers(1, 255))
    assert outcome(bytes(whole)) != ""


def test_a_name_is_not_looked_for_without_end() -> None:
    padding = b"\x80\x22\x00\x00"  # SOFTWARE, empty
    header, rest = binding("name:other", None)[:20], binding("name:other", None)[20:]
    assert checks.user_fragment(header + padding * 11 + rest) == "name"
    with pytest.raises(CheckError, match="stun-not-a-check"):
        checks.user_fragment(header + padding * 12 + rest)


def test_the_answer_says_how_we_see_the_peer() -> None:
    request = checks.authentic(binding("name:other", "p" * 24), "p" * 24)
    for source in (("192.0.2.1", 1000), ("2001:db8::1", 65535)):
        answer = stun.parse_message(checks.success(request, source, "p" * 24))
        assert answer.transaction_id == request.transaction
        assert answer.message_class == stun.Class.RESPONSE
        assert answer.attributes["XOR-MAPPED-ADDRESS"] == source
        assert answer.check_message_integrity(b"p" * 24)
