from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtc import h264
from rtc.jitter_buffer import MAX_BYTES, MAX_JUMP, MAX_PACKETS, EncodedFrame, VideoJitterBuffer
from rtc.rtp import RtpPacket
from tests.rtc.strategies import rtp_packets, u16, u32, vp8_frame, vp8_packets

START = h264.START_CODE


class Sender:
    """Makes frames, three packets each unless told otherwise, and remembers them by timestamp."""

    def __init__(self, sequence: int = 100, timestamp: int = 1000) -> None:
        self.sequence, self.timestamp, self.count = sequence, timestamp, 0
        self.frames: list[bytes] = []

    def frame(self, key: bool = False, size: int = 200) -> list[RtpPacket]:
        data = vp8_frame(key, size, self.count)
        packets = vp8_packets(data, self.sequence, self.timestamp, picture_id=self.count)
        self.sequence += len(packets)
        self.timestamp += 3000
        self.count += 1
        self.frames.append(data)
        return packets


def add_all(buffer: VideoJitterBuffer, packets: list[RtpPacket], now: float = 0.0) -> list[EncodedFrame]:
    return [frame for packet in packets for frame in buffer.add(packet, now)]


def test_a_frame_is_complete_at_its_marker() -> None:
    sender, buffer = Sender(), VideoJitterBuffer()
    first, second, last = sender.frame(key=True)
    assert buffer.add(first, 1.0) == []
    assert buffer.add(second, 1.01) == []
    [frame] = buffer.add(last, 1.02)
    assert frame == EncodedFrame(sender.frames[0], 1000, True, 1.0, 1.02, "VP8")
    [frame] = add_all(buffer, sender.frame(), 1.03)
    assert (frame.data, frame.key_frame) == (sender.frames[1], False)
    assert buffer.packets == 0


def test_packets_in_any_order_and_twice() -> None:
    sender, buffer = Sender(), VideoJitterBuffer()
    key, delta = sender.frame(key=True), sender.frame()
    shuffled = [delta[2], key[1], delta[0], key[2], key[2], delta[1], key[0], key[0], delta[1]]
    assert [frame.data for frame in add_all(buffer, shuffled)] == sender.frames
    assert buffer.duplicate_packets == 1
    assert buffer.late_packets == 2


@given(u16, u32)
def test_numbers_and_timestamps_wrap(sequence: int, timestamp: int) -> None:
    sender, buffer = Sender(sequence, timestamp), VideoJitterBuffer()
    packets = [packet for index in range(4) for packet in sender.frame(key=index == 0)]
    frames = add_all(buffer, packets)
    assert [frame.data for frame in frames] == sender.frames
    assert [frame.timestamp for frame in frames] == [timestamp + 3000 * index for index in range(4)]


def test_a_stream_that_is_joined_in_the_middle_waits_for_a_key_frame() -> None:
    sender, buffer = Sender(), VideoJitterBuffer()
    assert buffer.needs_key_frame
    assert add_all(buffer, sender.frame() + sender.frame()) == []
    assert buffer.needs_key_frame
    packets = sender.frame(key=True)
    buffer.add(packets[0], 0.0)
    assert not buffer.needs_key_frame  # it is on its way
    assert [frame.data for frame in add_all(buffer, packets[1:])] == [sender.frames[2]]
    assert buffer.packets == 0


def test_a_hole_holds_back_what_follows_until_it_is_filled() -> None:
    sender, buffer = Sender(), VideoJitterBuffer()
    add_all(buffer, sender.frame(key=True))
    second, third = sender.frame(), sender.frame()
    assert add_all(buffer, [second[0], second[2], *third]) == []
    assert buffer.blocked
    assert [frame.data for frame in buffer.add(second[1], 0.0)] == sender.frames[1:]
    assert not buffer.blocked


def test_giving_up_waits_for_the_next_key_frame() -> None:
    sender, buffer = Sender(), VideoJitterBuffer()
    add_all(buffer, sender.frame(key=True))
    add_all(buffer, sender.frame()[1:] + sender.frame())
    assert not buffer.needs_key_frame
    assert buffer.give_up(1.0) == []
    assert buffer.needs_key_frame
    assert buffer.dropped_frames == 2
    assert add_all(buffer, sender.frame()) == []
    assert [frame.data for frame in add_all(buffer, sender.frame(key=True))] == sender.frames[-1:]


