"""What leaves through real sockets: segments, sockets that are full, ways that are closed."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from rtc.fanout import BATCH, MAX_SEGMENTS, Fanout
from rtc.fanout_socket import to_sockaddr
from tests.rtc.fanout_sealed import MakePlane, SealedCall, each_plane

#: Of linux/udp.h: what sends segments as one message, and what joins them again at the receiver, so that it
#: shows whether they left as one.
SOL_UDP, UDP_SEGMENT, UDP_GRO = 17, 103, 104
#: Of asm/socket.h.
SO_NO_CHECK = 11


@contextmanager
def bound(host: str = "127.0.0.1") -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as opened:
        opened.bind((host, 0))
        opened.setblocking(False)
        yield opened


def got(receiver: socket.socket) -> list[bytes]:
    """All that waits in a socket."""
    found = []
    while True:
        try:
            found.append(receiver.recv(70_000))
        except BlockingIOError:
            return found


@each_plane
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_equal_and_unequal_sizes_come_as_they_were_sent(make: MakePlane, host: str) -> None:
    sizes = [100] * 20 + [50, 50, 70, 70, 70, 10, 1, 1, 1400, 1400, 1399, 0, 5]
    sent = [bytes((index,)) * size for index, size in enumerate(sizes)]
    with bound(host) as near, bound(host) as far:
        plane = make()
        for data in sent:
            plane.send_to(to_sockaddr(far.getsockname()), data)
        assert plane.flush(near.fileno(), 0) == 0
        assert got(far) == sent
        assert plane.counters()["sent"] == len(sent)
        assert plane.counters()["sent-octets"] == sum(sizes)
        plane.close()


@each_plane
def test_a_way_that_is_closed_holds_up_nobody(make: MakePlane) -> None:
    with bound() as near, bound() as far:
        plane = make()
        good, bad = to_sockaddr(far.getsockname()), to_sockaddr(("127.0.0.1", 0))
        for address in (bad, good, bad, bad, bad, good, good, bad):
            plane.send_to(address, b"same size")
        assert plane.flush(near.fileno(), 0) == 0
        assert got(far) == [b"same size"] * 3
        assert (plane.counters()["sent"], plane.counters()["unreachable"]) == (3, 5)
        plane.close()


@each_plane
def test_a_batch_is_taken_in_from_a_socket(make: MakePlane) -> None:
    with bound() as near, bound() as far:
        call = SealedCall(make)
        name = to_sockaddr(far.getsockname())
        call.plane.route(name, call.source)
        call.plane.set_address(call.sink, name)
        sealed = [call.seal(number, b"%d" % number) for number in range(BATCH + 6)]
        for data in sealed:
            far.sendto(data, near.getsockname())
        counts = []
        for _ in range(3):
            records = call.plane.receive(near.fileno(), call.now)
            counts.append(len(records))
            call.plane.forward(b"\1" * len(records), call.now)
            assert call.plane.flush(near.fileno(), call.now) == 0
        assert counts == [BATCH, 6, 0]
        opened = [call.receiver.open_rtp(data) for data in got(far)]
        assert [data and data.endswith(b"%d" % number) for number, data in enumerate(opened)] == [True] * 70
        call.plane.close()


class Full:
    """Two sockets of the system's own kind, which can be full, and a plane that sends to them in turn: so no
    two neighbours go to one address. A socket's address has 16 bytes here as one of IPv4 has."""

    def __init__(self, make: MakePlane) -> None:
        self.plane: Fanout = make()
        self.names = [b"\1\0\0hearth-test-%d" % index for index in range(2)]
        self.near, *self.far = (socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) for _ in range(3))
        for opened, name in zip(self.far, self.names, strict=True):
            opened.bind(name[2:])
            opened.setblocking(False)
        self.near.setblocking(False)

    def send(self, first: int, count: int) -> None:
        for index in range(first, first + count):
            self.plane.send_to(self.names[index % 2], struct.pack("!I", index))

    def got(self) -> list[int]:
        return sorted(struct.unpack("!I", data)[0] for opened in self.far for data in got(opened))

    def flush(self) -> int:
        return self.plane.flush(self.near.fileno(), 0)

    def close(self) -> None:
        self.plane.close()
        for opened in (self.near, *self.far):
            opened.close()


@contextmanager
def full(make: MakePlane) -> Iterator[Full]:
    opened = Full(make)
    try:
        yield opened
    finally:
        opened.close()


