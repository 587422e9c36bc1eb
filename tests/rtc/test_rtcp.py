from __future__ import annotations

import time
from typing import Any

import pytest
from aiortc import rtp as peer
from hypothesis import given
from hypothesis import strategies as st

from rtc.errors import PacketError
from rtc.rtcp import (
    MAX_COMPOUND_SIZE,
    FullIntraRequest,
    GenericNack,
    Goodbye,
    PictureLossIndication,
    ReceiverEstimate,
    ReceiverReport,
    ReportBlock,
    RtcpPacket,
    SdesChunk,
    SenderReport,
    SourceDescription,
    UnknownRtcp,
    parse_compound,
    serialize_compound,
)
from tests.rtc.strategies import mutated, u8, u16, u32

blocks = st.builds(ReportBlock, u32, u8, st.integers(-0x800000, 0x7FFFFF), u32, u32, u32, u32)
chunks = st.builds(
    SdesChunk,
    u32,
    st.lists(st.tuples(st.integers(1, 255), st.binary(max_size=20)), max_size=3).map(tuple),
)
block_tuples = st.lists(blocks, max_size=4).map(tuple)
packets: st.SearchStrategy[RtcpPacket] = st.one_of(
    st.builds(SenderReport, u32, st.integers(0, 2**64 - 1), u32, u32, u32, block_tuples),
    st.builds(ReceiverReport, u32, block_tuples),
    st.builds(SourceDescription, st.lists(chunks, max_size=3).map(tuple)),
    st.builds(Goodbye, st.lists(u32, max_size=31).map(tuple), st.binary(max_size=255)),
    st.builds(PictureLossIndication, u32, u32),
    st.builds(FullIntraRequest, u32, st.lists(st.tuples(u32, u8), max_size=3).map(tuple), u32),
    st.builds(ReceiverEstimate, u32, st.integers(0, 0x3FFFF), st.lists(u32, max_size=3).map(tuple)),
    st.builds(UnknownRtcp, st.just(204), st.integers(0, 31), st.sampled_from((b"", b"\x00\x01\x02\x03"))),
)


@given(st.lists(packets, min_size=1, max_size=4))
def test_what_is_written_is_read(original: list[RtcpPacket]) -> None:
    assert parse_compound(serialize_compound(original)) == original


@given(st.sets(st.integers(0, 3000), min_size=1, max_size=200), u16)
def test_every_lost_number_arrives(numbers: set[int], first: int) -> None:
    lost = tuple((first + number) & 0xFFFF for number in sorted(numbers))
    [packet] = parse_compound(GenericNack(1, 2, lost).serialize())
    assert packet == GenericNack(1, 2, lost)


@given(st.lists(u16, min_size=1, max_size=100))
def test_lost_numbers_in_any_order_arrive(lost: list[int]) -> None:
    [packet] = parse_compound(GenericNack(1, 2, tuple(lost)).serialize())
    assert isinstance(packet, GenericNack)
    assert set(packet.lost) == set(lost)


def test_neighbours_share_an_item_across_the_wrap() -> None:
    assert len(GenericNack(1, 2, (65530, 65535, 0, 10)).serialize()) == 16


@given(
    st.binary(max_size=120)
    | mutated(st.lists(packets, min_size=1, max_size=3).map(serialize_compound))
    | mutated(st.just(GenericNack(1, 2, (1, 2, 30)).serialize()))
)
def test_any_bytes_are_packets_or_an_error(data: bytes) -> None:
    try:
        parsed = parse_compound(data)
    except PacketError:
        return
    assert parse_compound(serialize_compound(parsed)) == parsed


@given(st.integers(0, 10**18))
def test_bitrate_keeps_its_upper_bits(bitrate: int) -> None:
    [packet] = parse_compound(ReceiverEstimate(1, bitrate, (7,)).serialize())
    assert isinstance(packet, ReceiverEstimate)
    assert 0 <= bitrate - packet.bitrate <= bitrate / 2**17


def test_aiortc_reads_what_we_write() -> None:
    block = ReportBlock(5, 12, -3, 70000, 9, 11, 13)
    data = serialize_compound(
        [
            SenderReport(1, 2**63 + 5, 3, 4, 5, (block,)),
            SourceDescription.of(1, "somebody"),
            GenericNack(1, 2, (3, 5)),
            PictureLossIndication(1, 2),
            ReceiverEstimate(1, 500_000, (2,)),
            Goodbye((1,)),
        ]
    )
    written: Any = peer.RtcpPacket.parse(data)
    sr, sdes, nack, pli, remb, bye = written
    assert sr.sender_info.ntp_timestamp == 2**63 + 5
    assert sr.reports[0].packets_lost == -3
    assert sr.reports[0].highest_sequence == 70000
    assert sdes.chunks[0].items == [(1, b"somebody")]
    assert nack.lost == [3, 5]
    assert (pli.fmt, pli.media_ssrc) == (1, 2)
    assert peer.unpack_remb_fci(remb.fci) == (500_000, [2])
    assert bye.sources == [1]


