"""What no caller should hand to a forwarding plane is refused with ValueError and changes nothing; what lies
at a limit is taken."""

from __future__ import annotations

import gc
import resource
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest

from rtc.fanout import (
    BATCH,
    FORWARD,
    MAX_DATAGRAM,
    Codec,
    DestinationPlan,
    ExtensionIds,
    Profile,
    StreamPlan,
)
from rtc.fanout_open import native_reason
from tests.rtc.fanout_sealed import MakePlane, SealedCall, each_plane, master_key, native

#: Handles that nobody has: next to the open ones, at the ends of 32 and 64 bits, and beyond.
BAD_HANDLES = (-2, 99, 2**31 - 1, -(2**31), 2**31, 2**32, 2**63 - 1, 2**63, -(2**70))
KEY = master_key(Profile.AES_128_GCM, 1)
SOUND = StreamPlan(5, 48000, False, {111: Codec.OPAQUE})
OUT = DestinationPlan(6, 0, 48000, False, {Codec.OPAQUE: (109, 0)})


def of_peers(call: SealedCall, peer: int) -> list[Callable[[], object]]:
    plane, now = call.plane, call.now
    return [
        lambda: plane.set_keys(peer, Profile.AES_128_GCM, KEY, KEY),
        lambda: plane.set_extensions(peer, ExtensionIds()),
        lambda: plane.route(b"x", peer),
        lambda: plane.set_address(peer, b"x"),
        lambda: plane.set_pace(peer, 1),
        lambda: plane.close_peer(peer),
        lambda: plane.open_stream(peer, SOUND),
        lambda: plane.open_destination(peer, OUT),
        lambda: plane.probe(peer, 1, 0, now),
        lambda: plane.send_rtp(peer, bytes(20), now),
        lambda: plane.send_rtcp(peer, bytes(20), now),
        lambda: plane.send_raw(peer, b"\x16"),
        lambda: plane.arrivals(peer),
        lambda: plane.sent(peer, 0, 1),
    ]


def of_streams(call: SealedCall, stream: int) -> list[Callable[[], object]]:
    plane = call.plane
    return [
        lambda: plane.set_repair_ssrc(stream, 1),
        lambda: plane.set_clock(stream, 0, 0),
        lambda: plane.restart_stream(stream),
        lambda: plane.close_stream(stream),
        lambda: plane.aim(call.destination, stream),
        lambda: plane.stream_statistics(stream),
        lambda: plane.adopt(0, stream, 0),
    ]


def of_destinations(call: SealedCall, destination: int) -> list[Callable[[], object]]:
    plane = call.plane
    return [
        lambda: plane.aim(destination, call.stream),
        lambda: plane.close_destination(destination),
        lambda: plane.repair(destination, [1], 0),
        lambda: plane.destination_state(destination),
    ]


def still_works(call: SealedCall) -> None:
    (record,) = call.comes(call.seal(9000))
    assert record.stream == call.stream
    assert [packet.payload for packet in call.packets()] == [b"sound"]


@each_plane
@pytest.mark.parametrize("of", [of_peers, of_streams, of_destinations])
def test_handles_that_nobody_has(make: MakePlane, of: Callable[..., list[Callable[[], object]]]) -> None:
    call = SealedCall(make)
    call.plane.deliver(call.seal(1, ssrc=1000), b"A", call.now)
    before = call.plane.counters()
    for handle in BAD_HANDLES:
        for refused in of(call, handle):
            with pytest.raises(ValueError, match=r"[a-z]"):
                refused()
    assert call.plane.counters() == before
    still_works(call)


@each_plane
def test_places_in_a_batch_that_are_none(make: MakePlane) -> None:
    call = SealedCall(make)
    for count in (0, 1):
        if count:
            call.plane.deliver(call.seal(1), b"A", call.now)
        for index in (-1, count, BATCH, 2**31, 2**70):
            for refused in (call.plane.packet, call.plane.address):
                with pytest.raises(ValueError, match=r"[a-z]"):
                    refused(index)
            with pytest.raises(ValueError, match=r"[a-z]"):
                call.plane.adopt(index, call.stream, call.now)
        for verdicts in (bytes(count + 1), bytes(70), b"" if count else b"\1"):
            with pytest.raises(ValueError, match=r"[a-z]"):
                call.plane.forward(verdicts, call.now)
    assert call.packets() == []
    still_works(call)


