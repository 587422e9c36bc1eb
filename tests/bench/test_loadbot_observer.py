"""That whatever is wrong with the pictures and the sound that light members get is found."""

from __future__ import annotations

from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.loadbot.delays import Delays
from bench.loadbot.frames import payload_offset
from bench.loadbot.observer import StreamObserver
from bench.loadbot.scenarios import Camera
from rtc.fanout import Flag
from rtc.rtp import RtpPacket
from rtc.vp8 import Vp8Descriptor, rewrite_vp8
from tests.bench.light_streams import THREE, Film, Watch, flat, later, reading, renumbered, voice


def with_ids(packet: bytes, back: int) -> bytes:
    """The same with an earlier picture id."""
    begin = payload_offset(packet)
    assert begin is not None
    descriptor, _ = Vp8Descriptor.parse(packet[begin:])
    assert descriptor.picture_id is not None
    return packet[:begin] + rewrite_vp8(packet[begin:], (descriptor.picture_id - back) & 0x7FFF, None)


def test_nothing_is_wrong_with_a_whole_stream() -> None:
    packets = flat(Film().pictures(12))
    assert Watch().feed(renumbered(packets)).found == {"packets": len(packets), "frames": 12}


@pytest.mark.parametrize("codec", ["VP9", "AV1"])
def test_nothing_is_wrong_with_spatial_layers_and_descriptors(codec: Literal["VP9", "AV1"]) -> None:
    film = Film(Camera(THREE, "svc", codec), encodings=THREE)
    packets = flat(film.pictures(9))
    assert Watch(codec=codec).feed(packets).found == {"packets": len(packets), "frames": 27}


def test_a_gap_is_asked_for_and_given_up_and_spoils_what_refers_to_it() -> None:
    pictures = Film().pictures(9)
    del pictures[4][1]  # of temporal layer 0: all that follows needs it
    watch = Watch().feed(flat(pictures))
    missing = watch.tick(0.02)[0]
    assert len(missing) == 1
    assert watch.tick(0.01)[0] == []  # not again so soon
    assert watch.tick(0.6)[1] is True  # asks for a key frame
    assert watch.found["lost"] == 1
    assert (watch.found["incomplete_frames"], watch.found["undecodable_frames"]) == (1, 4)
    assert watch.tick(0.1)[1] is False
    assert watch.tick(0.3)[1] is True


def test_a_repair_mends_it() -> None:
    pictures = Film().pictures(9)
    lost = pictures[4].pop(1)
    watch = Watch().feed(flat(pictures))
    assert watch.tick(0.02)[0] == [int.from_bytes(lost[2:4], "big")]
    watch.feed([lost], repaired=True)
    assert watch.found == {"packets": sum(map(len, pictures)) + 1, "frames": 9, "repaired": 1}
    assert not watch.observer.troubled


def test_a_key_frame_behind_a_gap_ends_the_waiting() -> None:
    film = Film()
    pictures = film.pictures(3)
    del pictures[1][0]
    watch = Watch().feed(flat([*pictures, film.picture(key=True), film.picture()]))
    watch.tick(0.15)
    assert watch.found["lost"] == 1
    assert "undecodable_frames" not in watch.found
    assert watch.observer.checks.shown_at == watch.now


def test_what_comes_after_it_was_given_up_is_not_lost() -> None:
    pictures = Film().pictures(9)
    late = pictures[4].pop(1)
    watch = Watch().feed(flat(pictures))
    watch.tick(0.6)
    watch.feed([late])
    assert (watch.found["reordered"], watch.found.get("lost", 0)) == (1, 0)
    assert watch.feed([late]).found["duplicates"] == 1


def test_what_was_overtaken_is_no_loss() -> None:
    packets = flat(Film().pictures(4))
    packets[5], packets[6] = packets[6], packets[5]
    assert Watch().feed(packets).found == {"packets": len(packets), "frames": 4, "reordered": 1}


def test_what_comes_twice_is_found_and_probes_are_told_from_it() -> None:
    packets = flat(Film().pictures(2))
    assert Watch().feed(packets).feed(packets[-1:]).found["duplicates"] == 1
    assert Watch().feed(packets).feed(packets[-1:], repaired=True).found["probes"] == 1


