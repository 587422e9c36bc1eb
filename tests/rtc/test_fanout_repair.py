"""Pacing, repair, probes and what is remembered of them, in the Python twin."""

from __future__ import annotations

from rtc.fanout import CACHE_AGE, PACER_PACKETS, REPAIRS_PER_SECOND
from rtc.rtp import RtpPacket
from tests.rtc.dependency_bits import L1T3, write_descriptor
from tests.rtc.fanout_call import Call, vp8


def flowing(packets: int = 5) -> tuple[Call, int, int]:
    """A call with one picture that flows; call, receiver, destination."""
    call = Call()
    peer = call.receiver()
    destination = call.destination(peer)
    call.fanout.aim(destination, call.stream())
    for number in range(1, packets + 1):
        call.comes(vp8(number, key=number == 1))
    return call, peer, destination


def test_lost_packets_are_sent_again_in_a_stream_of_their_own() -> None:
    call, _, destination = flowing()
    sent = call.packets()
    assert call.fanout.repair(destination, [2, 4, 99], call.now) == 2
    again = call.packets()
    assert [(one.ssrc, one.payload_type, one.sequence_number) for one in again] == [
        (78, 101, 1),
        (78, 101, 2),
    ]
    for repair, first in zip(again, (sent[1], sent[3]), strict=True):
        assert repair.payload == first.sequence_number.to_bytes(2, "big") + first.payload
        assert (repair.timestamp, repair.marker) == (first.timestamp, first.marker)
        assert set(repair.extensions) == {1, 3, 4}
    assert call.fanout.destination_state(destination).repairs == 2


def test_a_repaired_frame_still_says_what_it_refers_to() -> None:
    call = Call()
    destination = call.destination(call.receiver())
    call.fanout.aim(destination, call.stream())
    value = write_descriptor(L1T3, 0, 9, attach=True)
    call.comes(RtpPacket(45, 7, 0, 5, True, b"\x18av1", (), {5: value}))
    assert call.fanout.repair(destination, [7], call.now) == 1
    assert [packet.extensions[5] for packet in call.packets()] == [value, value]


def test_what_is_too_old_is_not_repaired() -> None:
    call, _, destination = flowing()
    assert call.fanout.repair(destination, [5], call.now + CACHE_AGE) == 1
    assert call.fanout.repair(destination, [5], call.now + CACHE_AGE + 1) == 0


def test_what_the_ring_forgot_is_not_repaired() -> None:
    call, _, destination = flowing(600)
    assert call.fanout.repair(destination, [600 - 512], call.now) == 0
    assert call.fanout.repair(destination, [600 - 511], call.now) == 1


def test_a_receiver_that_asks_for_everything_gets_its_share() -> None:
    call, _, destination = flowing(10)
    asked = list(range(1, 11)) * 100
    assert call.fanout.repair(destination, asked, call.now) == REPAIRS_PER_SECOND
    assert call.fanout.repair(destination, asked, call.now) == 0
    call.now += 100_000
    assert call.fanout.repair(destination, asked, call.now) == REPAIRS_PER_SECOND // 10


def test_a_paced_peer_gets_its_packets_in_time() -> None:
    call, peer, destination = flowing(1)
    first = call.packets()
    call.fanout.set_pace(peer, 10_000)
    for number in range(2, 30):
        call.comes(vp8(number))
    passed = len(call.packets())
    assert 0 < passed < 28
    wait = call.fanout.next_flush(call.now)
    assert wait > 0
    call.now += wait - 1
    assert call.packets() == []
    assert call.fanout.repair(destination, [first[0].sequence_number], call.now) == 1
    call.now += 1
    assert [packet.ssrc for packet in call.packets()] == [78]  # repairs before media
    numbers = call.fanout.sent(peer, passed, 3)  # the first frame's, then the repair's; none of what waits
    assert [one is None for one in numbers] == [False, False, True]
    call.now += 200_000
    call.fanout.set_pace(peer, 0)
    assert call.fanout.next_flush(call.now) == 0
    rest = [packet for packet in call.packets() if packet.ssrc == 77]
    assert [packet.sequence_number for packet in rest] == list(range(passed + 2, 30))
    assert call.fanout.next_flush(call.now) == -1