def test_giving_up_goes_on_with_a_key_frame_that_is_on_its_way() -> None:
    sender, buffer = Sender(), VideoJitterBuffer()
    add_all(buffer, sender.frame(key=True))
    add_all(buffer, sender.frame()[1:])
    packets = sender.frame(key=True)
    add_all(buffer, packets[:2])
    buffer.give_up(1.0)
    assert not buffer.needs_key_frame
    assert [frame.data for frame in buffer.add(packets[2], 0.0)] == sender.frames[-1:]


def test_a_key_frame_that_will_never_be_whole_is_given_up_too() -> None:
    for position in (1, 2):
        sender, buffer = Sender(), VideoJitterBuffer()
        add_all(buffer, sender.frame(key=True))
        packets = sender.frame(key=True)
        del packets[position]
        add_all(buffer, packets + sender.frame())
        assert not buffer.needs_key_frame
        buffer.give_up(1.0)
        assert buffer.needs_key_frame
        assert len(add_all(buffer, sender.frame(key=True))) == 1


def test_the_first_key_frame_of_all_is_given_up_too() -> None:
    sender, buffer = Sender(), VideoJitterBuffer()
    packets = sender.frame(key=True)
    add_all(buffer, [packets[0], packets[2]])
    buffer.give_up(1.0)
    assert buffer.needs_key_frame


def test_giving_up_without_a_hole_does_nothing() -> None:
    sender, buffer = Sender(), VideoJitterBuffer()
    add_all(buffer, sender.frame(key=True))
    packets = sender.frame()
    add_all(buffer, packets[:2])
    assert buffer.give_up(1.0) == []
    assert [frame.data for frame in buffer.add(packets[2], 0.0)] == sender.frames[-1:]


def test_a_whole_key_frame_overtakes_a_hole() -> None:
    sender, buffer = Sender(), VideoJitterBuffer()
    add_all(buffer, sender.frame(key=True))
    lost = sender.frame()
    add_all(buffer, lost[1:])
    [frame] = add_all(buffer, sender.frame(key=True))
    assert frame.key_frame
    assert buffer.dropped_frames == 1
    assert buffer.add(lost[0], 0.0) == []
    assert buffer.late_packets == 1


def test_a_newer_key_frame_replaces_one_that_lacks_packets() -> None:
    sender, buffer = Sender(), VideoJitterBuffer()
    add_all(buffer, sender.frame(key=True)[:2])
    add_all(buffer, sender.frame())
    assert [frame.data for frame in add_all(buffer, sender.frame(key=True))] == sender.frames[2:]


def test_an_older_key_frame_that_begins_late_does_not_replace_a_newer_one() -> None:
    sender, buffer = Sender(), VideoJitterBuffer()
    add_all(buffer, sender.frame(key=True))
    sender.frame()  # lost
    older, newer = sender.frame(key=True), sender.frame(key=True)
    add_all(buffer, [newer[0], older[0]])
    assert [frame.data for frame in add_all(buffer, newer[1:])] == sender.frames[-1:]


def test_a_new_resolution_is_a_key_frame_like_any_other() -> None:
    sender, buffer = Sender(), VideoJitterBuffer()
    sizes = [(True, 200), (False, 150), (True, 2000), (False, 1500), (True, 20)]
    frames = [frame for key, size in sizes for frame in add_all(buffer, sender.frame(key, size))]
    assert [frame.data for frame in frames] == sender.frames


def test_a_sender_without_markers_is_understood_at_the_next_frame() -> None:
    sender, buffer = Sender(), VideoJitterBuffer()
    packets = sender.frame(key=True) + sender.frame() + sender.frame()
    for packet in packets:
        packet.marker = False
    assert [frame.data for frame in add_all(buffer, packets)] == sender.frames[:2]


def test_padding_between_frames_holds_a_number_only() -> None:
    sender, buffer = Sender(), VideoJitterBuffer()
    frames = add_all(buffer, sender.frame(key=True))
    for _ in range(3):
        padding = RtpPacket(96, sender.sequence, sender.timestamp - 3000, 1, False, b"")
        frames += buffer.add(padding, 0.0)
        sender.sequence += 1
    frames += add_all(buffer, sender.frame())
    assert [frame.data for frame in frames] == sender.frames
    assert buffer.packets == 0


