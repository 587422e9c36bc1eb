"""Receivers that know Opus alone get the Opus that is in RED (RFC 2198), from both forwarding planes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtc.fanout import Codec, DestinationPlan
from rtc.fanout_red import primary
from rtc.rtp import RtpPacket
from tests.rtc.fanout_sealed import SSRC, MakePlane, SealedCall, each_plane

RED, OPUS = 63, 111


def red(*repeated: bytes, last: bytes, payload_type: int = OPUS) -> bytes:
    """The payload: what is repeated, each 960 ticks older than the next, and the primary block."""
    heads = b""
    for index, block in enumerate(repeated):
        offset = 960 * (len(repeated) - index)
        heads += (1 << 31 | OPUS << 24 | offset << 10 | len(block)).to_bytes(4, "big")
    return heads + bytes((payload_type,)) + b"".join(repeated) + last


def comes(call: SealedCall, sequence: int, payload: bytes, payload_type: int = RED) -> None:
    packet = RtpPacket(payload_type, sequence, sequence * 960, SSRC, False, payload, (), {1: b"\x92"})
    data = call.sender.seal_rtp(packet.serialize())
    assert data is not None
    assert len(call.comes(data)) == 1


@each_plane
def test_the_primary_block_goes_out_as_opus(make: MakePlane) -> None:
    call = SealedCall(make)
    comes(call, 1, red(b"older", b"old", last=b"now"))
    comes(call, 2, red(last=b"alone"))
    comes(call, 3, red(b"", last=b"nothing repeated"))
    comes(call, 4, b"plain", OPUS)
    packets = call.packets()
    assert [packet.payload for packet in packets] == [b"now", b"alone", b"nothing repeated", b"plain"]
    assert {packet.payload_type for packet in packets} == {109}
    assert [packet.sequence_number for packet in packets] == [1, 2, 3, 4]
    assert [packet.timestamp for packet in packets] == [960, 1920, 2880, 3840]
    assert [packet.extensions[2] for packet in packets] == [b"\x92"] * 4
    state = call.plane.destination_state(call.destination)
    assert (state.packets, state.octets) == (4, 3 + 5 + 16 + 5)


@each_plane
@pytest.mark.parametrize(
    "payload",
    [
        b"\xef",
        b"\xef\0\0",
        b"\xef\0\0\1",
        red(b"old", last=b""),
        red(b"old", last=b"new")[:7],
        b"\xef\0\xff\xff\x6fshorter than it says",
        red(b"old", last=b"digits", payload_type=101),
    ],
)
def test_what_holds_no_opus_leaves_no_gap(make: MakePlane, payload: bytes) -> None:
    call = SealedCall(make)
    comes(call, 1, red(last=b"one"))
    comes(call, 2, payload)
    comes(call, 3, red(last=b"two"))
    assert [(packet.sequence_number, packet.payload) for packet in call.packets()] == [
        (1, b"one"),
        (2, b"two"),
    ]
    assert call.plane.destination_state(call.destination).dropped == 0


@each_plane
def test_receivers_that_know_red_get_all_of_it(make: MakePlane) -> None:
    call = SealedCall(make)
    both = call.plane.open_destination(
        call.sink, DestinationPlan(71, 0, 48000, False, {Codec.OPAQUE: (109, 0), Codec.RED: (110, 0)})
    )
    neither = call.plane.open_destination(
        call.sink, DestinationPlan(72, 0, 90000, True, {Codec.OPAQUE: (109, 0)})
    )
    for destination in (both, neither):
        call.plane.aim(destination, call.stream)
    comes(call, 1, red(b"old", last=b"new"))
    found = {packet.ssrc: (packet.payload_type, packet.payload) for packet in call.packets()}
    assert found == {70: (109, b"new"), 71: (110, b"\xed\x0f\0\3\x6doldnew")}


@given(
    st.lists(st.binary(max_size=1023), max_size=6), st.binary(min_size=1, max_size=80), st.integers(0, 127)
)
def test_the_last_block_is_found(repeated: list[bytes], last: bytes, payload_type: int) -> None:
    assert primary(red(*repeated, last=last, payload_type=payload_type)) == (payload_type, last)


@given(st.binary(max_size=60))
def test_any_bytes_are_read_within_their_end(payload: bytes) -> None:
    found = primary(payload)
    assert found is None or (found[1] and payload.endswith(found[1]) and found[0] < 128)
