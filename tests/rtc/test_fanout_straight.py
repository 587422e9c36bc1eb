"""What the twin does once for a run of packets comes out as if it were done for each packet."""

from __future__ import annotations

import socket
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtc.fanout import MAX_DATAGRAM, Codec, DestinationPlan, ExtensionIds, StreamPlan
from rtc.fanout_destination import Destination
from rtc.fanout_peer import Bucket, Peer
from rtc.fanout_run import Run, evened
from rtc.fanout_socket import to_sockaddr
from rtc.fanout_twin import PythonFanout
from rtc.packet_reader import Packet
from rtc.rtp import RtpPacket
from rtc.vp8 import Vp8Descriptor
from tests.rtc.fanout_call import Call, vp8
from tests.rtc.fanout_sealed import MakePlane, SealedCall, each_plane
from tests.rtc.fanout_sources import VP8_KEY


class SealedSource:
    """An encrypted call whose sender has a socket."""

    def __init__(self, make: MakePlane) -> None:
        self.call = SealedCall(make)
        self.opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.opened.bind(("127.0.0.1", 0))
        self.call.plane.route(to_sockaddr(self.opened.getsockname()), self.call.source)

    def __enter__(self) -> SealedSource:
        return self

    def __exit__(self, *_: object) -> None:
        self.opened.close()
        self.call.plane.close()


class OneByOne(PythonFanout):
    """Forwards each packet for itself."""

    def _forward_run(self, run: list[Packet], now: int) -> None:
        stream = self._streams.get(run[0].stream)
        even = max(len(packet.payload) for packet in run)
        for destination in stream.destinations:
            for packet in run[:-1]:
                destination.forward(packet, stream, now, even)
            destination.forward(run[-1], stream, now)


IDS = (
    ExtensionIds(mid=1, transport_wide=3),
    ExtensionIds(mid=1, level=2, send_time=4, transport_wide=3),
    ExtensionIds(level=17, transport_wide=3),
    ExtensionIds(mid=1, send_time=3),
)
VIDEO = {Codec.VP8: (100, 101), Codec.H264: (102, 103), Codec.OPAQUE: (104, 0)}


class Planes:
    """The same calls on both: one sender, receivers of all kinds, their addresses those of sockets."""

    def __init__(self, random: Random, codec: Codec) -> None:
        self.random, self.codec, self.now = random, codec, 1_000_000
        self.planes = [PythonFanout(clear=True), OneByOne(clear=True)]
        self.video = codec is not Codec.OPAQUE
        plan = StreamPlan(5, 90000 if self.video else 48000, self.video, {96: codec}, {97: 96}, 6)
        self.sequence, self.time = random.choice((0, 65530, 32760)), random.choice((0, 0xFFFFF000))
        self.picture, self.wide = random.choice((0, 120, 0x7FFC)), random.random() < 0.7
        self.indexed = random.random() < 0.7
        for plane in self.planes:
            sender = plane.open_peer()
            plane.set_extensions(sender, ExtensionIds(level=1))
            plane.route(b"A", sender)
            plane.open_stream(sender, plan)
        for index, ids in enumerate((*IDS, IDS[0])):
            rate = random.choice((0, 0, 20_000, 300_000))
            for plane in self.planes:
                peer = plane.open_peer()
                plane.set_extensions(peer, ids)
                plane.set_address(peer, to_sockaddr(("127.0.0.1", 5000 + index)))
                plane.set_pace(peer, rate)
                plane.aim(plane.open_destination(peer, self.plan(index)), 0)

    def plan(self, index: int) -> DestinationPlan:
        if self.video:
            return DestinationPlan(70 + index, 80 if index % 2 else 0, 90000, True, VIDEO, b"0")
        return DestinationPlan(70 + index, 0, 48000, False, {Codec.OPAQUE: (109, 0)}, b"0")

    def payload(self, size: int, start: bool, key: bool, temporal: int) -> bytes:
        if self.codec is not Codec.VP8:
            return bytes((0x67 if key and start else 0x41,)) * size
        head = Vp8Descriptor(
            start,
            picture_id=self.picture,
            tl0picidx=self.picture & 0xFF if self.indexed else None,
            tid=temporal,
            wide_picture_id=self.wide,
        ).serialize()
        return head + (VP8_KEY if key and start else b"\x11") + bytes(size)

    def batch(self, key: bool) -> list[bytes]:
        """One picture or more, some packets lost or late."""
        random, found = self.random, []
        for _ in range(random.choice((1, 1, 1, 2))):
            self.time = (self.time + 3000) & 0xFFFFFFFF
            self.picture = (self.picture + 1) & (0x7FFF if self.wide else 0x7F)
            temporal = 0 if key else random.choice((0, 0, 1))
            count = random.choice((1, 3, 6))
            size = random.choice((1, 100, 1085, 1310))
            for index in range(count):
                self.sequence = (self.sequence + 1) & 0xFFFF
                payload = self.payload(size + random.choice((0, 1, 1, 5)), not index, key, temporal)
                level = {1: bytes((random.randrange(256),))} if random.random() < 0.3 else {}
                packet = RtpPacket(96, self.sequence, self.time, 5, index == count - 1, payload, (), level)
                if random.random() > 0.03:
                    found.append(packet.serialize())
        if random.random() < 0.1:
            random.shuffle(found)
        return found

    def step(self, key: bool) -> None:
        random, batch = self.random, self.batch(key)
        self.now += random.choice((1000, 33_000))
        turn, limit = random.random(), random.choice((0, 7))
        numbers = [random.randrange(65536), *range(self.sequence - 4, self.sequence)]
        for plane in self.planes:
            plane._take_in([(b"A", data) for data in batch], self.now)
            plane.forward(b"\1" * len(batch), self.now)
            if turn < 0.1:
                plane.restart_stream(0)
            elif turn < 0.2:
                plane.aim(0, 0, temporal=limit)
            elif turn < 0.3:
                plane.repair(1, [number & 0xFFFF for number in numbers], self.now)
            if turn < 0.7:
                plane.flush(-1, self.now)
        one, other = self.planes
        assert one.take() == other.take()
        assert one.counters() == other.counters()
        for index in range(len(IDS) + 1):
            assert one.destination_state(index) == other.destination_state(index)
            assert one.sent(index + 1, 0, 500) == other.sent(index + 1, 0, 500)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32), st.sampled_from((Codec.VP8, Codec.H264, Codec.OPAQUE)))
