from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from heapq import heappop, heappush

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtc import h264
from rtc.header_extensions import decode_audio_level
from rtc.jitter_buffer import EncodedFrame
from rtc.rtcp import (
    FullIntraRequest,
    GenericNack,
    Goodbye,
    PictureLossIndication,
    ReceiverEstimate,
    ReceiverReport,
    RtcpPacket,
    SenderReport,
    SourceDescription,
    parse_compound,
)
from rtc.rtp import RtpPacket, is_rtcp
from rtc.rtx import decapsulate, encapsulate
from rtc.send_stream import RETRANSMISSION_BURST, RETRANSMISSION_RATE
from rtc.streams import ReceiveStream, SendStream
from tests.rtc.strategies import rtp_packets, vp8_frame


def video_sender(**changes: object) -> SendStream:
    settings: dict[str, object] = {
        "mid": "0",
        "mid_extension_id": 4,
        "cname": "me",
        "rtx_ssrc": 2,
        "rtx_payload_type": 97,
        "max_payload": 200,
        "first_sequence_number": 65530,
        "first_rtx_sequence_number": 7,
        "timestamp_offset": 0xFFFFFF00,
        "first_picture_id": 0x7FFF,
    }
    return SendStream(1, 96, 90000, **{**settings, **changes})  # type: ignore[arg-type]


def video_receiver() -> ReceiveStream:
    return ReceiveStream("video", {96: "VP8", 98: "H264"}, 1, 90000, rtcp_ssrc=9, rtx=(2, 97))


def parse(datagrams: list[bytes]) -> list[RtcpPacket]:
    return [packet for datagram in datagrams for packet in parse_compound(datagram)]


@dataclass
class Network:
    """A sender and a receiver, joined by a path with delay, jitter and loss."""

    loss: Callable[[bytes, bool], bool]
    delay: float = 0.02
    jitter: float = 0.0
    sender: SendStream = field(default_factory=video_sender)
    receiver: ReceiveStream = field(default_factory=video_receiver)
    sent: list[bytes] = field(default_factory=list)
    shown: list[tuple[float, EncodedFrame]] = field(default_factory=list)
    key_frames: int = 0

    def run(self, seconds: float, seed: int = 1) -> None:
        dice = random.Random(seed)
        on_the_way: list[tuple[float, int, bool, bytes]] = []
        order = 0
        want_key, next_frame = True, 0.0

        def send(datagrams: list[bytes], now: float, *, up: bool) -> None:
            nonlocal order
            for datagram in datagrams:
                if not self.loss(datagram, up):
                    order += 1
                    arrival = now + self.delay + dice.random() * self.jitter
                    heappush(on_the_way, (arrival, order, up, datagram))

        for step in range(round(seconds * 200)):
            now = step / 200
            if now >= next_frame:
                next_frame += 1 / 30
                frame = vp8_frame(want_key, 900 if want_key else 500) + len(self.sent).to_bytes(4, "big")
                self.key_frames += want_key
                send(self.sender.video_frame(frame, len(self.sent) * 3000, want_key, now), now, up=True)
                self.sent.append(frame)
                want_key = False
            send(self.sender.tick(now), now, up=True)
            if step % 2 == 0:
                send(self.receiver.tick(now), now, up=False)
            while on_the_way and on_the_way[0][0] <= now:
                arrival, _, up, datagram = heappop(on_the_way)
                if not up:
                    for packet in parse_compound(datagram):
                        reaction = self.sender.handle_rtcp(packet, now)
                        want_key = want_key or reaction.key_frame_wanted
                        send(reaction.packets, now, up=True)
                elif is_rtcp(datagram):
                    for packet in parse_compound(datagram):
                        self.receiver.handle_rtcp(packet, now)
                else:
                    for shown in self.receiver.handle_rtp(RtpPacket.parse(datagram), arrival):
                        self.shown.append((now, shown))


def never(datagram: bytes, up: bool) -> bool:
    return False