@each_plane
def test_addresses_have_1_to_32_bytes(make: MakePlane) -> None:
    call = SealedCall(make)
    plane = call.plane
    for size in (1, 15, 16, 17, 28, 31, 32):
        address = b"\xff" * size
        plane.route(address, call.source)
        plane.set_address(call.source, address)
        assert len(plane.deliver(b"\x16dtls", address, call.now)) == 1
        assert plane.address(0) == address
        plane.send_raw(call.source, b"\x16back")
        plane.send_to(address, b"again")
        plane.flush(-1, call.now)
        assert plane.take() == [(address, b"\x16back"), (address, b"again")]
        plane.route(address, -1)
        assert list(plane.deliver(b"\x16dtls", address, call.now)) == []
    for address in (b"", bytes(33), bytes(1000)):
        for refused in (
            lambda address=address: plane.route(address, call.source),
            lambda address=address: plane.send_to(address, b"x"),
            lambda address=address: plane.deliver(b"\0", address, 0),
        ):
            with pytest.raises(ValueError, match=r"[a-z]"):
                refused()
        if address:
            with pytest.raises(ValueError, match=r"[a-z]"):
                plane.set_address(call.source, address)


@each_plane
def test_one_address_is_no_beginning_of_another(make: MakePlane) -> None:
    call = SealedCall(make)
    for size in range(1, 33):
        call.plane.route(bytes(size), call.source if size % 2 else call.sink)
    peers = [call.plane.deliver(b"\x16", bytes(size), 0)[0].peer for size in range(1, 33)]
    assert peers == [call.source, call.sink] * 16


@each_plane
@pytest.mark.parametrize(
    "plan",
    [
        StreamPlan(2**32, 48000, False, {}),
        StreamPlan(-1, 48000, False, {}),
        StreamPlan(5, 48000, False, {}, rtx_ssrc=2**32),
        StreamPlan(5, 48000, False, {}, rtx_ssrc=5),
        StreamPlan(5, 0, False, {}),
        StreamPlan(5, -1, False, {}),
        StreamPlan(5, 2**31, False, {}),
        StreamPlan(5, 48000, False, {128: Codec.OPAQUE}),
        StreamPlan(5, 48000, False, {-1: Codec.OPAQUE}),
        StreamPlan(5, 48000, False, {96: cast(Codec, 6)}),
        StreamPlan(5, 48000, False, {}, {97: 128}),
        StreamPlan(5, 48000, False, {}, {256: 96}),
        StreamPlan(5, 48000, False, {}, group=2**31),
    ],
)
def test_streams_that_cannot_be(make: MakePlane, plan: StreamPlan) -> None:
    call = SealedCall(make)
    with pytest.raises(ValueError, match=r"[a-z]"):
        call.plane.open_stream(call.source, plan)
    assert call.open_stream(5) == call.stream + 1  # nothing of it is left
    still_works(call)


@each_plane
@pytest.mark.parametrize(
    "plan",
    [
        DestinationPlan(2**32, 0, 48000, False, {}),
        DestinationPlan(6, 2**32, 90000, True, {}),
        DestinationPlan(6, 0, 0, False, {}),
        DestinationPlan(6, 0, 2**31, False, {}),
        DestinationPlan(6, 0, 48000, False, {}, b"m" * 256),
        DestinationPlan(6, 0, 48000, False, {Codec.OPAQUE: (128, 0)}),
        DestinationPlan(6, 0, 48000, False, {Codec.OPAQUE: (100, 128)}),
        DestinationPlan(6, 0, 48000, False, {Codec.OPAQUE: (-1, 0)}),
        DestinationPlan(6, 0, 48000, False, {cast(Codec, 6): (100, 0)}),
    ],
)
def test_destinations_that_cannot_be(make: MakePlane, plan: DestinationPlan) -> None:
    call = SealedCall(make)
    with pytest.raises(ValueError, match=r"[a-z]"):
        call.plane.open_destination(call.sink, plan)
    assert call.plane.open_destination(call.sink, OUT) == call.destination + 1
    still_works(call)