def test_a_pacer_that_is_full_drops_and_leaves_a_number_to_repair() -> None:
    call, peer, destination = flowing(1)
    call.packets()
    call.fanout.set_pace(peer, 100)
    for number in range(2, PACER_PACKETS + 50):
        call.comes(vp8(number))
    dropped = call.fanout.counters()["pacer-full"]
    assert dropped > 0
    assert call.fanout.destination_state(destination).packets + dropped == PACER_PACKETS + 49
    call.fanout.set_pace(peer, 0)
    sent = len(call.packets())
    assert sent + dropped == PACER_PACKETS + 48
    assert call.fanout.repair(destination, [PACER_PACKETS + 49], call.now) == 1


def test_transport_wide_numbers_tell_when_and_what() -> None:
    call, peer, _ = flowing(2)
    assert call.fanout.probe(peer, 80, 6, call.now + 5) == 2
    found = call.fanout.sent(peer, 0, 5)
    assert [one and (one.time - call.now, one.cluster) for one in found] == [
        (0, 0),
        (0, 0),
        (5, 6),
        (5, 6),
        None,
    ]
    sizes = [len(packet.serialize()) for packet in call.packets()]
    assert [one.size for one in found if one is not None] == sizes


def test_a_probe_repeats_the_latest_first_and_then_pads() -> None:
    call, peer, _ = flowing(3)
    call.packets()
    call.fanout.probe(peer, 1000, 1, call.now)
    call.fanout.flush(-1, call.now)
    datagrams = [data for _, data in call.fanout.take()]
    assert sum(map(len, datagrams)) >= 1000
    assert sum(map(len, datagrams[:-1])) < 1000
    packets = [RtpPacket.parse(data) for data in datagrams]
    assert [packet.payload[:2] for packet in packets[:3]] == [b"\0\3", b"\0\2", b"\0\1"]
    assert {packet.payload for packet in packets[3:]} == {b""}
    assert all(data[0] & 0x20 and data[-1] == 255 for data in datagrams[3:])
    assert [packet.sequence_number for packet in packets] == list(range(1, len(packets) + 1))


def test_a_probe_does_not_repeat_what_waits_itself() -> None:
    """It would arrive before what it repeats, and look as if that had been lost."""
    call, peer, _ = flowing(3)
    went = [packet.sequence_number for packet in call.packets()]
    call.fanout.set_pace(peer, 1000)
    for number in range(4, 12):
        call.now += 1000
        call.comes(vp8(number))
    went += [packet.sequence_number for packet in call.packets()]
    assert len(went) < 11  # some wait
    assert call.fanout.probe(peer, 2000, 1, call.now) > 0
    call.fanout.set_pace(peer, 0)
    repeated = [packet for packet in call.packets() if packet.ssrc == 78 and packet.payload]
    numbers = [int.from_bytes(packet.payload[:2], "big") for packet in repeated]
    assert numbers
    assert set(numbers) <= set(went)


def test_a_probe_before_any_picture_is_padding() -> None:
    call = Call()
    peer = call.receiver()
    call.destination(peer)
    assert call.fanout.probe(peer, 1000, 1, call.now) == 4
    packets = call.packets()
    assert {(packet.ssrc, packet.payload) for packet in packets} == {(78, b"")}
    assert [packet.sequence_number for packet in packets] == [1, 2, 3, 4]


def test_there_is_no_probe_without_a_section_for_pictures_that_are_repaired() -> None:
    call = Call()
    peer = call.receiver()
    call.destination(peer, video=False)
    call.destination(peer, 87, rtx_ssrc=0)
    assert call.fanout.probe(peer, 1000, 1, call.now) == 0


def test_sound_never_waits_and_still_counts() -> None:
    call = Call()
    peer = call.receiver()
    destination = call.destination(peer, video=False)
    call.fanout.aim(destination, call.stream(9, video=False))
    call.fanout.set_pace(peer, 100)
    for number in range(20):
        call.comes(RtpPacket(111, number, number * 960, 9, False, bytes(100)))
    assert len(call.packets()) == 20
    call.fanout.aim(call.destination(peer, 87, rtx_ssrc=88), call.stream())
    call.comes(vp8(1, key=True))
    assert call.packets() == []
    assert call.fanout.next_flush(call.now) > 10_000_000
