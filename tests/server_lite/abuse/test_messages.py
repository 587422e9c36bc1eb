"""Messages that no client sends: each gets a code and a sentence, and the connection stays usable."""

from __future__ import annotations

import pytest
from websockets.exceptions import ConnectionClosed

from tests.server_lite.abuse.conftest import Stranger

DEEP = 10_000
MUTE: dict[str, object] = {"type": "media.mute", "id": 9, "source": "camera", "muted": True}
SELECT: dict[str, object] = {"type": "media.select", "id": 9}


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "message-malformed"),
        ("{", "message-malformed"),
        ("null", "message-malformed"),
        ("[1, 2]", "message-malformed"),
        ('{"id": 1}', "message-malformed"),
        ('{"type": 7, "id": 1}', "message-malformed"),
        ('{"type": "session.hello"', "message-malformed"),
        ('{"type": "session.hello", "id": NaN}', "message-malformed"),
        ('{"type": "media.mute", "name": "\\ud800"}', "message-malformed"),
        ("[" * DEEP + "]" * DEEP, "message-malformed"),
        ('{"type":"session.hello","x":' * (DEEP // 10) + "1" + "}" * (DEEP // 10), "message-malformed"),
    ],
)
def test_what_is_not_a_message_is_refused(member: Stranger, text: str, code: str) -> None:
    assert member.refusal(text) == (code, None)
    assert member.ask(MUTE | {"id": 5}, "media.muted")["re"] == 5


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ({"type": "session.sudo", "id": 9}, "message-unknown"),
        ({"type": "", "id": 9}, "message-unknown"),
        ({"type": "x" * 60_000, "id": 9}, "message-unknown"),
        ({"type": "session.welcome", "id": 9}, "message-unknown"),
        (MUTE | {"source": "nose"}, "message-invalid"),
        (MUTE | {"muted": "yes"}, "message-invalid"),
        ({"type": "media.mute", "id": 9, "source": "camera"}, "message-invalid"),
        (MUTE | {"more": 1}, "message-invalid"),
        (SELECT | {"receive": [{"mid": "a b", "producer": None}]}, "message-invalid"),
        (SELECT | {"receive": [{"mid": "0", "producer": None}] * 500}, "message-invalid"),
        (SELECT | {"receive": {"mid": "0"}}, "message-invalid"),
        ({"type": "media.offer", "id": 9, "sdp": ["v=0"]}, "message-invalid"),
        ({"type": "media.offer", "id": 9}, "message-invalid"),
    ],
)
def test_what_is_wrong_in_a_message_is_named(member: Stranger, message: dict[str, object], code: str) -> None:
    assert member.refusal(message) == (code, 9)


@pytest.mark.parametrize("number", [-1, 2**31, 1.5, "1", True, None, [], 10**400])
def test_a_number_that_is_none_is_not_repeated(member: Stranger, number: object) -> None:
    code, re = member.refusal(MUTE | {"id": number})
    assert (code, re) in (("message-invalid", None), ("message-malformed", None))


def test_binary_frames_are_refused_and_the_meeting_goes_on(member: Stranger) -> None:
    member.say(b"\x00\xff" * 500)
    refused = member.next("session.refused")
    assert refused["code"] == "message-not-text"
    assert member.ask(MUTE, "media.muted")


def test_binary_frame_instead_of_a_hello(stranger: Stranger) -> None:
    stranger.say(b"hello")
    assert stranger.next("session.refused")["code"] == "message-not-text"
    assert stranger.join()["type"] == "session.welcome"


@pytest.mark.parametrize("joined", [False, True])
def test_oversized_messages_are_refused_or_the_connection_is_closed(stranger: Stranger, joined: bool) -> None:
    if joined:
        stranger.join()
    stranger.say(MUTE | {"x": "y" * 65_536})
    try:
        outcome = stranger.next("session.refused")["code"]
    except ConnectionClosed as closed:
        outcome = closed.rcvd.code if closed.rcvd is not None else 0
    assert outcome in ("message-too-large", 1009)  # RFC 6455: message too big


def test_a_huge_message_does_not_stay_in_memory(stranger: Stranger) -> None:
    stranger.repeat_until_cut_off("x" * (16 << 20), most=4)


@pytest.mark.parametrize(
    "message",
    [
        {"type": "media.offer", "id": 3, "sdp": "v=0"},
        SELECT | {"id": 3, "receive": []},
        MUTE | {"id": 3},
    ],
)
def test_nothing_goes_before_the_hello(stranger: Stranger, message: dict[str, object]) -> None:
    assert stranger.refusal(message) == ("hello-first", 3)
    assert stranger.join()["type"] == "session.welcome"


def test_leaving_before_the_hello_is_refused(stranger: Stranger) -> None:
    assert stranger.refusal({"type": "session.leave"}) == ("hello-first", None)


def test_a_second_hello_is_refused(member: Stranger) -> None:
    assert member.refusal(member.hello(id=77, name="Another")) == ("hello-twice", 77)


def test_selecting_a_section_that_was_never_offered(member: Stranger) -> None:
    message = {"type": "media.select", "id": 4, "receive": [{"mid": "9", "producer": None}]}
    assert member.refusal(message) == ("section-unknown", 4)


def test_somebody_who_is_always_wrong_is_cut_off(stranger: Stranger) -> None:
    stranger.repeat_until_cut_off("{", most=200)