@each_plane
def test_numbers_that_are_out_of_range(make: MakePlane) -> None:
    call = SealedCall(make)
    plane, source = call.plane, call.source
    for refused in (
        lambda: plane.set_extensions(source, ExtensionIds(mid=256)),
        lambda: plane.set_extensions(source, ExtensionIds(dependency=-1)),
        lambda: plane.set_pace(source, -1),
        lambda: plane.set_pace(source, 2**63),
        lambda: plane.aim(call.destination, call.stream, spatial=8),
        lambda: plane.aim(call.destination, call.stream, temporal=-1),
        lambda: plane.aim(call.destination, call.stream, temporal=2**40),
        lambda: plane.sent(source, 0, -1),
        lambda: plane.sent(source, 0, 0x10000),
        lambda: plane.set_repair_ssrc(call.stream, 2**32),
        lambda: plane.set_repair_ssrc(call.stream, -1),
    ):
        with pytest.raises(ValueError, match=r"[a-z]"):
            refused()
    assert len(plane.sent(source, 65_000, 0xFFFF)) == 0xFFFF
    assert plane.sent(source, 0, 0) == []
    assert plane.repair(call.destination, [], 0) == 0
    assert plane.repair(call.destination, [-1, 65_536, 2**40], 0) == 0
    assert plane.probe(source, 0, 0, 0) == plane.probe(source, -5, 0, 0) == 0
    still_works(call)


@each_plane
def test_what_is_sent_has_its_limits(make: MakePlane) -> None:
    call = SealedCall(make)
    plane, source = call.plane, call.source
    for data in (b"", b"x", bytes(MAX_DATAGRAM)):
        plane.send_raw(source, data)
        plane.send_to(b"C", data)
    assert [len(data) for data in call.datagrams()] == [0, 0, 1, 1, MAX_DATAGRAM, MAX_DATAGRAM]
    unsendable = 0
    for size in (MAX_DATAGRAM + 1, 5000, 70_000):
        plane.send_raw(source, bytes(size))
        plane.send_to(b"C", bytes(size))
        plane.send_rtp(source, b"\x80" + bytes(size - 1), 0)
        plane.send_rtcp(source, b"\x80" + bytes(size - 1), 0)
        unsendable += 4
    for short in (b"", b"\x80", b"\x80" + bytes(6)):
        plane.send_rtcp(source, short, 0)
        plane.send_rtp(source, short, 0)
        unsendable += 2
    for lying in (b"\x8f" + bytes(40), b"\x90" + bytes(14), b"\x90" + bytes(13) + b"\xff\xff" + bytes(99)):
        plane.send_rtp(source, lying, 0)
        unsendable += 1
    assert call.datagrams() == []
    assert plane.counters()["unsendable"] == unsendable


@each_plane
def test_a_batch_of_one_and_of_none(make: MakePlane) -> None:
    call = SealedCall(make)
    assert list(call.plane.deliver(b"", b"A", 0)) == []
    call.plane.forward(b"", 0)
    call.plane.deliver(call.seal(1), b"A", 0)
    call.plane.close_stream(call.stream)
    call.plane.forward(bytes((FORWARD,)), 0)  # its stream has gone
    call.plane.deliver(call.seal(2), b"A", 0)
    call.plane.close_peer(call.sink)
    call.plane.close_peer(call.source)
    call.plane.forward(bytes((FORWARD,)), 0)
    assert call.datagrams() == []
    call.plane.close()


if not native_reason():

    def test_the_kernel_gives_its_memory_back() -> None:
        """Planes close with packets cached, waiting and not taken; 300 bytes of each would be noticed."""

        def resident() -> int:
            return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()

        def one() -> None:
            call = SealedCall(native)
            destination = call.open_picture()
            call.picture_comes(1, key=True)
            call.plane.set_pace(call.sink, 1000)
            for sequence in range(2, 8):
                call.picture_comes(sequence)
                call.comes(call.seal(sequence))
            call.plane.repair(destination, [1, 2], call.now)
            call.plane.flush(-1, call.now)
            call.plane.send_to(b"C", b"not flushed")
            call.plane.close()

        for _ in range(300):
            one()
        gc.collect()
        before = resident()
        for _ in range(1000):
            one()
        gc.collect()
        assert resident() - before < 300_000
