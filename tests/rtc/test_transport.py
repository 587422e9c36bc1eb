"""The encrypted path between two ends, over a real UDP port on loopback."""

from __future__ import annotations

import asyncio
import os
import socket
from typing import Any

import pytest
from aioice import stun

from rtc import rtcp, transport
from rtc.local_addresses import local_addresses_towards
from rtc.rtp import RtpPacket
from rtc.transport import Certificate
from tests.rtc.checking import answer
from tests.rtc.transport_pair import CLIENT, Pair, packet, pair, until

REPORT = rtcp.ReceiverReport(1).serialize()


async def test_packets_go_both_ways_encrypted_with_aes_gcm() -> None:
    async with pair() as both:
        assert both.server.connected
        assert both.client.connected
        assert both.server.cipher == both.client.cipher
        assert "GCM" in both.server.cipher
        for number in range(20):
            both.client.send_rtp(packet(number))
            both.server.send_rtp(packet(number))
        both.client.send_rtcp(REPORT)
        both.server.send_rtcp(REPORT)
        await until(lambda: len(both.at_server) == len(both.at_client) == 20)
        await until(lambda: both.rtcp_at_server == both.rtcp_at_client == [REPORT])
        assert both.at_server == both.at_client == [packet(number) for number in range(20)]
        assert both.closed == []


async def test_ipv6() -> None:
    try:
        socket.socket(socket.AF_INET6, socket.SOCK_DGRAM).close()
        assert local_addresses_towards(["::1"]) == ["::1"]
    except (OSError, AssertionError):
        pytest.skip("this machine has no IPv6")
    async with pair("::1") as both:
        both.client.send_rtp(packet(1))
        await until(lambda: both.at_server == [packet(1)])


async def test_what_is_on_the_wire_tells_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    async with pair() as both:
        wire: list[bytes] = []
        monkeypatch.setattr(both.client_link, "send", wire.append)
        both.client.send_rtp(RtpPacket(96, 5, 5, 7, False, b"a secret of some length").serialize())
        assert len(wire) == 1
        assert b"secret" not in wire[0]


async def test_replayed_and_forged_packets_are_counted_and_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    async with pair() as both:
        send = both.client_link.send
        wire: list[bytes] = []
        monkeypatch.setattr(both.client_link, "send", wire.append)
        both.client.send_rtp(packet(1))
        both.client.send_rtcp(REPORT)
        media, report = wire
        forged = media[:-1] + bytes([media[-1] ^ 1])
        for data in (media, report, media, report, forged, media[:20], b"\x80", b"\x80\xc8", media + b"x"):
            send(data)
        await until(lambda: both.mux.dropped["srtp"] + both.mux.dropped["malformed"] == 7)
        assert both.at_server == [packet(1)]
        assert both.rtcp_at_server == [REPORT]


async def test_a_flood_of_garbage_before_and_during_the_handshake(monkeypatch: pytest.MonkeyPatch) -> None:
    async with pair(connected=False) as both:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            address = ("127.0.0.1", both.mux.port)
            for first in range(256):
                stranger.sendto(bytes([first]) + os.urandom(60), address)
            connecting = asyncio.create_task(both.connect())
            for _ in range(20):
                for first in (0, 20, 22, 63, 128, 200):
                    stranger.sendto(bytes([first]) + os.urandom(60), address)
                await asyncio.sleep(0)
            assert await connecting == [None, None]
            for first in range(256):
                stranger.sendto(bytes([first]) + os.urandom(60), address)
        await until(lambda: sum(both.mux.dropped.values()) >= 500)
        both.client.send_rtp(packet(1))
        await until(lambda: both.at_server == [packet(1)])


async def test_garbage_from_the_peer_itself_does_not_end_the_path() -> None:
    async with pair() as both:
        for first in (*range(4, 256, 3), 22, 23):
            both.client_link.send(bytes([first]) + os.urandom(40))
        both.client.send_rtp(packet(1))
        await until(lambda: both.at_server == [packet(1)])
        both.server.send_rtp(packet(2))
        await until(lambda: both.at_client == [packet(2)])


async def test_a_wrong_fingerprint_is_refused() -> None:
    async with pair(connected=False) as both:
        both.told_server.fingerprint = Certificate().fingerprint
        server, _ = await both.connect()
        assert isinstance(server, ConnectionError)
        assert not both.server.connected
        both.client.send_rtp(packet(1))
        await asyncio.sleep(0.05)
        assert both.at_server == []


async def test_the_client_checks_the_server_too() -> None:
    async with pair(connected=False) as both:
        both.told_client.fingerprint = Certificate().fingerprint
        _, client = await both.connect()
        assert isinstance(client, ConnectionError)
        assert not both.client.connected


async def test_a_wrong_password_never_connects(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "CONNECT_TIMEOUT_S", 0.3)
    async with pair(connected=False) as both:
        both.told_client.password = "x" * 24
        server, client = await both.connect()
        assert isinstance(server, ConnectionError)
        assert isinstance(client, ConnectionError)
        assert both.mux.dropped["stun-not-authorised"] > 0
        assert not both.server.connected


