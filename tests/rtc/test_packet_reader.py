"""Any bytes from a peer are read, or dropped and counted: nothing else is raised."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtc.errors import PacketError
from rtc.fanout import ExtensionIds, Flag, Kind
from rtc.packet_reader import Packet, become_original, has_room, read_header, red_with_type
from rtc.rtp import RtpPacket
from tests.rtc.fanout_call import CODECS, Call
from tests.rtc.strategies import mutated, rtp_packets

IDS = ExtensionIds(mid=1, level=2, send_time=3, transport_wide=4, dependency=5)


def read(data: bytes) -> Packet:
    packet = Packet(Kind.RTP, data, b"A", 0)
    read_header(packet, IDS)
    return packet


@given(rtp_packets())
def test_the_header_is_read_as_the_packet_library_reads_it(rtp: RtpPacket) -> None:
    data = rtp.serialize()
    assert has_room(data, 12)
    packet = read(data)
    record = packet.record()
    assert (record.payload_type, record.sequence, record.timestamp, record.ssrc, record.size) == (
        rtp.payload_type,
        rtp.sequence_number,
        rtp.timestamp,
        rtp.ssrc,
        len(rtp.payload),
    )
    assert data[packet.start :] == rtp.payload
    level = rtp.extensions.get(2)
    assert record.level == (level[0] & 0x7F if level else 255)
    assert bool(record.flags & Flag.VOICE) == (bool(level) and level is not None and level[0] > 0x7F)


@given(mutated(rtp_packets().map(RtpPacket.serialize)))
def test_what_lies_is_refused_before_or_after_opening(data: bytes) -> None:
    try:
        RtpPacket.parse(data)
    except PacketError:
        if len(data) >= 12 and data[0] & 0xC0 == 0x80:
            with pytest.raises(PacketError):
                read(data)
    else:
        assert has_room(data, 12)
        read(data)


@given(rtp_packets().filter(lambda rtp: len(rtp.payload) >= 2), st.integers(0, 255))
def test_a_repeat_becomes_what_was_sent_first(rtp: RtpPacket, padding: int) -> None:
    data = rtp.serialize()
    if padding:
        data = bytes((data[0] | 0x20,)) + data[1:] + bytes(padding - 1) + bytes((padding,))
    packet = read(data)
    become_original(packet, 96, 1234)
    first = RtpPacket.parse(packet.data)
    assert (first.payload_type, first.ssrc) == (96, 1234)
    assert first.sequence_number == int.from_bytes(rtp.payload[:2], "big")
    assert first.payload == packet.payload == rtp.payload[2:]
    assert (first.timestamp, first.marker, first.csrc, first.extensions) == (
        rtp.timestamp,
        rtp.marker,
        rtp.csrc,
        rtp.extensions,
    )


@given(st.binary(max_size=40), st.integers(0, 127))
def test_red_changes_types_only(payload: bytes, payload_type: int) -> None:
    changed = red_with_type(payload, payload_type)
    assert len(changed) == len(payload)
    for index, (before, after) in enumerate(zip(payload, changed, strict=True)):
        if before != after:
            assert index % 4 == 0
            assert (after & 0x7F, after & 0x80) == (payload_type, before & 0x80)


@given(
    st.lists(
        st.tuples(
            st.sampled_from([*CODECS, 97, 13]),
            st.sampled_from((5, 6, 8)),
            st.binary(max_size=60),
            st.binary(min_size=1, max_size=60),
        ),
        max_size=20,
    )
)
def test_no_payload_and_no_descriptor_stops_the_plane(packets: list[tuple[int, int, bytes, bytes]]) -> None:
    call = Call()
    call.fanout.aim(call.destination(call.receiver()), call.stream(), spatial=1, temporal=1)
    for index, (payload_type, ssrc, payload, descriptor) in enumerate(packets):
        rtp = RtpPacket(payload_type, index, 0, ssrc, True, payload, (), {5: descriptor})
        records = call.fanout.deliver(rtp.serialize(), b"A", 0)
        call.fanout.forward(b"\1" * len(records), 0)
    assert len(call.packets()) <= len(packets)
