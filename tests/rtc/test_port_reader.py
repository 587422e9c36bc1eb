"""How the port's socket meets the loop: in batches, in turns, and where a loop watches no descriptors."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from rtc import port_reader, udp_mux
from rtc.fanout import BATCH, Record
from rtc.fanout_twin import PythonFanout
from rtc.port_reader import EndpointPort
from rtc.transport import PeerTransport
from rtc.udp_mux import UdpMux
from tests.rtc.checking import PLANES, check
from tests.rtc.framed import FramedLink
from tests.rtc.transport_pair import CLIENT, Pair, packet, pair, until

HOST = "127.0.0.1"
STRANGERS = Record(0, 0, 0, 0, 0, 255, 0, 0, 0, 0, 0, -1, -1)


def _refuse(*arguments: object) -> None:
    raise NotImplementedError


class BlindLoop(asyncio.SelectorEventLoop):
    """Watches no descriptors for others, as the loop of Windows."""

    add_reader: Any = _refuse


class OddPlane(PythonFanout):
    """Never has read all, or never has sent all, as told."""

    def __init__(self) -> None:
        super().__init__()
        self.left_over: list[int] = []  # what each flush leaves
        self.waits: list[int] = []  # what each flush has to wait for
        self.flushes = self.receives = 0
        self.endless = False

    def flush(self, fd: int, now: int) -> int:
        self.flushes += 1
        super().flush(fd, now)
        return self.left_over.pop(0) if self.left_over else 0

    def next_flush(self, now: int) -> int:
        return self.waits.pop(0) if self.waits else -1

    def receive(self, fd: int, now: int) -> Sequence[Record]:
        self.receives += 1
        found = super().receive(fd, now)
        return [STRANGERS] * BATCH if self.endless else found

    def packet(self, index: int) -> bytes:
        return b"\x00" if self.endless else super().packet(index)

    def address(self, index: int) -> bytes:
        return bytes(16) if self.endless else super().address(index)


@pytest.fixture
def plane(monkeypatch: pytest.MonkeyPatch) -> OddPlane:
    made = OddPlane()
    monkeypatch.setattr(udp_mux, "open_fanout", lambda kind: made)
    return made


@contextlib.asynccontextmanager
async def opened() -> AsyncIterator[UdpMux]:
    mux = await UdpMux.open(HOST, 0)
    try:
        yield mux
    finally:
        await mux.close()


async def test_what_a_full_socket_left_over_is_sent_when_there_is_room(plane: OddPlane) -> None:
    async with opened() as mux:
        plane.left_over = [3, 2, 1]
        mux.wake()
        await until(lambda: plane.flushes == 4)
        for _ in range(5):
            await asyncio.sleep(0)
        assert plane.flushes == 4  # nothing left over: nothing to be told of


async def test_paced_packets_are_sent_when_they_are_due(plane: OddPlane) -> None:
    async with opened() as mux:
        plane.waits = [0, 2_000, -1]
        mux.wake()
        await until(lambda: plane.flushes == 3)
        assert plane.waits == []


async def test_one_flush_for_all_that_is_to_be_sent_in_a_turn(plane: OddPlane) -> None:
    async with opened() as mux:
        for _ in range(10):
            mux.wake()
        assert plane.flushes == 0
        await asyncio.sleep(0)
        assert plane.flushes == 1


async def test_a_flood_leaves_the_loop_its_turns(plane: OddPlane) -> None:
    async with opened() as mux:
        plane.endless = True
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as flood:
            most = 0
            for _ in range(5):
                flood.sendto(b"\x00", (HOST, mux.port))
                before = plane.receives
                await until(lambda: plane.receives > before)  # noqa: B023
                most = max(most, plane.receives - before)
        assert most == port_reader.BATCHES


async def test_nothing_is_sent_by_a_port_that_is_closed(plane: OddPlane) -> None:
    async with opened() as mux:
        mux.wake()
    await asyncio.sleep(0)
    assert plane.flushes == 0
    mux.wake()
    await asyncio.sleep(0)
    assert plane.flushes == 0


async def _paths_of(kind: Any) -> None:
    for host in (HOST, "::1"):
        async with pair(host) as both:
            assert isinstance(both.mux._io, EndpointPort)
            both.client.send_rtp(packet(1))
            both.server.send_rtp(packet(2))
            await until(lambda: both.at_server == [packet(1)])
            await until(lambda: both.at_client == [packet(2)])
    mux = await UdpMux.open(HOST, 0, kind=kind)
    both = Pair(mux, HOST)
    link: Any = FramedLink()
    both.client = PeerTransport(
        link,
        CLIENT,
        on_rtp=lambda data, now: both.at_client.append(data),
        on_rtcp=lambda data, now: None,
    )
    both.told_server = both.client.local_parameters("actpass")  # whose password proves its address
    assert await both.connect() == [None, None]
    both.server.send_rtp(packet(3))
    await until(lambda: both.at_client == [packet(3)])
    await both.close()
    await mux.close()


@pytest.mark.parametrize("kind", PLANES)
def test_a_loop_that_watches_no_descriptors(kind: str) -> None:
    with asyncio.Runner(loop_factory=BlindLoop) as runner:
        runner.run(_paths_of(kind))


async def _both_families() -> None:
    mux = await UdpMux.open("::", 0)
    loop = asyncio.get_running_loop()
    for family, host in ((socket.AF_INET, HOST), (socket.AF_INET6, "::1")):
        link = mux.link()
        with socket.socket(family, socket.SOCK_DGRAM) as client:
            client.setblocking(False)
            client.connect((host, mux.port))
            client.send(check(link))
            await asyncio.wait_for(loop.sock_recv(client, 2000), 10)
            await link._send(b"\x16 to both")
            assert await asyncio.wait_for(loop.sock_recv(client, 2000), 10) == b"\x16 to both"
    assert mux.dropped == {}
    await mux.close()


@pytest.mark.parametrize("loop_factory", [BlindLoop, asyncio.SelectorEventLoop])
def test_one_socket_for_both_families(loop_factory: Any) -> None:
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(_both_families())


async def _full() -> None:
    mux = await UdpMux.open(HOST, 0)
    port = mux._io
    assert isinstance(port, EndpointPort)
    link = mux.link()
    mux.deliver(check(link), b"\x02\x00\x00\x09\x7f\x00\x00\x01" + bytes(8))
    port.pause_writing()  # as asyncio says when a socket takes no more
    mux.flush()
    assert mux.dropped == {"send-buffer-full": 1}
    port.resume_writing()
    mux.fanout.send_raw(link.peer, b"\x16")
    mux.flush()
    assert mux.dropped == {"send-buffer-full": 1}
    port.error_received(ConnectionRefusedError())
    assert mux.dropped == {"send-buffer-full": 1, "unreachable": 1}
    await mux.close()


def test_a_socket_that_takes_no_more_costs_no_memory_there_either() -> None:
    with asyncio.Runner(loop_factory=BlindLoop) as runner:
        runner.run(_full())
