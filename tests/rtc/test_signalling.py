"""Text to messages and back: whatever comes, it is a message or a refusal."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtc.secret import Secret
from rtc.signalling import (
    MAX_MESSAGE_BYTES,
    MAX_STREAMS,
    Message,
    ProtocolError,
    dump_message,
    media,
    parse_client_message,
    parse_server_message,
    session,
)

TYPES = [
    "session.hello",
    "session.leave",
    "media.offer",
    "media.select",
    "media.mute",
    "session.welcome",
    "x.y",
]
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)
identifiers = st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True)
mids = st.from_regex(r"[A-Za-z0-9_-]{1,16}", fullmatch=True)
numbers = st.integers(0, 2**31 - 1)
plain = st.text(st.characters(exclude_categories=["Cs"]), max_size=50)


def parse(text: str | bytes) -> Message | ProtocolError:
    try:
        return parse_client_message(text)
    except ProtocolError as error:
        return error


@given(st.text(max_size=200) | st.binary(max_size=200))
def test_any_text_is_a_message_or_a_refusal(text: str | bytes) -> None:
    result = parse(text)
    if isinstance(result, ProtocolError):
        assert result.code.startswith("message-")
        assert result.sentence.endswith(".")
        assert len(result.sentence) < 400


@given(
    st.sampled_from(TYPES),
    st.dictionaries(
        st.sampled_from(["id", "token", "name", "protocol", "sdp", "receive", "send", "x"]), json_values
    ),
)
def test_any_object_is_a_message_or_a_refusal_with_its_number(kind: str, fields: dict[str, Any]) -> None:
    result = parse(json.dumps({"type": kind} | fields))
    if isinstance(result, ProtocolError) and result.code != "message-malformed":
        number = fields.get("id")
        usable = type(number) is int and 0 <= number < 2**31
        assert result.re == (number if usable else None)


hellos = st.builds(
    session.Hello,
    id=numbers,
    protocol=st.lists(st.integers(0, 2**31 - 1), min_size=1, max_size=16),
    client=plain,
    room=st.none() | identifiers,
    token=plain.map(Secret),
    name=plain,
    resume=st.none() | plain.map(Secret),
    microphone=st.booleans(),
    camera=st.booleans(),
)
receiving = st.lists(st.builds(media.Receiving, mid=mids, producer=st.none() | identifiers), max_size=5)
sending = st.lists(
    st.builds(media.Sending, mid=mids, source=st.sampled_from(["camera", "microphone", "screen"])), max_size=3
)
client_messages = (
    hellos
    | st.just(session.Leave())
    | st.builds(media.Offer, id=numbers, sdp=plain, send=sending, receive=receiving)
    | st.builds(media.Select, id=numbers, receive=receiving)
    | st.builds(media.Mute, id=numbers, source=st.sampled_from(["camera", "screen"]), muted=st.booleans())
)


@given(client_messages)
def test_a_message_survives_the_wire(message: Message) -> None:
    assert parse_client_message(dump_message(message)) == message


def test_a_message_is_measured_in_bytes() -> None:
    fits = json.dumps({"type": "session.leave", "x": ""})
    filler = MAX_MESSAGE_BYTES - len(fits)
    assert parse(fits.replace('""', f'"{"a" * filler}"')).code == "message-invalid"  # type: ignore[union-attr]
    for text in ("a" * (filler + 1), "ä" * (filler // 2 + 1)):
        with pytest.raises(ProtocolError, match="message-too-large"):
            parse_client_message(fits.replace('""', f'"{text}"'))


def test_nesting_is_refused_without_a_crash() -> None:
    for text in ("[" * 30_000, '{"type":' * 7_000, '{"type":"session.leave","x":' + "[" * 30_000):
        with pytest.raises(ProtocolError, match="message-malformed"):
            parse_client_message(text)


def test_a_lone_surrogate_is_no_text() -> None:
    for text in ('{"type":"session.leave","x":"\\ud800"}', '{"type":"\ud800"}'):
        with pytest.raises(ProtocolError, match="message-malformed"):
            parse_client_message(text)


@pytest.mark.parametrize(
    "message",
    [
        {"type": "media.select", "id": 2, "receive": [{"mid": "m", "producer": None}] * (MAX_STREAMS + 1)},
        {"type": "media.offer", "id": 2, "sdp": "v" * 62_001},
    ],
)
def test_lists_and_descriptions_are_bounded(message: dict[str, Any]) -> None:
    with pytest.raises(ProtocolError, match="message-invalid") as refused:
        parse_client_message(json.dumps(message))
    assert refused.value.re == 2


def test_the_sentence_names_the_field_but_not_what_stood_in_it() -> None:
    secret = "S3cr3t" * 50
    with pytest.raises(ProtocolError) as refused:
        parse_client_message(
            json.dumps({"type": "session.hello", "id": 1, "protocol": [1], "name": "A", "token": secret})
        )
    assert "token" in refused.value.sentence
    assert "S3cr3t" not in str(refused.value)


def test_secrets_have_no_printable_form() -> None:
    hello = session.Hello(
        id=1, protocol=[1], token=Secret("tell-nobody"), name="A", resume=Secret("nor-this")
    )
    for text in (repr(hello), str(hello), f"{hello.token}", f"{hello.token!r}"):
        assert "tell-nobody" not in text
        assert "nor-this" not in text
    assert "tell-nobody" in dump_message(hello)


def test_secrets_are_compared_by_their_text() -> None:
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert hash(Secret("a")) == hash(Secret("a"))
    assert not Secret("")
    assert Secret.random() != Secret.random()


def test_messages_do_not_change() -> None:
    message = session.Leave()
    with pytest.raises(ValueError, match="frozen"):
        message.type = "session.hello"  # type: ignore[assignment]


def test_a_client_may_leave_out_what_has_a_default() -> None:
    text = '{"type":"session.hello","id":0,"protocol":[1],"token":"t","name":"A"}'
    hello = parse_client_message(text)
    assert isinstance(hello, session.Hello)
    assert (hello.room, hello.resume, hello.microphone, hello.camera) == (None, None, True, True)


def test_the_server_s_messages_are_read_by_clients_alone() -> None:
    text = dump_message(media.Speaker(member=None))
    assert parse_server_message(text) == media.Speaker(member=None)
    with pytest.raises(ProtocolError, match="message-unknown"):
        parse_client_message(text)