def test_a_frame_that_does_not_begin_as_one_is_not_shown() -> None:
    sender, buffer = Sender(), VideoJitterBuffer()
    add_all(buffer, sender.frame(key=True))
    packets = sender.frame()
    packets[0].payload = packets[1].payload
    assert add_all(buffer, packets) == []
    assert buffer.needs_key_frame
    assert buffer.dropped_frames == 1


def test_a_payload_that_cannot_be_read_is_a_hole() -> None:
    sender, buffer = Sender(), VideoJitterBuffer()
    add_all(buffer, sender.frame(key=True))
    packets = sender.frame()
    good = packets[1].payload
    packets[1].payload = b"\x90"
    assert add_all(buffer, packets) == []
    assert buffer.malformed_packets == 1
    packets[1].payload = good
    assert len(buffer.add(packets[1], 0.0)) == 1


@pytest.mark.parametrize("jump", [MAX_JUMP + 10, 30000, -MAX_JUMP - 10, -30000])
def test_a_sender_that_starts_anew_is_followed(jump: int) -> None:
    sender, buffer = Sender(40000), VideoJitterBuffer()
    add_all(buffer, sender.frame(key=True))
    add_all(buffer, sender.frame()[1:])
    sender.sequence += jump
    sender.timestamp = 77
    sender.frame(key=True)  # what it takes to notice
    sender.sequence -= 3
    packets = sender.frame(key=True)
    frames = (
        add_all(buffer, packets) + add_all(buffer, sender.frame(key=True)) + add_all(buffer, sender.frame())
    )
    assert [frame.data for frame in frames][-2:] == sender.frames[-2:]


def test_one_stray_old_packet_changes_nothing() -> None:
    sender, buffer = Sender(40000), VideoJitterBuffer()
    add_all(buffer, sender.frame(key=True))
    stray = vp8_packets(vp8_frame(True, 10), 40000 - 20000, 5)
    assert add_all(buffer, stray) == []
    assert [frame.data for frame in add_all(buffer, sender.frame())] == sender.frames[-1:]


def test_memory_is_bounded_in_packets() -> None:
    sender, buffer = Sender(), VideoJitterBuffer()
    add_all(buffer, sender.frame(key=True))
    sender.frame()
    for _ in range(3 * MAX_PACKETS):
        add_all(buffer, sender.frame())
        assert buffer.packets < MAX_PACKETS
    assert buffer.needs_key_frame
    assert len(add_all(buffer, sender.frame(key=True))) == 1


def test_memory_is_bounded_for_a_frame_without_an_end() -> None:
    buffer = VideoJitterBuffer()
    for packet in vp8_packets(vp8_frame(True, 3 * 96 * MAX_PACKETS), 0, 0)[:-1]:
        buffer.add(packet, 0.0)
        assert buffer.packets < MAX_PACKETS


def test_memory_is_bounded_in_bytes() -> None:
    buffer = VideoJitterBuffer()
    for number in range(200):
        buffer.add(RtpPacket(96, number, 0, 1, False, b"\x10" + bytes(60_000)), 0.0)
        assert buffer._bytes <= MAX_BYTES
    assert buffer._bytes == sum(len(part.data) for part in buffer._parts.values())


@st.composite
def journeys(draw: st.DrawFn) -> tuple[list[list[RtpPacket]], list[bytes], list[RtpPacket | None]]:
    """Frames, and their packets as a bad network delivers them; None stands for giving up."""
    sender = Sender(draw(u16), draw(u32))
    packets = []
    frames = []
    for index in range(draw(st.integers(1, 14))):
        key = index == 0 or draw(st.integers(0, 4)) == 0
        frames.append(sender.frame(key, draw(st.integers(1, 300))))  # one byte tells frames apart
        packets += frames[-1]
    order = sorted(range(len(packets)), key=lambda i: (i + draw(st.integers(0, 6)), i))
    arriving: list[RtpPacket | None] = []
    for index in order:
        fate = draw(st.integers(0, 19))
        if fate > 0:
            arriving.append(packets[index])
        if fate == 1:
            arriving.append(packets[index])
        if fate == 2:
            arriving.append(None)
    return frames, sender.frames, arriving