@each_plane
def test_what_a_full_socket_does_not_take_waits_and_keeps_its_order(make: MakePlane) -> None:
    with full(make) as sockets:
        sockets.send(0, 300)
        left = sockets.flush()
        assert 200 < left < 300
        assert sockets.plane.counters()["sent"] == 300 - left
        assert sockets.flush() == left  # still full
        sockets.send(300, 5)
        found = sockets.got()
        while left:
            left = sockets.flush()
            found += sockets.got()
        assert found == list(range(305))
        counters = sockets.plane.counters()
        assert (counters["sent"], counters["send-buffer-full"], counters["unreachable"]) == (305, 0, 0)


@each_plane
def test_no_more_waits_than_a_bound(make: MakePlane) -> None:
    with full(make) as sockets:
        sockets.send(0, 6000)
        assert sockets.flush() == 4096
        sent = sockets.plane.counters()["sent"]
        assert sockets.plane.counters()["send-buffer-full"] == 6000 - 4096 - sent
        found = sockets.got()
        while sockets.flush():
            found += sockets.got()
        assert found + sockets.got() == list(range(4096 + sent))  # the newest were dropped


def segments(near: socket.socket) -> bool:
    """Whether this system sends several datagrams as one message, and joins them again."""
    with bound() as far:
        far.setsockopt(SOL_UDP, UDP_GRO, 1)
        try:
            near.sendmsg([bytes(200)], [(SOL_UDP, UDP_SEGMENT, struct.pack("=H", 100))], 0, far.getsockname())
        except OSError:
            return False
        return [len(data) for data in got(far)] == [200]


class Joining:
    """A plane that sends from `near` to `far`, which gives what came as one message as one."""

    def __init__(self, plane: Fanout, near: socket.socket, far: socket.socket) -> None:
        self.joined = segments(near)
        far.setsockopt(SOL_UDP, UDP_GRO, 1)
        self.plane, self.near, self._far = plane, near, far
        self.name = to_sockaddr(far.getsockname())

    def sizes(self) -> list[int]:
        """Of the messages that came."""
        return [len(data) for data in got(self._far)]


@contextmanager
def joining(make: MakePlane) -> Iterator[Joining]:
    with bound() as near, bound() as far:
        plane = make()
        yield Joining(plane, near, far)
        plane.close()


@each_plane
def test_equal_sizes_to_one_address_leave_as_one_message(make: MakePlane) -> None:
    """Where the system can: Linux since 4.18 and 5.0 has both ends of it."""
    with joining(make) as way:
        for size in [200] * 19 + [90] + [200] * 2 + [300]:
            way.plane.send_to(way.name, bytes(size))
        way.plane.flush(way.near.fileno(), 0)
        sizes = way.sizes()
        assert sum(sizes) == 19 * 200 + 90 + 2 * 200 + 300
        if way.joined:
            assert sizes == [MAX_SEGMENTS * 200, MAX_SEGMENTS * 200, 3 * 200 + 90, 400, 300]
        else:
            assert len(sizes) == 23


@each_plane
def test_a_closed_way_does_not_cost_the_others_their_segments(make: MakePlane) -> None:
    with joining(make) as way:
        for address in [to_sockaddr(("127.0.0.1", 0))] * 3 + [way.name] * 3:
            way.plane.send_to(address, bytes(100))
        way.plane.flush(way.near.fileno(), 0)
        assert way.plane.counters()["unreachable"] == 3
        assert way.sizes() == ([300] if way.joined else [100] * 3)


@each_plane
def test_where_segments_are_refused_each_goes_alone_and_later_they_are_tried_again(make: MakePlane) -> None:
    """The system refuses segments on a socket without check sums, as it does where there are none."""
    with joining(make) as way:
        way.near.setsockopt(socket.SOL_SOCKET, SO_NO_CHECK, 1)

        def sizes(count: int) -> list[int]:
            for _ in range(count):
                way.plane.send_to(way.name, bytes(100))
            assert way.plane.flush(way.near.fileno(), 0) == 0
            return way.sizes()

        assert sizes(8) == [100] * 8
        way.near.setsockopt(socket.SOL_SOCKET, SO_NO_CHECK, 0)
        for _ in range(12):
            assert sizes(80) == [100] * 80
        assert sum(sizes(80)) == 8000
        assert sizes(8) == ([800] if way.joined else [100] * 8)
        assert way.plane.counters()["unreachable"] == 0