def test_a_clean_path_shows_every_frame_once_its_last_packet_is_there() -> None:
    network = Network(never)
    network.run(3.0)
    assert [frame.data for _, frame in network.shown] == network.sent[: len(network.shown)]
    assert len(network.shown) >= 88
    times = [now - index / 30 for index, (now, _) in enumerate(network.shown)]
    assert max(times) < 0.02 + 0.011
    statistics = network.receiver.statistics
    assert (statistics.lost, statistics.nacks_sent, statistics.plis_sent) == (0, 0, 0)
    assert network.sender.statistics.round_trip_time == pytest.approx(0.04, abs=0.01)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_losses_are_repaired_without_key_frames(seed: int) -> None:
    dice = random.Random(seed)
    network = Network(lambda datagram, up: dice.random() < 0.05, jitter=0.008)
    network.run(10.0, seed)
    statistics = network.receiver.statistics
    shown = [frame.data for _, frame in network.shown]
    assert shown == network.sent[: len(shown)]
    assert len(shown) > 290
    assert network.key_frames == 1
    assert statistics.recovered >= statistics.lost - 5 > 20
    assert network.sender.statistics.fraction_lost < 0.2


def test_a_path_without_repair_falls_back_to_key_frames() -> None:
    dice = random.Random(4)

    def loss(datagram: bytes, up: bool) -> bool:
        retransmission = up and datagram[1] & 0x7F == 97
        return retransmission or (up and not is_rtcp(datagram) and dice.random() < 0.01)

    network = Network(loss)
    network.run(12.0, 4)
    assert network.key_frames > 2
    assert len(network.shown) > 150
    assert network.receiver.statistics.dropped_frames > 0
    order = [network.sent.index(frame.data) for _, frame in network.shown]
    assert order == sorted(set(order))


def test_a_lost_request_for_a_key_frame_is_repeated() -> None:
    first: list[bytes] = []

    def loss(datagram: bytes, up: bool) -> bool:
        if up and not is_rtcp(datagram) and len(first) < 30:
            first.append(datagram)
            return True
        pli = not up and datagram[1] == 206
        if pli and len(first) < 31:
            first.append(datagram)
            return True
        return False

    network = Network(loss)
    network.run(3.0)
    assert network.receiver.statistics.plis_sent == 2
    assert network.key_frames == 2
    assert len(network.shown) > 50


def test_a_path_that_is_cut_for_a_while_comes_back() -> None:
    network = Network(never)
    clock = [0]

    def loss(datagram: bytes, up: bool) -> bool:
        if up and not is_rtcp(datagram):
            clock[0] += 1
        return 150 < clock[0] < 500

    network.loss = loss
    network.run(6.0)
    assert network.shown[-1][1].data in network.sent[-3:]
    assert network.key_frames == 2


def test_packets_bear_the_mid_and_wrap() -> None:
    sender = video_sender()
    packets = [RtpPacket.parse(data) for data in sender.video_frame(vp8_frame(True, 1500), 512, True, 0.0)]
    assert [packet.sequence_number for packet in packets] == [
        (65530 + i) & 0xFFFF for i in range(len(packets))
    ]
    assert {packet.timestamp for packet in packets} == {256}
    assert all(packet.extensions == {4: b"0"} for packet in packets)
    assert [packet.marker for packet in packets] == [False] * (len(packets) - 1) + [True]


def test_numbers_are_random_and_small_unless_given() -> None:
    firsts = set()
    for _ in range(20):
        sender = SendStream(1, 96, 90000, mid="0", mid_extension_id=1, cname="me")
        [data] = sender.video_frame(vp8_frame(True, 10), 0, True, 0.0)
        packet = RtpPacket.parse(data)
        assert packet.sequence_number < 0x8000
        firsts.add((packet.sequence_number, packet.timestamp))
    assert len(firsts) == 20


