from __future__ import annotations

import pytest
from aiortc.codecs.vpx import VpxPayloadDescriptor
from hypothesis import given
from hypothesis import strategies as st

from rtc import vp8
from rtc.errors import PacketError
from rtc.vp8 import Vp8Descriptor, depacketize, packetize, rewrite_vp8, starts_key_frame
from tests.rtc.strategies import KEY_HEAD, mutated, vp8_frame


@st.composite
def descriptors(draw: st.DrawFn) -> Vp8Descriptor:
    wide = draw(st.booleans())
    picture_id = draw(st.none() | st.integers(0, 0x7FFF if wide else 0x7F))
    tid = draw(st.none() | st.integers(0, 3))
    return Vp8Descriptor(
        start=draw(st.booleans()),
        partition=draw(st.integers(0, 7)),
        picture_id=picture_id,
        tl0picidx=draw(st.none() | st.integers(0, 255)),
        tid=tid,
        layer_sync=tid is not None and draw(st.booleans()),
        keyidx=draw(st.none() | st.integers(0, 31)),
        non_reference=draw(st.booleans()),
        wide_picture_id=wide or picture_id is None,
    )


@given(descriptors(), st.binary(min_size=1, max_size=20))
def test_what_is_written_is_read(descriptor: Vp8Descriptor, data: bytes) -> None:
    head = descriptor.serialize()
    assert Vp8Descriptor.parse(head + data) == (descriptor, len(head))
    assert depacketize(head + data) == (descriptor, data)


@given(descriptors())
def test_aiortc_reads_the_same(descriptor: Vp8Descriptor) -> None:
    peer, rest = VpxPayloadDescriptor.parse(descriptor.serialize() + b"data")
    assert rest == b"data"
    assert (peer.picture_id, peer.tl0picidx, peer.keyidx) == (
        descriptor.picture_id,
        descriptor.tl0picidx,
        descriptor.keyidx,
    )


@given(st.binary(max_size=12) | mutated(descriptors().map(Vp8Descriptor.serialize)))
def test_any_bytes_are_a_descriptor_or_an_error(payload: bytes) -> None:
    starts_key_frame(payload)
    for read in (depacketize, lambda p: rewrite_vp8(p, 1, 2)):
        try:
            read(payload)
        except PacketError:
            pass


@given(
    descriptors(), st.binary(max_size=20), st.none() | st.integers(0, 0x7FFF), st.none() | st.integers(0, 255)
)
def test_rewriting_changes_two_fields_and_nothing_else(
    descriptor: Vp8Descriptor, data: bytes, picture_id: int | None, tl0picidx: int | None
) -> None:
    payload = rewrite_vp8(descriptor.serialize() + data, picture_id, tl0picidx)
    if descriptor.picture_id is not None and picture_id is not None:
        descriptor.picture_id = picture_id if descriptor.wide_picture_id else picture_id & 0x7F
    if descriptor.tl0picidx is not None and tl0picidx is not None:
        descriptor.tl0picidx = tl0picidx
    assert payload == descriptor.serialize() + data


@given(
    st.binary(min_size=1, max_size=4000),
    st.none() | st.integers(0, 0x7FFF),
    st.none() | st.integers(0, 255),
    st.integers(16, 1180),
)
def test_a_frame_survives_packets(
    frame: bytes, picture_id: int | None, tl0picidx: int | None, max_payload: int
) -> None:
    payloads = packetize(frame, picture_id, max_payload, tl0picidx)
    parts = [depacketize(payload) for payload in payloads]
    assert b"".join(data for _, data in parts) == frame
    assert max(map(len, payloads)) <= max_payload
    assert [descriptor.starts_frame for descriptor, _ in parts] == [True] + [False] * (len(parts) - 1)
    assert {(d.picture_id, d.tl0picidx) for d, _ in parts} == {(picture_id, tl0picidx)}


def test_payloads_are_of_nearly_equal_size() -> None:
    sizes = [len(payload) for payload in packetize(bytes(1200), 5)]
    assert len(sizes) == 2
    assert max(sizes) - min(sizes) <= 1


def test_an_empty_frame_gives_nothing() -> None:
    assert packetize(b"", 1) == []


def test_no_room_is_refused() -> None:
    with pytest.raises(ValueError, match="no room"):
        packetize(b"abc", 1, max_payload=4)


def test_key_frames_are_known_by_their_first_packet() -> None:
    first, second = packetize(vp8_frame(True, 100), 3, max_payload=80)
    assert starts_key_frame(first)
    assert not starts_key_frame(second)
    assert not starts_key_frame(packetize(vp8_frame(False, 100), 3)[0])
    assert vp8.is_key_frame(KEY_HEAD)
    assert not vp8.is_key_frame(KEY_HEAD[:9])
    assert not vp8.is_key_frame(b"\x10" + bytes(20))


@pytest.mark.parametrize("payload", [b"", b"\x90", b"\x90\x80", b"\x90\x80\x81", b"\x90\x40", b"\x90\x20"])
def test_a_payload_that_ends_too_soon_is_refused(payload: bytes) -> None:
    with pytest.raises(PacketError):
        depacketize(payload)


def test_a_payload_without_data_is_refused() -> None:
    with pytest.raises(PacketError):
        depacketize(b"\x10")
