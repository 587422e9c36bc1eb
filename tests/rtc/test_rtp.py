from __future__ import annotations

import pytest
from aiortc.rtp import RtpPacket as PeerPacket
from hypothesis import given
from hypothesis import strategies as st

from rtc.errors import PacketError
from rtc.rtp import RtpPacket, is_rtcp
from tests.rtc.strategies import mutated, rtp_packets


def packet(**changes: object) -> RtpPacket:
    fields: dict[str, object] = {
        "payload_type": 96,
        "sequence_number": 65535,
        "timestamp": 0xFFFFFFFF,
        "ssrc": 0x01020304,
        "marker": True,
        "payload": b"payload",
    }
    return RtpPacket(**{**fields, **changes})  # type: ignore[arg-type]


@given(rtp_packets())
def test_what_is_written_is_read(original: RtpPacket) -> None:
    assert RtpPacket.parse(original.serialize()) == original


@given(st.binary(max_size=200) | mutated(rtp_packets().map(RtpPacket.serialize)))
def test_any_bytes_are_a_packet_or_an_error(data: bytes) -> None:
    try:
        parsed = RtpPacket.parse(data)
    except PacketError:
        return
    assert len(parsed.payload) <= len(data) - 12
    assert RtpPacket.parse(parsed.serialize()) == parsed


@given(rtp_packets())
def test_aiortc_reads_the_same(original: RtpPacket) -> None:
    peer = PeerPacket.parse(original.serialize())
    assert (peer.payload_type, peer.sequence_number, peer.timestamp, peer.ssrc) == (
        original.payload_type,
        original.sequence_number,
        original.timestamp,
        original.ssrc,
    )
    assert (bool(peer.marker), peer.payload, tuple(peer.csrc)) == (
        original.marker,
        original.payload,
        original.csrc,
    )


def test_header_bytes() -> None:
    assert packet().serialize() == b"\x80\xe0\xff\xff\xff\xff\xff\xff\x01\x02\x03\x04payload"


def test_small_extensions_take_the_one_byte_form() -> None:
    data = packet(extensions={1: b"0", 14: b"a" * 16}).serialize()
    assert data[12:18] == b"\xbe\xde\x00\x05\x100"
    assert data[18] == 0xEF


@pytest.mark.parametrize("extensions", [{15: b"a"}, {1: b""}, {1: b"a" * 17}, {200: b"a" * 255}])
def test_other_extensions_take_the_two_byte_form(extensions: dict[int, bytes]) -> None:
    data = packet(extensions=extensions).serialize()
    assert data[12:14] == b"\x10\x00"
    assert RtpPacket.parse(data).extensions == extensions


@pytest.mark.parametrize("changes", [{"extensions": {0: b"a"}}, {"extensions": {256: b"a"}}])
def test_extension_ids_out_of_range_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(PacketError):
        packet(**changes).serialize()


def test_extension_values_and_sources_beyond_the_format_are_refused() -> None:
    with pytest.raises(PacketError):
        packet(extensions={1: b"a" * 256}).serialize()
    with pytest.raises(PacketError):
        packet(csrc=tuple(range(16))).serialize()


def test_padding_is_stripped() -> None:
    data = bytearray(packet(payload=b"abc").serialize() + b"\x00\x00\x03")
    data[0] |= 0x20
    assert RtpPacket.parse(bytes(data)).payload == b"abc"


def test_a_packet_of_padding_alone_is_empty() -> None:
    data = bytearray(packet(payload=b"").serialize() + bytes(254) + b"\xff")
    data[0] |= 0x20
    assert RtpPacket.parse(bytes(data)).payload == b""


@pytest.mark.parametrize("padding", [0, 8])
def test_padding_that_lies_is_refused(padding: int) -> None:
    data = bytearray(packet(payload=b"abcdef").serialize() + bytes((padding,)))
    data[0] |= 0x20
    with pytest.raises(PacketError):
        RtpPacket.parse(bytes(data))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        bytes(12),
        b"\x80" + bytes(10),
        b"\x40" + bytes(11),
        b"\x81" + bytes(11),
        b"\x90" + bytes(11),
        b"\x90" + bytes(11) + b"\xbe\xde\x00\x01",
        b"\x90" + bytes(11) + b"\xbe\xde\x00\x01\x1fabc",
        b"\x90" + bytes(11) + b"\x10\x00\x00\x01\x01\x09ab",
        b"\x90" + bytes(11) + b"\x10\x00\x00\x01\x00\x00\x00\x01",
    ],
)
def test_lengths_that_lie_are_refused(data: bytes) -> None:
    with pytest.raises(PacketError):
        RtpPacket.parse(data)


def test_reading_stops_at_the_reserved_id() -> None:
    data = b"\x90" + bytes(11) + b"\xbe\xde\x00\x02\x10a\xf0\x20b\x00\x00\x00"
    assert RtpPacket.parse(data).extensions == {1: b"a"}


def test_padding_between_extensions_is_skipped() -> None:
    data = b"\x90" + bytes(11) + b"\xbe\xde\x00\x02\x00\x10a\x00\x00\x20b\x00"
    assert RtpPacket.parse(data).extensions == {1: b"a", 2: b"b"}


def test_extensions_of_an_unknown_profile_are_skipped() -> None:
    data = b"\x90" + bytes(11) + b"\x12\x34\x00\x01\xff\xff\xff\xffrest"
    parsed = RtpPacket.parse(data)
    assert (parsed.extensions, parsed.payload) == ({}, b"rest")


@pytest.mark.parametrize(
    ("second", "rtcp"), [(191, False), (192, True), (200, True), (223, True), (224, False), (96, False)]
)
def test_rtcp_is_told_apart(second: int, rtcp: bool) -> None:
    assert is_rtcp(bytes((0x80, second, 0, 0))) is rtcp


def test_one_byte_is_not_rtcp() -> None:
    assert not is_rtcp(b"\x80")