def test_a_repeat_comes_in_the_rtx_stream_and_only_once_in_a_moment() -> None:
    sender = video_sender()
    [data] = sender.video_frame(vp8_frame(True, 100), 0, True, 0.0)
    nack = GenericNack(9, 1, (65530, 5))
    [repeat] = sender.handle_rtcp(nack, 0.01).packets
    packet = RtpPacket.parse(repeat)
    assert (packet.ssrc, packet.payload_type, packet.sequence_number) == (2, 97, 7)
    assert decapsulate(packet, 96, 1) == RtpPacket.parse(data)
    assert sender.handle_rtcp(nack, 0.012).packets == []
    assert len(sender.handle_rtcp(nack, 0.05).packets) == 1
    assert sender.handle_rtcp(nack, 3.0).packets == []
    assert sender.statistics.refused_retransmissions == 6


def test_without_rtx_the_packet_itself_is_repeated() -> None:
    sender = video_sender(rtx_ssrc=None)
    datagrams = sender.video_frame(vp8_frame(True, 100), 0, True, 0.0)
    assert sender.handle_rtcp(GenericNack(9, 1, (65530,)), 0.01).packets == datagrams


def test_a_peer_that_asks_for_everything_costs_bounded_work() -> None:
    sender = video_sender()
    repeated, now = 0, 0.0
    for _ in range(500):  # ten seconds
        now += 0.02
        sender.video_frame(vp8_frame(False, 1500), int(now * 90000), False, now)
        everything = tuple(range(0x10000 - 400, 0x10000)) + tuple(range(5000))
        repeated += len(sender.handle_rtcp(GenericNack(9, 1, everything), now).packets)
    assert repeated <= RETRANSMISSION_BURST + RETRANSMISSION_RATE * 10
    assert sender.statistics.retransmissions == repeated


def test_requests_about_other_streams_are_ignored() -> None:
    sender = video_sender()
    sender.video_frame(vp8_frame(True, 100), 0, True, 0.0)
    for packet in (
        GenericNack(9, 5, (65530,)),
        PictureLossIndication(9, 5),
        FullIntraRequest(9, ((5, 1),)),
        ReceiverEstimate(9, 1000, (5,)),
        Goodbye((1,)),
    ):
        reaction = sender.handle_rtcp(packet, 0.1)
        assert (reaction.packets, reaction.key_frame_wanted, reaction.target_bitrate) == ([], False, None)


def test_key_frames_and_rates_are_asked_for() -> None:
    sender = video_sender()
    assert sender.handle_rtcp(PictureLossIndication(9, 1), 0.0).key_frame_wanted
    assert sender.handle_rtcp(FullIntraRequest(9, ((1, 5),)), 0.0).key_frame_wanted
    assert not sender.handle_rtcp(FullIntraRequest(9, ((1, 5),)), 0.0).key_frame_wanted
    assert sender.handle_rtcp(FullIntraRequest(9, ((1, 6),)), 0.0).key_frame_wanted
    assert sender.handle_rtcp(ReceiverEstimate(9, 640_000, (1, 3)), 0.0).target_bitrate == 640_000
    assert sender.statistics.key_frame_requests == 3


def test_a_sender_report_each_second_once_something_was_sent() -> None:
    sender = video_sender(wall_clock_offset=1_000_000.0)
    assert sender.tick(0.0) == []
    sender.video_frame(vp8_frame(True, 100), 0, True, 0.5)
    report, description = parse(sender.tick(0.5))
    assert isinstance(report, SenderReport)
    assert isinstance(description, SourceDescription)
    assert (report.packet_count, report.rtp_timestamp) == (1, 0xFFFFFF00)
    assert description.chunks[0].cname == "me"
    assert sender.tick(1.4) == []
    assert len(sender.tick(1.5)) == 1


