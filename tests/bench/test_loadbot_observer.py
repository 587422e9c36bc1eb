"""What light members write, and that whatever is wrong with what they get is found."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.loadbot.delays import Delays
from bench.loadbot.observer import StreamObserver, payload_offset
from bench.loadbot.stamp import Stamp, opus_packet, read_stamp, vp8_frame
from client.media.codec import OpusDecoder
from rtc import opus
from rtc.rtp import RtpPacket
from rtc.vp8 import is_key_frame, packetize

FRAME_BYTES = 3000  # three packets


def video(frames: int, first: int = 0, sender: int = 7, sequence: int = 65530) -> list[bytes]:
    """The packets of so many pictures, the first of all a key frame; sequence numbers wrap."""
    packets = []
    for number in range(first, first + frames):
        data = vp8_frame(Stamp(sender, number, number / 10), FRAME_BYTES, number == 0)
        payloads = packetize(data, number)
        for index, payload in enumerate(payloads):
            last = index == len(payloads) - 1
            wire = (sequence + number * len(payloads) + index) & 0xFFFF
            extensions = {1: b"0"}
            packet = RtpPacket(96, wire, number * 3000, 5, last, payload, extensions=extensions)
            packets.append(packet.serialize())
    return packets


def sound(numbers: list[int], sender: int = 7) -> list[bytes]:
    return [
        RtpPacket(111, n, n * 960, 5, False, opus_packet(Stamp(sender, n, n), 80)).serialize()
        for n in numbers
    ]


def watch(packets: list[bytes], kind: str = "video", sender: int | None = 7) -> dict[str, int]:
    """What is found, without what is 0."""
    observer = StreamObserver(kind, Delays(), sender)  # type: ignore[arg-type]
    for packet in packets:
        observer.packet(packet, 100.0)
    return {name: count for name, count in asdict(observer.findings).items() if count}


def test_nothing_is_wrong_with_a_whole_stream() -> None:
    assert watch(video(5)) == {"streams": 1, "packets": 15, "frames": 5}
    assert watch(sound([3, 4, 5]), "audio") == {"streams": 1, "packets": 3, "frames": 3}


def test_a_gap_is_found_and_so_is_the_picture_that_it_spoils() -> None:
    packets = video(4)
    del packets[4]
    assert watch(packets) == {"streams": 1, "packets": 11, "lost": 1, "frames": 3, "incomplete_frames": 1}


def test_a_picture_that_is_left_out_is_found_though_the_numbers_hide_it() -> None:
    packets = video(2) + video(2, first=3, sequence=65530 - 3)
    assert watch(packets) == {"streams": 1, "packets": 12, "frames": 4, "skipped_frames": 1}


def test_pictures_in_the_wrong_order_are_found_though_the_numbers_hide_it() -> None:
    packets = video(3) + video(1, first=1, sequence=65530 + 6)
    assert watch(packets) == {"streams": 1, "packets": 12, "frames": 4, "backward_frames": 1}


def test_a_packet_that_was_overtaken_is_no_loss() -> None:
    packets = sound([1, 2, 4, 3, 5])
    assert watch(packets, "audio") == {
        "streams": 1,
        "packets": 5,
        "frames": 4,
        "reordered": 1,
        "skipped_frames": 1,
    }


def test_a_packet_that_comes_twice_is_found() -> None:
    assert watch(sound([1, 2, 2, 3]), "audio")["duplicates"] == 1


def test_another_sender_than_was_told_is_found() -> None:
    assert watch(sound([1, 2], sender=8), "audio")["wrong_sender"] == 2
    assert watch(video(2) + video(2, first=2, sender=8))["wrong_sender"] == 2


def test_a_sender_who_changes_is_found_though_none_was_told() -> None:
    assert "wrong_sender" not in watch(sound([1, 2, 3]), "audio", None)
    assert watch(sound([1, 2]) + sound([3], sender=8), "audio", None)["wrong_sender"] == 1


def test_video_that_begins_in_the_middle_is_found() -> None:
    assert watch(video(2, first=1))["not_from_key_frame"] == 1


def test_what_bears_no_stamp_is_found() -> None:
    packet = RtpPacket(111, 1, 1, 5, False, b"\xf8" + bytes(60)).serialize()
    assert watch([packet], "audio")["unstamped"] == 1


@given(st.binary(max_size=60))
def test_no_bytes_harm_the_observer(data: bytes) -> None:
    found = watch([data])
    offset = payload_offset(data)
    assert found.get("malformed", 0) == (offset is None)


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1), st.floats(0, 1e6), st.booleans())
def test_a_stamp_comes_back(sender: int, number: int, time: float, key_frame: bool) -> None:
    stamp = Stamp(sender, number, time)
    for payload in (vp8_frame(stamp, 200, key_frame), opus_packet(stamp, 80)):
        found = read_stamp(payload)
        assert found is not None
        assert (found.sender, found.number) == (sender, number)
        assert found.time == pytest.approx(time, abs=1e-6)


@pytest.mark.parametrize("size", [0, 600, 40_000])
def test_the_header_says_whether_it_is_a_key_frame(size: int) -> None:
    stamp = Stamp(1, 2, 3.0)
    assert is_key_frame(vp8_frame(stamp, size, True))
    assert not is_key_frame(vp8_frame(stamp, size, False))
    assert len(vp8_frame(stamp, size, True)) == max(36, size)


def test_stamped_sound_is_opus_of_20_ms() -> None:
    packet = opus_packet(Stamp(1, 2, 3.0), 80)
    assert len(packet) == 80
    assert opus.duration(packet) == 960
    samples = OpusDecoder().decode(packet)
    assert np.asarray(samples).size == 960


def test_delays_add_up_and_come_through_json() -> None:
    delays = Delays()
    for _ in range(99):
        delays.add(0.00105)
    delays.add(0.5)
    both = Delays(delays.to_dict())
    both.add_all(delays)
    assert both.count == 200
    assert both.percentile(0.5) == 1.1
    assert both.percentile(1.0) == 500.1
    assert Delays().percentile(0.99) is None


def test_delays_of_any_kind_stay_one_short_line() -> None:
    delays = Delays()
    for number in range(40_000):
        delays.add(number / 1e4)
    assert len(str(delays.to_dict())) < 60_000
