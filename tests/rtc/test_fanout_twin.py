"""The forwarding plane in Python, through the interface that it shares with the kernel."""

from __future__ import annotations

import pytest

from rtc.fanout import (
    DROP,
    FORWARD,
    MAX_INCOMING_SSRCS,
    Codec,
    DestinationPlan,
    ExtensionIds,
    Flag,
    Kind,
    MasterKey,
    Profile,
    StreamPlan,
)
from rtc.fanout_twin import PythonFanout
from rtc.rtp import RtpPacket
from rtc.srtp_session import SrtpSession
from tests.rtc.dependency_bits import L1T3, L3T3, S3T3, Shape, write_descriptor
from tests.rtc.fanout_call import Call, vp8


def sound(sequence: int, payload: bytes = b"sound", payload_type: int = 111, ssrc: int = 9) -> RtpPacket:
    return RtpPacket(payload_type, sequence, sequence * 960, ssrc, False, payload, (), {2: b"\xb2"})


def test_sound_goes_to_everybody_who_is_aimed_at_it_in_that_order() -> None:
    call = Call()
    stream = call.stream(9, video=False)
    for index, address in enumerate((b"B", b"C", b"D")):
        destination = call.destination(call.receiver(address), 70 + index, video=False)
        call.fanout.aim(destination, stream)
    call.fanout.aim(1, -1)
    call.fanout.aim(1, stream)  # last now
    record = call.comes(sound(1))
    assert (record.level, record.flags & Flag.VOICE != 0, record.stream) == (0x32, True, stream)
    out = call.out()
    assert [address for address, _ in out] == [b"B", b"D", b"C"]
    packet = out[0][1]
    assert (packet.ssrc, packet.payload_type, packet.payload) == (70, 109, b"sound")
    assert packet.extensions[1] == b"0"
    assert packet.extensions[2] == b"\xb2"
    assert int.from_bytes(packet.extensions[3], "big") == 262144
    assert packet.extensions[4] == b"\0\0"


def test_what_is_not_forwarded_goes_nowhere() -> None:
    call = Call()
    call.fanout.aim(call.destination(call.receiver(), video=False), call.stream(9, video=False))
    call.fanout.deliver(sound(1).serialize(), b"A", call.now)
    call.fanout.forward(bytes((DROP,)), call.now)
    assert call.out() == []
    with pytest.raises(ValueError, match="verdict"):
        call.fanout.forward(b"", call.now)


def test_video_begins_at_a_key_frame_and_with_a_small_number() -> None:
    call = Call()
    destination = call.destination(call.receiver())
    call.fanout.aim(destination, call.stream())
    call.comes(vp8(65500))
    assert call.fanout.destination_state(destination).stream == -1
    call.comes(vp8(65501, key=True))
    call.comes(vp8(65502))
    assert [packet.sequence_number for packet in call.packets()] == [65501 & 0x7FFF, 65502 & 0x7FFF]
    state = call.fanout.destination_state(destination)
    assert (state.stream, state.packets, state.timestamp_offset) == (0, 2, 0)
    assert state.last_timestamp == 65502 * 3000