def test_sound_bears_its_level_and_marks_the_start_of_speech() -> None:
    sender = SendStream(
        3, 111, 48000, mid="1", mid_extension_id=4, audio_level_extension_id=1, cname="me", timestamp_offset=0
    )
    stamps = [0, 960, 960 * 30, 960 * 31]
    packets = [RtpPacket.parse(sender.sound(b"\xf8abc", t, -30.4, True, t / 48000)) for t in stamps]
    assert [packet.marker for packet in packets] == [True, False, True, False]
    assert decode_audio_level(packets[0].extensions[1]) == (True, 30)
    assert packets[0].extensions[4] == b"1"
    assert sender.codec == "opus"


def test_received_sound_goes_to_its_buffer_and_is_reported_not_repeated() -> None:
    receiver = ReceiveStream("audio", {111: "opus"}, 3, 48000, rtcp_ssrc=9)
    for index in (0, 1, 4):
        packet = RtpPacket(111, index, index * 960, 3, False, b"\xf8abc")
        assert receiver.handle_rtp(packet, index * 0.02) == []
    [report] = parse(receiver.tick(0.5))
    assert isinstance(report, ReceiverReport)
    assert report.reports[0].cumulative_lost == 2
    assert receiver.audio is not None
    assert receiver.audio.packets == 3
    assert receiver.statistics.lost == 2
    assert receiver.tick(0.6) == []


def test_h264_travels_too() -> None:
    sender = video_sender(codec="H264")
    frame = b"".join(h264.START_CODE + unit for unit in (b"\x67a", b"\x68b", b"\x65" + b"i" * 700))
    receiver = ReceiveStream("video", {96: "H264"}, 1, 90000, rtcp_ssrc=9)
    frames = [
        out
        for data in sender.video_frame(frame, 0, True, 0.0)
        for out in receiver.handle_rtp(RtpPacket.parse(data), 0.0)
    ]
    assert [(out.data, out.codec) for out in frames] == [(frame, "H264")]


def test_a_change_of_codec_starts_a_new_buffer() -> None:
    receiver = video_receiver()
    vp8_sender = video_sender(first_sequence_number=10)
    h264_sender = SendStream(
        1, 98, 90000, mid="0", mid_extension_id=4, cname="me", codec="H264", first_sequence_number=11
    )
    shown = []
    for data in vp8_sender.video_frame(vp8_frame(True, 50), 0, True, 0.0):
        shown += receiver.handle_rtp(RtpPacket.parse(data), 0.0)
    frame = b"".join(h264.START_CODE + unit for unit in (b"\x67a", b"\x68b", b"\x65abc"))
    for data in h264_sender.video_frame(frame, 3000, True, 0.0):
        shown += receiver.handle_rtp(RtpPacket.parse(data), 0.0)
    assert [out.codec for out in shown] == ["VP8", "H264"]
    assert receiver.statistics.frames == 2


def test_what_does_not_belong_here_is_counted_and_dropped() -> None:
    receiver = video_receiver()
    strangers = [
        RtpPacket(96, 1, 1, 77, False, b"x"),
        RtpPacket(50, 1, 1, 1, False, b"x"),
        RtpPacket(50, 1, 1, 2, False, b"x"),
        RtpPacket(97, 1, 1, 2, False, b"\x00\x01x"),  # a repeat before the codec is known
    ]
    for packet in strangers:
        assert receiver.handle_rtp(packet, 0.0) == []
    assert receiver.statistics.unknown == 4
    assert receiver.tick(5.0) == []


def test_probes_and_broken_repeats_do_no_harm() -> None:
    receiver = ReceiveStream("video", {96: "VP8"}, 1, 90000, rtcp_ssrc=9, rtx=(2, 97))
    receiver.handle_rtp(RtpPacket(97, 1, 1, 2, False, b""), 0.0)
    receiver.handle_rtp(RtpPacket(97, 2, 1, 2, False, b"a"), 0.0)
    statistics = receiver.statistics
    assert (statistics.malformed, statistics.retransmissions) == (1, 0)
    original = RtpPacket(96, 3, 1, 1, True, b"\x90\x80\x80\x01" + vp8_frame(True, 10))
    assert len(receiver.handle_rtp(encapsulate(original, 97, 2, 4), 0.0)) == 1


