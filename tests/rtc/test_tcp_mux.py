"""ICE over TCP at the port's number: whole paths, chopped streams, and strangers who hold on."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aioice import stun

from rtc import tcp_mux
from rtc.fanout import MAX_DATAGRAM
from rtc.sdp import Candidate, SdpError
from rtc.socket_address import site, unpack_address
from rtc.transport import PeerTransport
from rtc.udp_mux import UdpMux
from tests.rtc.checking import PLANES, binding, check, loops, noting
from tests.rtc.framed import Framed, FramedLink, frame
from tests.rtc.secure_end import SecureEnd
from tests.rtc.transport_pair import CLIENT, Pair, packet, until

HOST = "127.0.0.1"
FLOOD = 10_000  # frames


@contextlib.asynccontextmanager
async def port(host: str = HOST, kind: Any = "auto") -> AsyncIterator[UdpMux]:
    mux = await UdpMux.open(host, 0, kind=kind)
    try:
        yield mux
    finally:
        await mux.close()


@contextlib.asynccontextmanager
async def connected(mux: UdpMux) -> AsyncIterator[Framed]:
    client = await Framed.to(HOST, mux.port)
    try:
        yield client
    finally:
        await client.close()


async def a_whole_path(host: str, kind: Any) -> None:
    async with port(host, kind) as mux:
        both = Pair(mux, host)
        link: Any = FramedLink()
        both.client = PeerTransport(
            link,
            CLIENT,
            on_rtp=lambda data, now: both.at_client.append(data),
            on_rtcp=lambda data, now: both.rtcp_at_client.append(data),
            on_closed=lambda: both.closed.append("client"),
        )
        both.told_server = both.client.local_parameters("actpass")
        assert await both.connect() == [None, None]
        for number in range(30):
            both.client.send_rtp(packet(number))
            both.server.send_rtp(packet(number, 1100))
        await until(lambda: len(both.at_server) == len(both.at_client) == 30)
        assert both.at_server == [packet(number) for number in range(30)]
        assert both.at_client == [packet(number, 1100) for number in range(30)]
        await both.server.close()
        await until(lambda: both.closed == ["client"])
        await both.close()
        assert mux.dropped == {}


@pytest.mark.parametrize("kind", PLANES)
@pytest.mark.parametrize("loop_factory", loops())
def test_a_path_over_tcp_alone(loop_factory: Any, kind: str) -> None:
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(a_whole_path(HOST, kind))


@pytest.mark.parametrize("host", ["::1", "::"])
async def test_ipv6(host: str) -> None:
    async with port(host) as mux:
        link = mux.link()
        for reach in ("::1", "127.0.0.1") if host == "::" else ("::1",):
            client = await Framed.to(reach, mux.port)
            answer = stun.parse_message(await client.check(link))
            assert answer.attributes["XOR-MAPPED-ADDRESS"] == client.own_address
            await client.close()


async def test_a_check_is_answered_and_brings_the_connection() -> None:
    async with port() as mux, connected(mux) as client:
        link = mux.link()
        answer = stun.parse_message(await client.check(link))
        assert answer.message_class == stun.Class.RESPONSE
        assert answer.attributes["XOR-MAPPED-ADDRESS"] == client.own_address
        assert answer.check_message_integrity(link.password.encode())
        await link._send(b"\x16 to the client")
        assert await client.next() == b"\x16 to the client"
        client.send(b"\x16 to the server")
        assert await link._recv() == b"\x16 to the server"


async def test_candidates_over_tcp_come_last() -> None:
    async with port() as mux:
        told = mux.candidates([HOST, "127.0.0.2"])
        assert [c.protocol for c in told] == ["udp", "udp", "tcp", "tcp"]
        assert [c.priority for c in told] == sorted((c.priority for c in told), reverse=True)
        assert {c.port for c in told} == {mux.port}
        for candidate in told[2:]:
            assert str(candidate).endswith("typ host tcptype passive")
        assert [Candidate.parse(str(c)) for c in told] == told


@pytest.mark.parametrize(
    "tail", ["", " tcptype", " generation 0", " tcptype passive generation 0", " raddr 0.0.0.0 rport 9"]
)
def test_what_follows_the_type_of_a_candidate_may_be_anything(tail: str) -> None:
    parsed = Candidate.parse("1 1 tcp 5 192.0.2.1 9 typ host" + tail)
    assert parsed.tcp_type == ("passive" if "passive" in tail else "")
    with pytest.raises(SdpError):
        Candidate.parse("1 1 tcp 5 192.0.2.1 9 host" + tail)


async def test_where_the_number_is_taken_there_is_udp_alone(caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_server((HOST, 0)) as taken, caplog.at_level(logging.INFO, "rtc.tcp_mux"):
        mux = await UdpMux.open(HOST, taken.getsockname()[1])
        assert [c.protocol for c in mux.candidates([HOST])] == ["udp"]
        await mux.close()
    assert [record.levelname for record in caplog.records] == ["INFO"]


@pytest.mark.parametrize("seed", range(3))
async def test_frames_are_found_however_the_stream_is_cut(seed: int) -> None:
    chosen = random.Random(seed)
    async with port() as mux, connected(mux) as client:
        link = mux.link()
        await client.check(link)
        end = SecureEnd(mux.fanout, link.peer)
        got: list[int] = []
        link.media_sink = noting(got)
        packets = [end.seal(packet(number, chosen.randrange(1300))) for number in range(300)]
        stream = b"".join(frame(data) + chosen.choice([b"", b"\0\0"]) for data in packets)
        while stream:
            size = chosen.choice([1, 2, 3, 700, 5000])
            client.writer.write(stream[:size])
            stream = stream[size:]
            if chosen.random() < 0.3:
                await asyncio.sleep(0)
        await until(lambda: len(got) == 300)
        assert got == list(range(300))


async def test_the_loop_goes_on_while_a_peer_sends_tiny_frames() -> None:
    async with port() as mux, connected(mux) as client:
        link = mux.link()
        await client.check(link)
        turns, most = 0, 0
        client.writer.write(frame(b"\x05") * FLOOD)
        before = mux.packets_in
        while mux.packets_in < before + FLOOD:
            seen = mux.packets_in
            await asyncio.sleep(0)
            turns += 1
            most = max(most, mux.packets_in - seen)
        assert mux.dropped["malformed"] == FLOOD
        assert most <= 2 * tcp_mux.FRAMES_A_TURN


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (frame(b"\x16 no check"), "tcp-unproven"),
        (frame(b"\x80 media"), "tcp-unproven"),
        (b"GET / HTTP/1.1\r\n\r\n", "tcp-malformed"),
        ((MAX_DATAGRAM + 1).to_bytes(2, "big"), "tcp-malformed"),
        (frame(binding("nobody:me", "x" * 24)) * (tcp_mux.UNPROVEN_FRAMES + 1), "tcp-unproven"),
    ],
)
async def test_a_stranger_who_says_the_wrong_thing_is_cut_off(data: bytes, reason: str) -> None:
    async with port() as mux, connected(mux) as client:
        mux.link()
        client.writer.write(data)
        assert await client.ended()
        assert mux.dropped[reason] == 1


async def test_a_wrong_password_is_not_answered_and_proves_nothing() -> None:
    async with port() as mux, connected(mux) as client:
        link = mux.link()
        for _ in range(tcp_mux.UNPROVEN_FRAMES + 1):
            client.send(binding(f"{link.ufrag}:me", "w" * 24, nominate=True))
        assert await client.ended()
        assert client.reader.at_eof()
        assert mux.dropped == {"stun-not-authorised": tcp_mux.UNPROVEN_FRAMES, "tcp-unproven": 1}
        assert link.address is None


async def test_who_says_nothing_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tcp_mux, "PROOF_S", 0.05)
    async with port() as mux, connected(mux) as silent, connected(mux) as slow:
        slow.writer.write(frame(check(mux.link()))[:-1])
        assert await silent.ended()
        assert await slow.ended()
        assert mux.dropped == {"tcp-unproven": 2}


async def test_who_has_proven_itself_may_be_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tcp_mux, "PROOF_S", 0.05)
    async with port() as mux, connected(mux) as member, connected(mux) as silent:
        link = mux.link()
        await member.check(link)
        assert await silent.ended()  # came later, and its time is over
        await link._send(b"\x16 still there")
        assert await member.next() == b"\x16 still there"


@pytest.mark.parametrize("limit", ["MAX_CONNECTIONS", "MAX_PER_ADDRESS"])
async def test_connections_are_bounded(limit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tcp_mux, limit, 2)
    async with port() as mux, connected(mux) as first, connected(mux) as second:
        link = mux.link()
        await first.check(link)
        await second.check(link)
        async with connected(mux) as third:
            assert await third.ended()
        assert mux.dropped == {"tcp-too-many": 1}
        await first.close()
        await until(lambda: len(link.addresses) == 1)
        async with connected(mux) as fourth:  # there is room again
            assert await fourth.check(link)


async def test_strangers_do_not_keep_members_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """When too many say nothing, the one that came first goes."""
    monkeypatch.setattr(tcp_mux, "MAX_UNPROVEN", 3)
    async with port() as mux, contextlib.AsyncExitStack() as strangers:
        link = mux.link()
        member = await strangers.enter_async_context(connected(mux))
        await member.check(link)
        silent = [await strangers.enter_async_context(connected(mux)) for _ in range(4)]
        assert await silent[0].ended()
        last = await strangers.enter_async_context(connected(mux))
        assert await last.check(link)
        assert await silent[1].ended()
        assert mux.dropped == {"tcp-unproven": 2}
        client_still = await member.check(link)
        assert client_still


async def test_a_peer_that_does_not_read_costs_so_much_memory_and_no_more() -> None:
    async with port() as mux, connected(mux) as client:
        link = mux.link()
        await client.check(link)
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]
        assert mux._tcp is not None
        (connection,) = mux._tcp.connections.values()
        for _ in range(8):  # the system takes some megabytes before it is full
            for _ in range(2000):
                mux.fanout.send_raw(link.peer, bytes([22]) * 1200)
            mux.flush()
            await asyncio.sleep(0)
        assert connection.transport.get_write_buffer_size() <= tcp_mux.MAX_UNWRITTEN
        assert mux.dropped["tcp-full"] > 2000
        # Whoever reads is served on.
        async with connected(mux) as other:
            assert await other.check(mux.link())


async def test_a_link_that_is_closed_closes_its_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    async with port() as mux, connected(mux) as client:
        link = mux.link()
        await client.check(link)
        await link._send(b"\x15 goodbye")
        mux.flush()
        link.close()
        assert await client.next() == b"\x15 goodbye"
        assert await client.ended()


async def test_who_does_not_hang_up_is_hung_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """A peer that reads nothing keeps its connection no longer than a goodbye takes."""
    monkeypatch.setattr(tcp_mux, "GOODBYE_S", 0.05)
    async with port() as mux, connected(mux) as client:
        link = mux.link()
        await client.check(link)
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]
        for _ in range(5000):
            mux.fanout.send_raw(link.peer, bytes([22]) * 1200)
        mux.flush()
        link.close()
        tcp = mux._tcp
        assert tcp is not None
        await until(lambda: not tcp.connections)


async def test_a_connection_that_ends_takes_its_address_along() -> None:
    async with port() as mux, connected(mux) as client:
        link = mux.link()
        await client.check(link)
        await client.close()
        await until(lambda: link.address is None)
        assert not link.addresses
        assert link.state == "completed"  # it may come back another way
        async with connected(mux) as again:
            await again.check(link)
            assert link.address is not None


async def test_a_peer_moves_between_tcp_and_udp() -> None:
    loop = asyncio.get_running_loop()
    async with port() as mux, connected(mux) as client:
        link = mux.link()
        await client.check(link)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            udp.setblocking(False)
            udp.connect((HOST, mux.port))
            udp.send(check(link))
            await asyncio.wait_for(loop.sock_recv(udp, 2000), 5)
            assert link.address is not None
            assert unpack_address(link.address) == udp.getsockname()
            await link._send(b"\x16 by UDP")
            assert await asyncio.wait_for(loop.sock_recv(udp, 2000), 5) == b"\x16 by UDP"
        await client.check(link)
        await link._send(b"\x16 by TCP")
        assert await client.next() == b"\x16 by TCP"


def test_an_owner_of_a_network_is_one() -> None:
    assert site("2001:db8:1:2::1") == site("2001:db8:1:2:ffff::9%eth0") != site("2001:db8:1:3::1")
    assert site("192.0.2.1") != site("192.0.2.2")
    with pytest.raises(ValueError, match="nowhere"):
        site("nowhere")