def test_temporal_layers_close_up_and_come_back_where_a_decoder_can_follow() -> None:
    call = Call()
    destination = call.destination(call.receiver())
    call.fanout.aim(destination, call.stream(), temporal=0)
    call.comes(vp8(1, key=True))
    call.comes(vp8(2, temporal=2))
    call.comes(vp8(3, temporal=1))
    call.comes(vp8(4))
    call.fanout.aim(destination, 0, temporal=2)
    call.comes(vp8(5, temporal=2))
    call.comes(vp8(6, temporal=1, sync=True))
    call.comes(vp8(7, temporal=2))
    packets = call.packets()
    assert [packet.sequence_number for packet in packets] == [1, 2, 3, 4]
    assert [packet.payload[3] for packet in packets] == [1, 2, 3, 4]  # picture ids
    assert [packet.timestamp // 3000 for packet in packets] == [1, 4, 6, 7]
    assert call.fanout.destination_state(destination).dropped == 3


def test_layers_of_one_source_are_aligned_by_sender_reports() -> None:
    call = Call()
    low, high = call.stream(5, group=3), call.stream(15, rtx_ssrc=16, group=3)
    destination = call.destination(call.receiver())
    call.fanout.set_clock(low, 50_000_000, 900_000)
    call.fanout.set_clock(high, 51_000_000, 7_000_000)  # that is 990,000 of the other
    call.fanout.aim(destination, low)
    call.comes(vp8(1, key=True, timestamp=909_000))
    call.fanout.aim(destination, high)
    call.comes(vp8(2, timestamp=912_000))
    call.now += 500_000
    call.comes(vp8(40, ssrc=15, key=True, timestamp=7_000_000, picture=900))
    packets = call.packets()
    assert [packet.timestamp for packet in packets] == [909_000, 912_000, 990_000]
    assert [packet.sequence_number for packet in packets] == [1, 2, 3]
    assert [packet.payload[3] for packet in packets] == [1, 2, 3]
    assert call.fanout.destination_state(destination).timestamp_offset == 990_000 + 2**32 - 7_000_000


def test_after_a_cut_time_goes_on_by_what_passed() -> None:
    call = Call()
    destination = call.destination(call.receiver())
    call.fanout.aim(destination, call.stream())
    call.comes(vp8(1, key=True))
    call.fanout.aim(destination, call.stream(15, rtx_ssrc=0), cut=True)
    call.comes(vp8(2))
    call.now += 200_000
    call.comes(vp8(3000, ssrc=15, key=True))
    packets = call.packets()
    assert [packet.sequence_number for packet in packets] == [1, 2]
    assert packets[1].timestamp == 3000 + 18_000


def test_after_a_pause_the_next_packet_follows_without_a_gap() -> None:
    call = Call()
    stream = call.stream(9, video=False)
    destination = call.destination(call.receiver(), video=False)
    call.fanout.aim(destination, stream)
    call.comes(sound(1))
    call.fanout.restart_stream(stream)
    assert call.fanout.destination_state(destination).stream == -1
    call.now += 1_000_000
    call.comes(sound(700))
    assert [(one.sequence_number, one.timestamp) for one in call.packets()] == [(1, 960), (2, 48_960)]
    assert call.fanout.destination_state(destination).stream == stream


def test_padding_and_foreign_codecs_leave_no_gap() -> None:
    call = Call()
    peer = call.receiver()
    destination = call.fanout.open_destination(
        peer, DestinationPlan(77, 0, 48000, False, {Codec.OPAQUE: (109, 0)})
    )
    call.fanout.aim(destination, call.stream(9, video=False))
    call.comes(sound(1))
    record = call.comes(sound(2, b""))
    assert record.flags & Flag.EMPTY
    call.comes(sound(3, b"\x41h264", payload_type=102))
    call.comes(sound(4))
    assert [packet.sequence_number for packet in call.packets()] == [1, 2]
    assert call.fanout.destination_state(destination).dropped == 0


def test_blocks_of_red_get_the_type_that_the_receiver_knows() -> None:
    call = Call()
    call.fanout.aim(call.destination(call.receiver(), video=False), call.stream(9, video=False))
    call.comes(sound(1, bytes((0x80 | 111, 0, 0, 2, 111)) + b"abcd", payload_type=63))
    (packet,) = call.packets()
    assert packet.payload_type == 110
    assert packet.payload == bytes((0x80 | 109, 0, 0, 2, 109)) + b"abcd"


def described(sequence: int, template: int, frame: int, *, key: bool = False, end: bool = True) -> RtpPacket:
    value = write_descriptor(L3T3, template, frame, attach=key and template == 0, end=end)
    return RtpPacket(45, sequence, 90, 5, False, b"\x18av1" if key else b"\x10av1", (), {5: value})


def test_svc_is_thinned_out_by_its_dependency_descriptors() -> None:
    call = Call()
    destination = call.destination(call.receiver())
    call.fanout.aim(destination, call.stream(), spatial=1)
    for sequence, template in ((1, 0), (2, 4), (3, 8)):
        record = call.comes(described(sequence, template, 100 + sequence, key=True))
        assert record.spatial == sequence - 1
        assert record.flags & Flag.DESCRIBED
    packets = call.packets()
    assert [packet.sequence_number for packet in packets] == [1, 2]
    assert [packet.marker for packet in packets] == [False, True]  # the highest layer that comes ends it
    assert [int.from_bytes(packet.extensions[5][1:3], "big") for packet in packets] == [101, 102]
    call.fanout.aim(destination, 0, spatial=2)
    for sequence, template in ((5, 1), (6, 5), (7, 9)):  # the highest refers to what the receiver lacks
        call.comes(described(sequence, template, 101 + sequence))
    assert len(call.packets()) == 2
    for sequence, template in ((8, 0), (9, 4), (10, 8)):
        call.comes(described(sequence, template, 101 + sequence, key=True))
    assert [packet.marker for packet in call.packets()] == [False, False, True]


def test_temporal_layers_rise_at_a_switch_and_independent_layers_at_a_key_frame() -> None:
    call = Call()
    destination = call.destination(call.receiver())
    call.fanout.aim(destination, call.stream(), temporal=0)
    numbers = iter(range(1, 100))

    def comes(template: int, shape: Shape, *, key: bool = False) -> int:
        """How many packets went out of a frame."""
        number = next(numbers)
        value = write_descriptor(shape, template, number, attach=key and template == 0)
        call.comes(RtpPacket(45, number, number * 3000, 5, True, b"\x10av1", (), {5: value}))
        return len(call.packets())

    assert [comes(0, L1T3, key=True), comes(2, L1T3), comes(3, L1T3)] == [1, 0, 0]
    call.fanout.aim(destination, 0, temporal=1)
    assert [comes(2, L1T3), comes(1, L1T3), comes(2, L1T3), comes(3, L1T3)] == [0, 1, 1, 0]
    call.fanout.aim(destination, 0, temporal=0)
    assert [comes(2, L1T3), comes(1, L1T3)] == [0, 1]
    call.fanout.aim(destination, 0, spatial=2)
    assert [comes(template, S3T3, key=True) for template in (0, 4, 8)] == [0, 0, 1]
    call.fanout.aim(destination, 0, spatial=1)
    assert [comes(template, S3T3) for template in (1, 5, 9)] == [
        0,
        0,
        1,
    ]  # it lacks what the lower one refers to
    assert [comes(template, S3T3, key=True) for template in (0, 4, 8)] == [0, 1, 0]
    assert [comes(template, S3T3) for template in (1, 5, 9)] == [0, 1, 0]


def test_a_descriptor_without_its_structure_is_as_none() -> None:
    call = Call()
    call.stream()
    record = call.comes(described(1, 4, 7))
    assert not record.flags & Flag.DESCRIBED


def test_retransmissions_become_the_original() -> None:
    call = Call()
    call.fanout.aim(call.destination(call.receiver()), call.stream())
    call.comes(vp8(1, key=True))
    late = vp8(2)
    payload = b"\0\2" + late.payload
    rtx = RtpPacket(97, 500, late.timestamp, 6, True, payload, (), {4: b"\0\7"})
    record = call.comes(rtx)
    assert (record.payload_type, record.sequence, record.ssrc) == (96, 2, 5)
    assert record.flags & Flag.REPAIRED
    assert RtpPacket.parse(call.fanout.packet(0)).payload == late.payload
    assert [packet.sequence_number for packet in call.packets()] == [1, 2]
    assert call.fanout.arrivals(call.sender) == [(7, call.now)]
    statistics = call.fanout.stream_statistics(0)
    assert (statistics.packets, statistics.highest_sequence) == (2, 1)
    probe = call.comes(RtpPacket(97, 501, 0, 6, False, b"\0"))
    assert probe.flags & Flag.EMPTY
    call.comes(vp8(3))
    assert [packet.sequence_number for packet in call.packets()] == [3]


def test_a_stream_that_nobody_opened_is_adopted() -> None:
    call = Call()
    (record,) = call.fanout.deliver(vp8(1, key=True).serialize(), b"A", call.now)
    assert (record.stream, record.codec, record.payload_type) == (-1, 0, 96)
    stream = call.stream()
    call.fanout.aim(call.destination(call.receiver()), stream)
    adopted = call.fanout.adopt(0, stream, call.now)
    assert adopted.stream == stream
    assert adopted.flags & Flag.KEY_START
    assert call.fanout.adopt(0, stream, call.now) == adopted
    assert call.fanout.stream_statistics(stream).packets == 1
    call.fanout.forward(bytes((FORWARD,)), call.now)
    assert len(call.packets()) == 1


def test_statistics_are_those_of_the_standard() -> None:
    call = Call()
    stream = call.stream(9, video=False)
    for index, delay in enumerate((0, 0, 10_000, 0)):
        call.now = 1_000_000 + index * 20_000 + delay
        call.comes(sound((65535 + index) & 0xFFFF))
    statistics = call.fanout.stream_statistics(stream)
    assert (statistics.base_sequence, statistics.highest_sequence) == (65535, 65538)
    assert (statistics.packets, statistics.octets, statistics.last_arrival) == (4, 20, call.now)


def test_a_peer_that_closes_takes_all_of_it_along() -> None:
    call = Call()
    stream, peer = call.stream(), call.receiver()
    destination = call.destination(peer)
    call.fanout.aim(destination, stream)
    call.comes(vp8(1, key=True))
    call.fanout.close_peer(call.sender)
    assert call.fanout.destination_state(destination).stream == -1
    with pytest.raises(ValueError, match="not open"):
        call.fanout.stream_statistics(stream)
    assert list(call.fanout.deliver(vp8(2).serialize(), b"A", call.now)) == []
    assert call.fanout.counters()["unknown-address"] == 1
    call.fanout.close_peer(peer)
    with pytest.raises(ValueError, match="not open"):
        call.fanout.destination_state(destination)
    assert call.fanout.open_peer() == call.sender


def test_datagrams_that_are_no_media() -> None:
    call = Call()
    assert [one.kind for one in call.fanout.deliver(b"\0\1stun", b"who", 0)] == [Kind.OTHER]
    assert call.fanout.address(0) == b"who"
    assert call.fanout.packet(0) == b"\0\1stun"
    assert call.fanout.deliver(b"\x16dtls", b"A", 0)[0].peer == call.sender
    for data, address, reason in (
        (b"\x16dtls", b"who", "unknown-address"),
        (b"", b"A", "malformed"),
        (b"\x70turn", b"A", "malformed"),
        (bytes(1501), b"A", "too-long"),
        (b"\x80\x60short", b"A", "malformed"),
        (b"\xb0\x60" + bytes(12), b"A", "malformed"),
    ):
        before = call.fanout.counters()[reason]
        assert list(call.fanout.deliver(data, address, 0)) == []
        assert call.fanout.counters()[reason] == before + 1
    assert call.fanout.deliver(b"\x80\xc9\0\1\0\0\0\1", b"A", 0)[0].kind == Kind.RTCP


def test_floods_cost_a_second_of_their_limit() -> None:
    call = Call()
    for _ in range(2500):
        call.fanout.deliver(b"\0", b"stranger", 5_000_000)
        call.fanout.deliver(b"\0", b"A", 5_000_000)
    counters = call.fanout.counters()
    assert (counters["strangers"], counters["others"]) == (500, 2100)
    assert len(call.fanout.deliver(b"\0", b"A", 5_002_500)) == 1
    assert len(call.fanout.deliver(b"\0", b"A", 5_002_500)) == 0


def test_encrypted_calls_need_keys_and_true_ones() -> None:
    fanout = PythonFanout()
    call = Call(fanout)
    stream, peer = call.stream(9, video=False), call.receiver()
    call.fanout.aim(call.destination(peer, video=False), stream)
    profile = Profile.AES_256_GCM
    keys = [MasterKey(bytes((fill,)) * 32, bytes(12)) for fill in range(4)]
    sender = SrtpSession(profile, keys[0], inbound=False)
    sealed = [sender.seal_rtp(sound(number).serialize()) or b"" for number in range(3)]
    fanout.deliver(sealed[0], b"A", 0)
    assert fanout.counters()["media-before-keys"] == 1
    fanout.set_keys(call.sender, profile, keys[0], keys[1])
    fanout.deliver(sealed[0], b"A", 0)
    fanout.forward(bytes((FORWARD,)), 0)
    assert fanout.counters()["unsendable"] == 1  # the receiver has no keys yet
    fanout.set_keys(peer, profile, keys[2], keys[3])
    fanout.deliver(sealed[1], b"A", 0)
    fanout.forward(bytes((FORWARD,)), 0)
    for forged in (sealed[1], sealed[2][:-1] + b"\0"):
        assert list(fanout.deliver(forged, b"A", 0)) == []
    assert fanout.counters()["srtp"] == 2
    fanout.flush(-1, 0)
    ((_, data),) = fanout.take()
    opened = SrtpSession(profile, keys[3], inbound=True).open_rtp(data)
    assert opened is not None
    assert RtpPacket.parse(opened).payload == b"sound"


def test_a_peer_has_so_many_streams_and_no_more() -> None:
    call = Call()
    for ssrc in range(100, 100 + MAX_INCOMING_SSRCS):
        assert call.fanout.deliver(sound(1, ssrc=ssrc).serialize(), b"A", 0)
    assert not call.fanout.deliver(sound(1, ssrc=7).serialize(), b"A", 0)
    assert call.fanout.counters()["too-many-streams"] == 1
    assert call.fanout.deliver(sound(2, ssrc=100).serialize(), b"A", 0)


def test_what_is_out_of_range_is_refused() -> None:
    call = Call()
    stream = call.stream()
    destination = call.destination(call.receiver())
    for refused in (
        lambda: call.fanout.route(b"", call.sender),
        lambda: call.fanout.route(bytes(33), call.sender),
        lambda: call.fanout.route(b"x", 17),
        lambda: call.fanout.aim(destination, 9),
        lambda: call.fanout.aim(destination, stream, spatial=8),
        call.stream,
        lambda: call.fanout.set_extensions(call.sender, ExtensionIds(mid=256)),
        lambda: call.fanout.set_pace(call.sender, -1),
        lambda: call.fanout.packet(0),
        lambda: call.fanout.sent(call.sender, 0, 70_000),
        lambda: call.fanout.open_stream(call.sender, StreamPlan(6, 1, True, {})),
    ):
        with pytest.raises(ValueError, match=r"[a-z]"):
            refused()