@given(journeys())
def test_what_comes_out_can_always_be_decoded(
    journey: tuple[list[list[RtpPacket]], list[bytes], list[RtpPacket | None]],
) -> None:
    packets, frames, arriving = journey
    buffer = VideoJitterBuffer()
    shown: list[EncodedFrame] = []
    for packet in arriving:
        shown += buffer.give_up(0.0) if packet is None else buffer.add(packet, 0.0)
    indices = [frames.index(frame.data) for frame in shown]
    assert all(shown[0].key_frame for _ in shown[:1])
    for (before, after), frame in zip(pairwise(indices), shown[1:], strict=True):
        assert after > before
        assert frame.key_frame or after == before + 1
    assert buffer.frames == len(shown)
    # Whatever happened, a whole key frame gets the stream going again.
    last = packets[-1][-1]
    fresh = vp8_frame(True, 150, 0xEE)
    more = vp8_packets(fresh, last.sequence_number + 1, last.timestamp + 3000)
    assert add_all(buffer, more)[-1].data == fresh
    assert buffer.packets == 0


@given(journeys())
def test_without_loss_every_frame_comes_out(
    journey: tuple[list[list[RtpPacket]], list[bytes], list[RtpPacket | None]],
) -> None:
    packets, frames, _ = journey
    buffer = VideoJitterBuffer()
    shown = [frame for group in packets for frame in add_all(buffer, group[::-1])]
    assert [frame.data for frame in shown] == frames


@given(st.lists(rtp_packets(), max_size=40), st.sampled_from(("VP8", "H264")))
def test_any_packets_leave_it_sound(packets: list[RtpPacket], codec: str) -> None:
    buffer = VideoJitterBuffer("VP8" if codec == "VP8" else "H264")
    for packet in packets:
        buffer.add(packet, 0.0)
        buffer.give_up(0.0)
    assert buffer._bytes == sum(len(part.data) for part in buffer._parts.values())


class TestH264:
    def packets(self, frame: bytes, sequence: int, timestamp: int) -> list[RtpPacket]:
        payloads = h264.packetize(frame, 100)
        return [
            RtpPacket(97, sequence + i & 0xFFFF, timestamp, 1, i == len(payloads) - 1, payload)
            for i, payload in enumerate(payloads)
        ]

    def key(self, size: int = 300) -> bytes:
        return START + b"\x67sps" + START + b"\x68pps" + START + b"\x65" + b"i" * size

    def delta(self, size: int = 300) -> bytes:
        return START + b"\x41" + b"p" * size

    def test_frames_complete_at_the_marker(self) -> None:
        buffer = VideoJitterBuffer("H264")
        packets = self.packets(self.key(), 65534, 0)
        [frame] = add_all(buffer, packets)
        assert (frame.data, frame.key_frame, frame.codec) == (self.key(), True, "H264")
        [frame] = add_all(buffer, self.packets(self.delta(), packets[-1].sequence_number + 1, 3000))
        assert (frame.data, frame.key_frame) == (self.delta(), False)

    def test_it_begins_at_parameter_sets_only(self) -> None:
        buffer = VideoJitterBuffer("H264")
        idr = START + b"\x65" + b"i" * 50
        assert add_all(buffer, self.packets(idr, 10, 0)) == []
        assert buffer.needs_key_frame
        assert len(add_all(buffer, self.packets(self.key(), 11, 3000))) == 1

    def test_a_key_frame_overtakes_a_hole(self) -> None:
        buffer = VideoJitterBuffer("H264")
        packets = self.packets(self.key(), 10, 0)
        add_all(buffer, packets)
        number = packets[-1].sequence_number + 1
        lost = self.packets(self.delta(), number, 3000)
        add_all(buffer, lost[1:])
        [frame] = add_all(buffer, self.packets(self.key(), number + len(lost), 6000))
        assert frame.key_frame

    def test_parameter_sets_may_be_repeated_inside_a_frame(self) -> None:
        buffer = VideoJitterBuffer("H264")
        frame = self.key(200) + self.key(200)
        assert [out.data for out in add_all(buffer, self.packets(frame, 10, 0))] == [frame]

    def test_several_slices_are_one_frame(self) -> None:
        buffer = VideoJitterBuffer("H264")
        frame = self.key(80) + START + b"\x65" + b"j" * 80 + START + b"\x65" + b"k" * 200
        assert [out.data for out in add_all(buffer, self.packets(frame, 10, 0))] == [frame]
