"""Pacing in both forwarding planes, encrypted: order, age, and the numbers that the estimator counts on."""

from __future__ import annotations

from rtc.fanout import PACER_AGE, PACER_PACKETS, ExtensionIds, MasterKey, Profile
from rtc.srtp_session import SrtpSession
from tests.rtc.fanout_sealed import MakePlane, SealedCall, each_plane, each_profile, master_key

IDS = ExtensionIds(send_time=2, transport_wide=3)


def slow(make: MakePlane, profile: Profile = Profile.AES_128_GCM) -> tuple[SealedCall, int]:
    """A call whose receiver got a key frame, and has no part of its rate left."""
    call = SealedCall(make, profile)
    call.plane.set_extensions(call.sink, IDS)
    destination = call.open_picture()
    call.plane.set_pace(call.sink, 10_000)
    call.picture_comes(1, key=True, size=400)
    assert len(call.packets()) == 1
    return call, destination


def wait_for_turn(call: SealedCall) -> None:
    call.now += call.plane.next_flush(call.now)


@each_plane
@each_profile
def test_what_waits_is_sealed_when_it_leaves(make: MakePlane, profile: Profile) -> None:
    call, _ = slow(make, profile)
    for sequence in (2, 3, 4):
        call.picture_comes(sequence)
    assert call.datagrams() == []
    found = []
    for _ in range(3):
        wait_for_turn(call)
        (packet,) = call.packets()
        found.append((packet.sequence_number, int.from_bytes(packet.extensions[3], "big")))
        stamp = call.now * 262144 // 1_000_000 & 0xFFFFFF
        assert int.from_bytes(packet.extensions[2], "big") == stamp
    assert found == [(2, 1), (3, 2), (4, 3)]
    assert call.plane.next_flush(call.now) == -1


@each_plane
def test_numbers_go_out_in_order_whoever_overtakes(make: MakePlane) -> None:
    call, destination = slow(make)
    for sequence in (2, 3):
        call.picture_comes(sequence)
    call.comes(call.seal(1))  # sound never waits
    assert call.plane.repair(destination, [1], call.now) == 1  # repairs go before media
    call.now += 200_000
    packets = call.packets()
    while call.plane.next_flush(call.now) >= 0:
        wait_for_turn(call)
        packets += call.packets()
    assert [packet.ssrc for packet in packets] == [70, 78, 77, 77]
    assert [int.from_bytes(packet.extensions[3], "big") for packet in packets] == [1, 2, 3, 4]
    assert [one is not None for one in call.plane.sent(call.sink, 0, 6)] == [True] * 5 + [False]


@each_plane
def test_what_waited_too_long_is_dropped_and_takes_no_number(make: MakePlane) -> None:
    call, destination = slow(make)
    began = call.now
    call.picture_comes(2)
    call.now += 1
    call.picture_comes(3)
    call.now = began + PACER_AGE + 1
    packets = call.packets()
    assert [(one.sequence_number, one.extensions[3]) for one in packets] == [(3, b"\0\1")]
    assert call.plane.counters()["pacer-late"] == 1
    assert call.plane.counters()["pacer-full"] == 0
    assert call.plane.destination_state(destination).packets == 3
    (sent,) = call.plane.sent(call.sink, 1, 1)
    assert sent is not None
    assert sent.time == call.now
    # It is there when the receiver asks for it.
    assert call.plane.repair(destination, [2], call.now) == 1
    wait_for_turn(call)
    (repair,) = call.packets()
    assert (repair.ssrc, repair.payload[:2], repair.extensions[3]) == (78, b"\0\2", b"\0\2")


@each_plane
def test_repairs_grow_old_too(make: MakePlane) -> None:
    call, destination = slow(make)
    call.plane.set_pace(call.sink, 500)
    call.picture_comes(2, size=900)
    assert call.plane.repair(destination, [1, 1], call.now) == 2
    call.now += PACER_AGE + 1
    wait_for_turn(call)
    assert call.packets() == []
    assert call.plane.counters()["pacer-late"] == 3
    assert call.plane.next_flush(call.now) == -1


@each_plane
def test_a_slow_link_never_carries_what_is_older_than_that(make: MakePlane) -> None:
    """300 kbit/s for what is three times as much: what arrives is at most PACER_AGE and a packet old."""
    call, _ = slow(make)
    call.plane.set_pace(call.sink, 37_500)
    came: dict[int, int] = {}
    ages, number = [], 1
    for _ in range(3000):
        call.now += 1000
        if call.now % 10_000 == 0:
            number += 1
            call.picture_comes(number, size=1100)
            came[number] = call.now
        ages += [call.now - came[packet.sequence_number] for packet in call.packets()]
    assert max(ages) <= PACER_AGE + 1000
    assert 80 < len(ages) < 110  # 3 s of the rate
    counters = call.plane.counters()
    assert counters["pacer-full"] == 0
    assert counters["pacer-late"] > 150


@each_plane
def test_it_is_full_and_says_so(make: MakePlane) -> None:
    call, _ = slow(make)
    for sequence in range(2, PACER_PACKETS + 12):
        call.picture_comes(sequence, size=0)
    assert call.plane.counters()["pacer-full"] == 10
    call.plane.set_pace(call.sink, 0)
    assert len(call.packets()) == PACER_PACKETS


@each_plane
def test_new_keys_meet_what_waits(make: MakePlane) -> None:
    call, _ = slow(make)
    for sequence in (2, 3):
        call.picture_comes(sequence)
    wait_for_turn(call)
    assert len(call.packets()) == 1
    profile = Profile.AES_128_CM_SHA1_80
    keys = master_key(profile, 3), MasterKey(b"s" * 16, b"t" * 14)
    call.plane.set_keys(call.sink, profile, *keys)
    call.receiver = SrtpSession(profile, keys[1], inbound=True)
    wait_for_turn(call)
    assert [packet.sequence_number for packet in call.packets()] == [3]


@each_plane
def test_what_cannot_be_sealed_does_not_wait(make: MakePlane) -> None:
    call, destination = slow(make)
    before = call.plane.destination_state(destination).packets
    call.picture_comes(2, size=1458)  # longer than a datagram with the receiver's extensions
    assert call.plane.counters()["unsendable"] == 1
    assert call.plane.destination_state(destination).packets == before
    assert call.plane.next_flush(call.now) == -1


@each_plane
def test_a_key_frame_that_is_larger_than_that_is_completed_by_repairs(make: MakePlane) -> None:
    """66 KB at 100 KB a second, and small frames behind it; the receiver asks again for what is missing."""
    call, destination = slow(make)
    call.plane.set_pace(call.sink, 100_000)
    began, number = call.now, 1
    for _ in range(60):
        number += 1
        call.picture_comes(number, key=True, size=1070)
    got: set[int] = set()
    asked: dict[int, int] = {}
    while not got >= set(range(2, 62)):
        call.now += 1000
        if (call.now - began) % 33_000 == 0:
            number += 1
            call.picture_comes(number, size=300)
        for packet in call.packets():
            repair = packet.ssrc == 78
            got.add(int.from_bytes(packet.payload[:2], "big") if repair else packet.sequence_number)
        missing = set(range(2, max(got, default=2))) - got
        again = [one for one in sorted(missing) if call.now - asked.get(one, -1_000_000) >= 100_000]
        if again and (call.now - began) % 20_000 == 0:
            asked.update(dict.fromkeys(again, call.now))
            call.plane.repair(destination, again, call.now)
        assert call.now - began < 1_100_000
    assert call.plane.counters()["pacer-late"] > 20
    assert call.now - began > 660_000