def test_a_run_goes_out_as_its_packets_would_one_by_one(seed: int, codec: Codec) -> None:
    planes = Planes(Random(seed), codec)
    for index in range(25):
        planes.step(key=index % 10 == 0)
    assert planes.planes[0].counters()["forwarded"] > 0


def test_what_follows_is_not_decided_packet_by_packet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the test above would compare one way with itself."""
    call = Call(ids=IDS[0])
    stream = call.stream()
    call.fanout.aim(call.destination(call.receiver()), stream)
    call.comes(vp8(1, key=True))
    monkeypatch.delattr(Destination, "forward")
    for number in range(2, 9):
        call.comes(vp8(number))
    assert [packet.sequence_number for packet in call.packets()] == list(range(1, 9))
    with pytest.raises(AttributeError):
        call.comes(replace(vp8(9), payload=b""))


def test_a_run_of_what_cannot_follow_is_not_straight() -> None:
    def read(sequence: int, picture: int) -> Packet:
        call = Call()
        call.stream()
        call.fanout.deliver(vp8(sequence, picture=picture).serialize(), b"A", call.now)
        assert isinstance(call.fanout, PythonFanout)
        return call.fanout._batch[0]

    assert Run([read(5, 7), read(6, 7), read(9, 8)]).straight
    assert not Run([read(5, 7), read(5, 7)]).straight
    assert not Run([read(6, 7), read(5, 7)]).straight
    assert not Run([read(5, 7), read(6, 6)]).straight


def test_padding_is_no_more_than_needed() -> None:
    assert evened(b"abc", 3) is None
    assert evened(b"abc", 5) == b"abc\0\2"
    assert evened(b"abc", 8) is None


@each_plane
def test_a_packet_of_a_run_that_cannot_be_sealed_takes_no_number(make: MakePlane) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as near, SealedSource(make) as source:
        near.bind(("127.0.0.1", 0))
        near.setblocking(False)
        call, plane = source.call, source.call.plane
        # The middle one has no room for the extensions of the receiver.
        for number, size in enumerate((20, MAX_DATAGRAM - 12 - 16, 30)):
            source.opened.sendto(call.seal(number, bytes(size)), near.getsockname())
        assert len(plane.receive(near.fileno(), call.now)) == 3
        plane.forward(b"\1" * 3, call.now)
        assert [packet.sequence_number for packet in call.packets()] == [0, 2]
        assert (plane.counters()["forwarded"], plane.counters()["unsendable"]) == (2, 1)
        first, second, third = plane.sent(call.sink, 0, 3)
        assert third is None
        assert [sent and sent.size for sent in (first, second)] == [20 + 12 + 8 + 16, 30 + 12 + 8 + 16]


@given(st.lists(st.lists(st.integers(1, 1500), max_size=40), max_size=12), st.integers(0, 65535))
def test_what_left_is_found_by_its_number(runs: list[list[int]], first: int) -> None:
    peer = Peer(0, Bucket(1))
    peer.next_number = first
    for time, sizes in enumerate(runs):
        peer.note_sent(time, sizes, cluster=time % 2)
    expected = [(time, size, time % 2) for time, sizes in enumerate(runs) for size in sizes]
    found = [peer.sent((first + index) & 0xFFFF) for index in range(len(expected))]
    assert found == expected
    assert peer.sent((first - 1) & 0xFFFF) is None
    assert peer.sent((first + len(expected)) & 0xFFFF) is None


def test_what_left_too_long_ago_is_forgotten() -> None:
    peer = Peer(0, Bucket(1))
    for time in range(70_000):
        peer.note_sent(time, (100,))
    newest = 69_999 & 0xFFFF
    assert peer.sent(newest) == (69_999, 100, 0)
    assert peer.sent((newest - 8191) & 0xFFFF) == (69_999 - 8191, 100, 0)
    assert peer.sent((newest - 8192) & 0xFFFF) is None
    assert peer.sent((newest + 1) & 0xFFFF) is None