def test_we_read_what_aiortc_writes() -> None:
    data = bytes(peer.RtcpRtpfbPacket(fmt=1, ssrc=1, media_ssrc=2, lost=[7, 9, 40]))
    data += bytes(peer.RtcpSdesPacket(chunks=[peer.RtcpSourceInfo(ssrc=1, items=[(1, b"x" * 7)])]))
    nack, description = parse_compound(data)
    assert nack == GenericNack(1, 2, (7, 9, 40))
    assert isinstance(description, SourceDescription)
    assert description.chunks[0].cname == "xxxxxxx"


def test_padding_of_the_last_packet_is_stripped() -> None:
    data = bytearray(PictureLossIndication(1, 2).serialize() + b"\x00\x00\x00\x04")
    data[0] |= 0x20
    data[3] += 1
    assert parse_compound(bytes(data)) == [PictureLossIndication(1, 2)]


def test_padding_before_the_last_packet_is_refused() -> None:
    data = bytearray(PictureLossIndication(1, 2).serialize() + b"\x00\x00\x00\x04")
    data[0] |= 0x20
    data[3] += 1
    with pytest.raises(PacketError):
        parse_compound(bytes(data) + PictureLossIndication(1, 2).serialize())


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x80\xc8\x00",
        b"\x00\xc9\x00\x00",
        b"\x80\xc9\x00\x02\x00\x00\x00\x01",
        b"\x80\xc8\x00\x01\x00\x00\x00\x01",
        b"\x81\xc9\x00\x01\x00\x00\x00\x01",
        b"\x81\xca\x00\x00",
        b"\x81\xca\x00\x01\x00\x00\x00\x01",
        b"\x81\xca\x00\x02\x00\x00\x00\x01\x01\x09ab",
        b"\x82\xcb\x00\x01\x00\x00\x00\x01",
        b"\x80\xcb\x00\x01\x09abc",
        b"\x81\xcd\x00\x00",
        b"\x84\xce\x00\x03\x00\x00\x00\x01\x00\x00\x00\x02\x00\x00\x00\x03",
        b"\x8f\xce\x00\x03\x00\x00\x00\x01\x00\x00\x00\x02REMB",
        b"\x8f\xce\x00\x04\x00\x00\x00\x01\x00\x00\x00\x02REMB\x01\x00\x00\x00",
        b"\xa0\xc9\x00\x01\x00\x00\x00\x05",
        b"\xa0\xc9\x00\x00",
    ],
)
def test_lengths_that_lie_are_refused(data: bytes) -> None:
    with pytest.raises(PacketError):
        parse_compound(data)


def test_too_much_is_refused_and_the_most_is_cheap() -> None:
    items = (MAX_COMPOUND_SIZE - 12) // 4
    words = (2 + items).to_bytes(2, "big")
    data = b"\x81\xcd" + words + bytes(8) + b"\x00\x01\xff\xff" * items
    started = time.process_time()
    [packet] = parse_compound(data)
    assert time.process_time() - started < 0.5
    assert isinstance(packet, GenericNack)
    assert len(packet.lost) == 17 * items
    with pytest.raises(PacketError):
        parse_compound(data + b"\x80\xc9\x00\x01\x00\x00\x00\x01" * 2)


def test_more_than_the_count_field_holds_is_refused() -> None:
    for packet in (
        ReceiverReport(1, (ReportBlock(1, 0, 0, 0, 0, 0, 0),) * 32),
        Goodbye(tuple(range(32))),
        Goodbye((), b"r" * 256),
        SourceDescription((SdesChunk(1, ((1, b"x" * 256),)),)),
        ReceiverEstimate(1, 1, tuple(range(256))),
    ):
        with pytest.raises(PacketError):
            packet.serialize()


def test_other_applications_feedback_is_unknown() -> None:
    body = bytes(8) + b"ELSE"
    assert parse_compound(UnknownRtcp(206, 15, body).serialize()) == [UnknownRtcp(206, 15, body)]
