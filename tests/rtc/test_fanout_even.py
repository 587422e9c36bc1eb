"""Packets that go out together are made as large as each other, so that one call to the system sends them."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from rtc.fanout import EVEN_BYTES, FORWARD, MAX_EVENING
from rtc.fanout_twin import PythonFanout
from rtc.rtp import RtpPacket
from rtc.socket_address import pack_address
from tests.rtc.fanout_call import Call, vp8


class Meeting:
    """One picture in several packets comes through a real socket, in one batch."""

    def __init__(self, port: socket.socket, sender: socket.socket) -> None:
        self._port, self._sender = port, sender
        self.call = Call(PythonFanout(clear=True))
        fanout = self.call.fanout
        fanout.route(pack_address(*sender.getsockname()[:2]), self.call.sender)
        self.peer = self.call.receiver()
        self.destination = self.call.destination(self.peer)
        fanout.aim(self.destination, self.call.stream())

    def datagrams(self, *packets: RtpPacket) -> list[bytes]:
        """What leaves for the receiver when these come together."""
        for packet in packets:
            self._sender.sendto(packet.serialize(), self._port.getsockname())
        fanout, now = self.call.fanout, self.call.now
        records = fanout.receive(self._port.fileno(), now)
        assert len(records) == len(packets)
        fanout.forward(bytes((FORWARD,)) * len(records), now)
        fanout.flush(-1, now)
        return [data for _, data in fanout.take()]


@contextmanager
def meeting() -> Iterator[Meeting]:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as port,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
    ):
        for one in (port, sender):
            one.bind(("127.0.0.1", 0))
        port.setblocking(False)
        held = Meeting(port, sender)
        yield held
        held.call.fanout.close()


def part(number: int, size: int) -> RtpPacket:
    """One of several packets of a key frame, with `size` bytes of payload."""
    packet = vp8(number, key=True, timestamp=9000, picture=7, marker=False)
    packet.payload += bytes(size - len(packet.payload))
    return packet


@pytest.mark.parametrize(
    ("sizes", "sent"),
    [
        ((500, 501, 501, 500, 501, 501), (501,) * 6),
        ((500, 500 + MAX_EVENING, 300), (500 + MAX_EVENING, 500 + MAX_EVENING, 300)),
        ((500, 501 + MAX_EVENING, 500), (500, 501 + MAX_EVENING, 500)),  # too much is missing
        ((501, 501, 500), (501, 501, 500)),  # the last may be shorter
        ((EVEN_BYTES - 1, EVEN_BYTES), (EVEN_BYTES, EVEN_BYTES)),
        ((EVEN_BYTES, EVEN_BYTES + 1), (EVEN_BYTES, EVEN_BYTES + 1)),
        ((500,), (500,)),
    ],
)
def test_parts_of_a_picture_leave_at_one_size(sizes: tuple[int, ...], sent: tuple[int, ...]) -> None:
    with meeting() as one:
        came = [part(number, size) for number, size in enumerate(sizes)]
        datagrams = one.datagrams(*came)
        left = [RtpPacket.parse(data) for data in datagrams]
        head = len(datagrams[-1]) - sizes[-1]
        assert [len(data) - head for data in datagrams] == list(sent)
        assert [packet.payload[6:] for packet in left] == [packet.payload[6:] for packet in came]
        assert one.call.fanout.destination_state(one.destination).octets == sum(sizes)


def test_a_repair_has_no_padding() -> None:
    with meeting() as one:
        one.datagrams(part(1, 500), part(2, 501), part(3, 501))
        first = one.call.fanout.destination_state(one.destination).last_sequence - 2
        assert one.call.fanout.repair(one.destination, [first], one.call.now) == 1
        ((_, again),) = one.call.out()
        assert len(again.payload) == 2 + 500