async def test_a_peer_that_stops_in_the_handshake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "CONNECT_TIMEOUT_S", 0.3)
    async with pair(connected=False) as both:
        connecting = asyncio.create_task(both.server.connect(both.told_server))
        await both.client_link.establish(both.told_client)
        with pytest.raises(ConnectionError, match="DTLS"):
            await connecting


@pytest.mark.parametrize("ends", ["client", "server"])
async def test_the_end_is_told_once_to_the_other(ends: str) -> None:
    async with pair() as both:
        ending, other = (both.client, "server") if ends == "client" else (both.server, "client")
        await ending.close()
        await until(lambda: both.closed == [other])
        assert not both.server.connected
        assert not both.client.connected
        both.client.send_rtcp(REPORT)
        assert both.client.dropped["not-connected"] == 1
        await both.close()
        assert both.closed == [other]


async def test_closing_while_connecting_ends_it() -> None:
    async with pair(connected=False) as both:
        connecting = asyncio.create_task(both.server.connect(both.told_server))
        await asyncio.sleep(0)
        await both.server.close()
        with pytest.raises(ConnectionError):
            await connecting
        assert both.mux._by_ufrag == {}


async def test_before_it_is_connected_nothing_is_sent() -> None:
    async with pair(connected=False) as both:
        both.server.send_rtp(packet(1))
        both.client.send_rtcp(REPORT)
        assert both.mux.dropped == {"unsendable": 1}
        assert both.client.dropped == {"not-connected": 1}
        assert both.client.cipher == ""
        with pytest.raises(ConnectionError):
            both.client.data_channels()


async def test_what_cannot_be_encrypted_is_counted() -> None:
    """Numbered too far behind what was sent before: a member chooses the numbers of what it sends again."""
    async with pair() as both:
        both.server.send_rtp(packet(40_000))
        both.server.send_rtp(packet(10_000))
        both.server.send_rtp(b"\x80")
        both.server.send_rtcp(b"\x80\xc8")
        both.server.send_rtp(packet(40_001))
        await until(lambda: both.at_client == [packet(40_000), packet(40_001)])
        assert both.mux.dropped == {"unsendable": 3}


def _check(both: Pair, sock: socket.socket, **attributes: Any) -> stun.Message:
    request = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
    request.attributes["USERNAME"] = f"{both.link.ufrag}:{both.client_link.ufrag}"
    request.attributes.update(attributes)
    request.add_message_integrity(both.link.password.encode())
    sock.sendto(bytes(request), ("127.0.0.1", both.mux.port))
    return request


async def test_a_peer_that_moves_to_another_address_keeps_its_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    async with pair() as both:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as cable:
            cable.bind(("127.0.0.1", 0))
            cable.setblocking(False)
            loop = asyncio.get_running_loop()
            request = _check(both, cable, **{"USE-CANDIDATE": None})
            question = await asyncio.wait_for(loop.sock_recv(cable, 2000), 5)
            cable.sendto(answer(question, both.client_link.password), ("127.0.0.1", both.mux.port))
            said = stun.parse_message(await asyncio.wait_for(loop.sock_recv(cable, 2000), 5))
            assert said.transaction_id == request.transaction_id
            assert said.attributes["XOR-MAPPED-ADDRESS"] == cable.getsockname()
            monkeypatch.setattr(
                both.client_link, "send", lambda data: cable.sendto(data, ("127.0.0.1", both.mux.port))
            )
            both.client.send_rtp(packet(1))
            await until(lambda: both.at_server == [packet(1)])
            both.server.send_rtp(packet(2))
            moved = await asyncio.wait_for(loop.sock_recv(cable, 2000), 5)
            assert 128 <= moved[0] < 192
            assert both.client._rx is not None
            assert both.client._rx.unprotect(moved) == packet(2)


async def test_data_channels_carry_messages_both_ways() -> None:
    async with pair() as both:
        at_server: list[Any] = []

        def opened(channel: Any) -> None:
            @channel.on("message")
            def echo(message: Any) -> None:
                at_server.append(message)
                channel.send(message)

        server, client = both.server.data_channels(opened), both.client.data_channels()
        await asyncio.gather(server.start(), client.start())
        channel = client.open("chat")
        at_client: list[Any] = []
        channel.on("message", at_client.append)
        await until(lambda: channel.readyState == "open")
        sent: list[Any] = ["hello", "ä" * 100, b"\x00\xff", b"x" * 60_000]
        for message in sent:
            channel.send(message)
        await until(lambda: len(at_client) == len(sent))
        assert at_server == at_client == sent
        both.client.send_rtp(packet(1))
        await until(lambda: both.at_server == [packet(1)])
        await client.close()
        await server.close()


def test_what_is_told_about_oneself() -> None:
    algorithm, value = CLIENT.fingerprint
    assert algorithm == "sha-256"
    assert len(value.split(":")) == 32
    assert Certificate().fingerprint != CLIENT.fingerprint


def test_own_addresses_are_those_that_lead_there() -> None:
    assert (
        local_addresses_towards(["127.0.0.1", "127.0.0.2", "nonsense", "999.9.9.9", "::1%nope"])[0]
        == "127.0.0.1"
    )
    assert local_addresses_towards([]) == []