def test_a_decoder_that_cannot_go_on_asks_at_once_and_rarely() -> None:
    receiver = video_receiver()
    for data in video_sender().video_frame(vp8_frame(True, 50), 0, True, 0.0):
        receiver.handle_rtp(RtpPacket.parse(data), 0.0)
    assert parse(receiver.request_key_frame(1.0)) == [PictureLossIndication(9, 1)]
    assert receiver.request_key_frame(1.1) == []
    due = [
        step / 100
        for step in range(100, 300)
        if PictureLossIndication(9, 1) in parse(receiver.tick(step / 100))
    ]
    assert due == pytest.approx([1.3, 1.8, 2.3, 2.8], abs=0.011)


def delta_packets(sender: SendStream, index: int) -> list[RtpPacket]:
    datagrams = sender.video_frame(vp8_frame(index == 0, 500, index), index * 3000, index == 0, index / 30)
    return [RtpPacket.parse(datagram) for datagram in datagrams]


def test_a_packet_that_came_but_cannot_be_read_is_not_waited_for() -> None:
    sender, receiver = video_sender(), video_receiver()
    for index in range(2):
        for packet in delta_packets(sender, index):
            if index == 1 and not packet.marker:
                packet.payload = b"\x90"
            receiver.handle_rtp(packet, index / 30)
    assert receiver.statistics.malformed > 0
    receiver.tick(0.1)
    assert PictureLossIndication(9, 1) in parse(receiver.tick(0.15))


def test_one_hole_after_the_other_does_not_put_off_the_key_frame() -> None:
    sender, receiver = video_sender(), video_receiver()
    asked = []
    for index in range(30):
        for packet in delta_packets(sender, index):
            if index == 0 or not packet.marker:
                receiver.handle_rtp(packet, index / 30)
        asked += [
            index for packet in parse(receiver.tick(index / 30)) if isinstance(packet, PictureLossIndication)
        ]
    assert 15 <= asked[0] <= 20


def test_what_a_key_frame_has_overtaken_is_not_asked_for() -> None:
    sender, receiver = video_sender(), video_receiver()
    for packet in delta_packets(sender, 0):
        receiver.handle_rtp(packet, 0.0)
    delta_packets(sender, 1)  # lost
    shown = [
        frame
        for datagram in sender.video_frame(vp8_frame(True, 500), 6000, True, 0.066)
        for frame in receiver.handle_rtp(RtpPacket.parse(datagram), 0.066)
    ]
    assert len(shown) == 1
    assert not any(isinstance(packet, GenericNack) for packet in parse(receiver.tick(0.2)))


def test_the_senders_clock_and_goodbye_are_kept() -> None:
    receiver = video_receiver()
    receiver.handle_rtcp(SenderReport(5, 1, 2, 3, 4), 0.0)
    receiver.handle_rtcp(Goodbye((5,)), 0.0)
    assert (receiver.clock, receiver.ended) == (None, False)
    receiver.handle_rtcp(SenderReport(1, 1, 2, 3, 4), 0.0)
    receiver.handle_rtcp(Goodbye((5, 1)), 0.0)
    assert (receiver.clock, receiver.ended) == ((1, 2), True)


@given(
    st.lists(
        st.tuples(rtp_packets(), st.sampled_from((1, 2)), st.sampled_from((96, 97, 98)), st.floats(0, 0.3)),
        max_size=40,
    )
)
def test_any_packets_leave_a_receiver_sound(steps: list[tuple[RtpPacket, int, int, float]]) -> None:
    receiver = video_receiver()
    now = 0.0
    for packet, ssrc, payload_type, pause in steps:
        now += pause
        packet.ssrc, packet.payload_type = ssrc, payload_type
        receiver.handle_rtp(packet, now)
        for datagram in receiver.tick(now):
            parse_compound(datagram)
    assert receiver.statistics.packets <= len(steps)