def test_a_picture_that_is_left_out_is_found_though_the_numbers_hide_it() -> None:
    pictures = Film().pictures(9)
    del pictures[4]
    found = Watch().feed(renumbered(flat(pictures))).found
    assert (found["skipped_frames"], found["undecodable_frames"]) == (1, 4)


def test_the_highest_temporal_layer_may_be_left_out_if_the_picture_ids_close_up() -> None:
    whole = Film().pictures(8)
    kept = [picture for place, picture in enumerate(whole) if place % 2 == 0]
    closed = [[with_ids(p, place) for p in picture] for place, picture in enumerate(kept)]
    found = Watch().feed(renumbered(flat(closed))).found
    assert found == {"packets": len(flat(kept)), "frames": 4, "thinned_frames": 3}
    assert Watch().feed(renumbered(flat(kept))).found["picture_id_jumps"] == 3


def test_a_lower_temporal_layer_left_out_is_found() -> None:
    pictures = Film().pictures(5)
    del pictures[2]  # layer 1, which the next one needs
    found = Watch().feed(renumbered(flat(pictures))).found
    assert found["undecodable_frames"] == 1


def test_pictures_in_the_wrong_order_are_found_though_the_numbers_hide_it() -> None:
    pictures = Film().pictures(8)
    pictures[5], pictures[6] = pictures[6], pictures[5]
    found = Watch().feed(renumbered(flat(pictures))).found
    assert found["backward_frames"] == 1


def test_half_a_picture_is_found_though_the_numbers_hide_it() -> None:
    pictures = Film().pictures(3)
    del pictures[1][-1]
    assert Watch().feed(renumbered(flat(pictures))).found["incomplete_frames"] == 1
    pictures = Film().pictures(3)
    del pictures[1][0]
    assert Watch().feed(renumbered(flat(pictures))).found["incomplete_frames"] == 1


def test_a_switch_of_layers_is_right_at_a_key_frame_only() -> None:
    low, high = Film(layer=0, encodings=THREE[:1]), Film(layer=2, encodings=THREE[2:])
    before = flat(low.pictures(4))
    high.now = low.now
    right = Watch().feed(renumbered(before + flat(high.pictures(4))))
    # The timestamps of both begin anywhere: a server would align them.
    assert "bad_switches" not in right.found
    assert [layer for _, layer in right.observer.checks.changes] == [0, 2]
    high = Film(layer=2, encodings=THREE[2:])
    wrong = Watch().feed(renumbered(before + flat(high.pictures(4)[1:])))
    assert wrong.found["bad_switches"] == 1


def test_a_spatial_layer_may_go_but_comes_back_with_a_key_picture_only() -> None:
    film = Film(Camera(THREE, "svc", "AV1"), encodings=THREE)
    pictures = film.pictures(8)
    high = [[p for p in picture if _spatial(p) < 2] for picture in pictures[4:6]]
    found = Watch(codec="AV1").feed(renumbered(flat(pictures[:4] + high))).found
    assert "undecodable_frames" not in found
    found = Watch(codec="AV1").feed(renumbered(flat(pictures[:4] + high + pictures[6:]))).found
    assert found["undecodable_frames"] >= 1


def _spatial(packet: bytes) -> int:
    """By the template of the descriptor."""
    return (RtpPacket.parse(packet).extensions[6][0] & 0x3F) // 4


def test_a_frame_number_that_does_not_go_on_is_found() -> None:
    film = Film(Camera(THREE[:1], "svc", "AV1"), encodings=THREE[:1])
    pictures = film.pictures(4)
    rtp = RtpPacket.parse(pictures[2][0])
    rtp.extensions[6] = rtp.extensions[6][:1] + b"\x77\x77" + rtp.extensions[6][3:]
    pictures[2][0] = rtp.serialize()
    assert Watch(codec="AV1").feed(flat(pictures)).found["picture_id_jumps"] == 2


def test_timestamps_that_do_not_follow_the_senders_clock_are_found() -> None:
    packets = flat(Film().pictures(6))
    half = len(packets) // 2
    late = packets[:half] + [later(p, 4500) for p in packets[half:]]
    assert Watch().feed(late).found["clock_jumps"] == 1
    sound = voice(6)
    assert Watch("audio").feed(sound[:3] + [later(p, -3 * 960) for p in sound[3:]]).found["clock_jumps"] == 1


def test_another_sender_than_was_told_is_found() -> None:
    assert Watch("audio").feed(voice(2, sender=8)).found["wrong_sender"] == 2
    assert Watch(senders=frozenset((7, 8))).feed(flat(Film(sender=8).pictures(3))).found["frames"] == 3
    assert Watch(senders=None).feed(flat(Film(sender=8).pictures(3))).found["frames"] == 3


def test_a_sender_who_changes_is_found_though_none_was_told() -> None:
    packets = renumbered(voice(4) + voice(2, sender=8, start=100.08))
    assert Watch("audio", senders=None).feed(packets).found["wrong_sender"] == 2


def test_who_was_heard_before_does_not_count() -> None:
    watch = Watch("audio").feed(voice(4, sender=8))
    watch.observer.only(frozenset((7,)))
    assert "wrong_sender" not in watch.found


def test_video_that_begins_in_the_middle_is_found() -> None:
    watch = Watch().feed(flat(Film().pictures(5)[1:]))
    assert watch.found["not_from_key_frame"] == 1
    assert watch.tick()[1] is True


def test_the_wait_for_a_key_frame_is_measured() -> None:
    film = Film()
    pictures = film.pictures(5)
    watch = Watch().feed(flat(pictures[1:]))
    watch.now += 0.25
    watch.feed(film.picture(key=True))
    assert watch.observer.findings.key_frame_wait_ms == pytest.approx(250, abs=1)


def test_sound_is_checked_with_and_without_redundancy() -> None:
    for red in (False, True):
        assert Watch("audio").feed(voice(20, red=red)).found == {"packets": 20, "frames": 20}


def test_missing_sound_is_lost_at_once_and_late_sound_is_not() -> None:
    packets = voice(6)
    found = Watch("audio").feed(packets[:2] + packets[3:]).found
    assert found == {"packets": 5, "frames": 5, "lost": 1}
    found = Watch("audio").feed(packets[:2] + packets[3:4] + packets[2:3] + packets[4:]).found
    assert (found["reordered"], found.get("lost", 0)) == (1, 0)
    found = Watch("audio").feed(renumbered(packets[:2] + packets[3:])).found
    assert found["skipped_frames"] == 1


def test_the_longest_gap_is_measured_to_the_end() -> None:
    watch = Watch().feed(flat(Film().pictures(4)), step=0.005)
    shown = watch.observer.checks.shown_at
    assert shown is not None
    watch.observer.checks.ended(shown + 2.0)
    assert watch.observer.findings.longest_gap_ms == pytest.approx(2000, abs=1)
    watch.observer.checks.ended(shown + 9.0)
    assert watch.observer.findings.longest_gap_ms == pytest.approx(2000, abs=1)
    watch.observer.checks.forget_gaps()
    assert watch.observer.findings.longest_gap_ms == 0


def test_what_bears_no_stamp_is_found() -> None:
    packet = RtpPacket(111, 1, 1, 5, False, b"\xf8" + bytes(60)).serialize()
    assert Watch("audio").feed([packet]).found["unstamped"] == 1


@given(st.lists(st.tuples(st.integers(0, 0xFFFF), st.integers(0, 255), st.binary(max_size=60)), max_size=30))
def test_no_bytes_harm_the_observer(packets: list[tuple[int, int, bytes]]) -> None:
    """Whatever a plane might hand over."""
    for kind in ("audio", "video"):
        observer = StreamObserver(kind, Delays())
        for place, (sequence, flags, data) in enumerate(packets):
            mixed = flags | (int(Flag.DESCRIBED) if sequence & 1 else 0)
            observer.take(sequence, 3000 * place, mixed, 0, reading(data), float(place))
            observer.tick(place + 0.7)
        assert observer.findings.packets == len(packets)


@given(st.lists(st.integers(0, 0xFFFF), max_size=60))
def test_counts_add_up_whatever_the_order(numbers: list[int]) -> None:
    """A packet is in order, late, a repeat, or given up before it came; nothing is counted twice."""
    observer = StreamObserver("video", Delays())
    for place, number in enumerate(numbers):
        observer.take(number, 0, int(Flag.EMPTY), 0, lambda _: b"", place / 100)
    found = observer.findings
    assert found.packets == len(numbers)
    assert found.duplicates + found.reordered <= len(numbers)
    assert len(observer._held) <= len(numbers)
