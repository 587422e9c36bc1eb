"""Several workers on one address: every peer reaches the one that its user fragment names."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aioice import stun

from rtc import hand_over
from rtc.mux_link import MuxLink
from rtc.sdp import Candidate, TransportParameters
from rtc.transport import ClientLink, PeerTransport
from rtc.udp_mux import UdpMux
from tests.rtc.checking import answer, binding, check, loops
from tests.rtc.framed import Framed, FramedLink
from tests.rtc.transport_pair import CLIENT, packet, until
from tests.support.server_process import ROOT

HOST = "127.0.0.1"
CLIENTS, PACKETS = 10, 20  # of each worker, of each client

if sys.platform != "linux":
    pytest.skip("several processes on one address need Linux", allow_module_level=True)


@contextlib.asynccontextmanager
async def workers(folder: Path, count: int = 2, host: str = HOST) -> AsyncIterator[list[UdpMux]]:
    """Ports on one address; in one process here, which makes no difference to them."""
    async with contextlib.AsyncExitStack() as stack:
        muxes: list[UdpMux] = []
        for number in range(count):
            port = muxes[0].port if muxes else 0
            mux = await UdpMux.open(host, port, reuse_port=True, worker=number, hand_over=str(folder))
            stack.push_async_callback(mux.close)
            muxes.append(mux)
        yield muxes


class Sender:
    """A peer's socket."""

    def __init__(self, mux: UdpMux, family: int = socket.AF_INET, host: str = HOST) -> None:
        self.sock = socket.socket(family, socket.SOCK_DGRAM)
        self.sock.setblocking(False)
        self.sock.connect((host, mux.port))

    async def check(self, link: MuxLink) -> stun.Message:
        """Asks until there is an answer, as a peer does."""
        self.sock.send(check(link))
        return stun.parse_message(await self.next())

    async def next(self) -> bytes:
        return await asyncio.wait_for(asyncio.get_running_loop().sock_recv(self.sock, 2000), 10)

    def close(self) -> None:
        self.sock.close()


def passed_on(muxes: list[UdpMux]) -> int:
    return sum(mux.hand_over.passed_on for mux in muxes if mux.hand_over is not None)


def taken(muxes: list[UdpMux]) -> int:
    return sum(mux.hand_over.taken for mux in muxes if mux.hand_over is not None)


async def test_every_peer_reaches_the_worker_of_its_fragment(tmp_path: Path) -> None:
    async with workers(tmp_path, 3) as muxes:
        peers = [(Sender(mux), mux.link()) for mux in muxes for _ in range(12)]
        for number, (peer, link) in enumerate(peers):
            assert link.ufrag.startswith(f"{number // 12}x")
            answer = await peer.check(link)
            assert answer.attributes["XOR-MAPPED-ADDRESS"] == peer.sock.getsockname()
        first = passed_on(muxes)
        assert 1 <= first == taken(muxes) <= len(peers)  # some reach the right one by chance
        for peer, link in peers:
            for _ in range(5):
                peer.sock.send(b"\x16 to my worker")
            assert await asyncio.wait_for(link._recv(), 10) == b"\x16 to my worker"
            await link._send(b"\x16 from my worker")
            assert await peer.next() == b"\x16 from my worker"
            await peer.check(link)  # as they are repeated for consent
        assert passed_on(muxes) == first
        assert [dict(mux.dropped) for mux in muxes] == [{}] * 3
        for peer, _ in peers:
            peer.close()


@pytest.mark.parametrize("loop_factory", loops())
def test_two_processes(loop_factory: Any, tmp_path: Path) -> None:
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(_two_processes(tmp_path))


async def _two_processes(folder: Path) -> None:
    """Whole paths: half of the clients belong to a worker in another process."""
    async with contextlib.AsyncExitStack() as stack:
        first = stack.enter_context(_worker(0, 0, folder))
        told = [_said(first)]
        second = stack.enter_context(_worker(told[0]["port"], 1, folder))
        told.append(_said(second))
        assert told[0]["port"] == told[1]["port"]
        clients = []
        for process, said in zip((first, second), told, strict=True):
            candidates = [Candidate.parse(text) for text in said["candidates"]]
            assert [c.protocol for c in candidates] == ["udp", "tcp"]
            for number, (ufrag, password, *fingerprint) in enumerate(said["links"]):
                link: Any = FramedLink() if number == 0 else ClientLink()
                client = _Client(link)
                ours = client.transport.local_parameters("actpass")
                _tell(process, [ours.ufrag, ours.password, *ours.fingerprint])
                there = TransportParameters(
                    ufrag, password, (fingerprint[0], fingerprint[1]), "passive", candidates, ice_lite=True
                )
                clients.append((client, there))
        await asyncio.gather(*(c.transport.connect(there, dtls_role="client") for c, there in clients))
        for number in range(PACKETS):
            for client, _ in clients:
                client.transport.send_rtp(packet(number))
            await until(lambda: all(len(c.echoed) == number + 1 for c, _ in clients))  # noqa: B023
        for client, _ in clients:
            assert client.echoed == [packet(number) for number in range(PACKETS)]
        counts = []
        for process in (first, second):
            _tell(process, None)
            counts.append(_said(process))
        for client, _ in clients:
            await client.transport.close()
    for counted in counts:
        assert counted["media"] == [PACKETS] * CLIENTS
        # Checks only, and of each client no more than a few until it was answered.
        assert counted["taken"] <= 3 * CLIENTS < counted["received"] / 5
        assert counted["dropped"].keys() <= {"others"}
    assert counts[0]["passed_on"] == counts[1]["taken"]
    assert counts[1]["passed_on"] == counts[0]["taken"]


class _Client:
    def __init__(self, link: Any) -> None:
        self.echoed: list[bytes] = []
        self.transport = PeerTransport(
            link,
            CLIENT,
            on_rtp=lambda data, now: self.echoed.append(data),
            on_rtcp=lambda data, now: None,
        )


@contextlib.contextmanager
def _worker(port: int, number: int, folder: Path) -> Any:
    command = [
        sys.executable,
        "-m",
        "tests.rtc.worker_port",
        str(port),
        str(number),
        str(folder),
        str(CLIENTS),
    ]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def _said(process: subprocess.Popen[bytes]) -> dict[str, Any]:
    assert process.stdout is not None
    said: dict[str, Any] = json.loads(process.stdout.readline())
    return said


def _tell(process: subprocess.Popen[bytes], value: object) -> None:
    """None is the end."""
    assert process.stdin is not None
    process.stdin.write(b"\n" if value is None else json.dumps(value).encode() + b"\n")
    process.stdin.flush()


async def test_connections_reach_the_worker_of_their_fragment_too(tmp_path: Path) -> None:
    async with workers(tmp_path) as muxes:
        for mux in muxes * 12:
            link = mux.link()
            client = await Framed.to(HOST, mux.port)
            answer = stun.parse_message(await client.check(link))
            assert answer.attributes["XOR-MAPPED-ADDRESS"] == client.own_address
            client.send(b"\x16 over TCP")
            assert await asyncio.wait_for(link._recv(), 10) == b"\x16 over TCP"
            await client.close()
        assert 1 <= passed_on(muxes) == taken(muxes) < 24
        await until(lambda: all(not mux._by_address for mux in muxes))


async def test_a_connection_that_moved_on_its_first_check_alone_moves(tmp_path: Path) -> None:
    """A later check for another worker over the same connection would name a key of this one."""
    async with workers(tmp_path) as muxes:
        own, others = muxes[0].link(), muxes[1].link()
        client = await Framed.to(HOST, muxes[0].port)
        await client.check(own)
        client.send(check(others))
        await client.check(own)
        assert others.address is None
        assert sum(mux.dropped["stun-not-authorised"] for mux in muxes) == 1
        await client.close()


async def test_ipv6_and_both_families(tmp_path: Path) -> None:
    async with workers(tmp_path, host="::") as muxes:
        for mux in muxes * 6:
            for family, host in ((socket.AF_INET, HOST), (socket.AF_INET6, "::1")):
                peer, link = Sender(mux, family, host), mux.link()
                await peer.check(link)
                peer.sock.send(b"\x16 straight")
                assert await asyncio.wait_for(link._recv(), 10) == b"\x16 straight"
                peer.close()
        assert passed_on(muxes) >= 1


async def test_what_names_no_worker_that_is_there_is_counted_and_dropped(tmp_path: Path) -> None:
    async with workers(tmp_path) as muxes:
        peers = []
        names = ["7x", "99x", "1x", "0xnobody", "x", "\xb2xabc", "1", "123x", ""]
        for name in names:
            peer = Sender(muxes[0])
            peer.sock.send(binding(f"{name}:me", "p" * 24, nominate=True))
            peers.append(peer)
        reasons = ("stun-not-authorised", "hand-over")
        await until(lambda: sum(m.dropped[r] for m in muxes for r in reasons) == len(names))
        assert sum(m.dropped["hand-over"] for m in muxes) == 1  # worker 7 is not there
        for peer in peers:
            with pytest.raises(BlockingIOError):
                peer.sock.recv(2000)
            peer.close()


async def test_a_worker_that_died_can_start_again(tmp_path: Path) -> None:
    (tmp_path / "worker-0").touch()
    stale = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    with stale:
        stale.bind(str(tmp_path / "worker-1"))
    async with workers(tmp_path) as muxes:
        peer, link = Sender(muxes[0]), muxes[1].link()
        assert await peer.check(link)
        peer.close()


async def test_a_worker_that_cannot_have_its_door_does_not_open(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        await UdpMux.open(HOST, 0, reuse_port=True, worker=0, hand_over=str(tmp_path / "nowhere"))


async def test_a_full_door_drops_and_counts(tmp_path: Path) -> None:
    async with workers(tmp_path) as muxes:
        door = muxes[0].hand_over
        assert door is not None
        number = 0
        while not muxes[0].dropped["hand-over"]:
            assert door.pass_on("1xabc", b"\0" * 1400, b"a" * 16)
            number += 1
            assert number < 100_000
        await until(lambda: taken(muxes) == door.passed_on)  # and the other one lives on


async def test_sockets_of_peers_are_bounded_and_go_with_their_link(tmp_path: Path) -> None:
    async with workers(tmp_path) as muxes:
        link = muxes[0].link()
        door = muxes[0].hand_over
        assert door is not None
        peers = [Sender(muxes[0]) for _ in range(20)]
        for peer in peers:
            await peer.check(link)
        assert len(door._claimed) == len(link.addresses) == 8
        link.close()
        assert door._claimed == {}
        for peer in peers:
            peer.close()


async def test_what_a_peer_answers_reaches_the_worker_that_asked(tmp_path: Path) -> None:
    """Wherever the system takes it; and nobody's datagrams are taken over before it has answered."""
    async with workers(tmp_path) as muxes:
        door, other = muxes[0].hand_over, muxes[1].hand_over
        assert door is not None
        assert other is not None
        peers: list[Sender] = []
        while not other.passed_on:  # the system spreads them over both
            assert len(peers) < 60
            link, password = muxes[0].link(), "p" * 22
            link.remote = "me", password
            peers.append(Sender(muxes[0]))
            peers[-1].sock.send(check(link))
            question = await peers[-1].next()
            assert stun.parse_message(question).message_class == stun.Class.REQUEST
            assert len(door._claimed) == len(peers) - 1
            peers[-1].sock.send(answer(question, password))
            assert stun.parse_message(await peers[-1].next()).message_class == stun.Class.RESPONSE
            assert len(door._claimed) == len(peers)
        assert other.passed_on == 2  # the check and the answer
        for peer in peers:
            peer.close()
        forged = answer(question, password)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            for number in (0, 1, 2, 63, 64, 255):  # workers that are there, and that are not
                stranger.sendto(forged[:8] + bytes((number,)) + forged[9:], (HOST, muxes[0].port))
        await until(lambda: sum(m.dropped["stun-not-a-check"] + m.dropped["hand-over"] for m in muxes) == 6)


async def test_a_peer_whose_datagrams_would_go_elsewhere_is_not_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object, **named: object) -> socket.socket:
        raise OSError("no more descriptors")

    async with workers(tmp_path) as muxes:
        monkeypatch.setattr(hand_over, "bind", refuse)
        link, peer = muxes[0].link(), Sender(muxes[0])
        peer.sock.send(check(link))
        await until(lambda: sum(mux.dropped["unclaimed"] for mux in muxes) == 1)
        assert link.address is None
        with pytest.raises(BlockingIOError):
            peer.sock.recv(2000)
        monkeypatch.undo()
        assert await peer.check(link)
        peer.close()


async def test_a_message_that_no_worker_sends_is_ignored(tmp_path: Path) -> None:
    async with workers(tmp_path) as muxes:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as odd, socket.socket() as spare:
            path = str(tmp_path / "worker-0")
            for message in (
                b"",
                b"\0",
                b"\x10",
                b"\xff" + bytes(300),
                b"\x10" + bytes(16),
                b"\x09T" + bytes(9),
            ):
                odd.sendto(message, path)
            for message in (b"\0not yet connected", b"\x10" + bytes(40)):
                socket_and = [
                    (socket.SOL_SOCKET, socket.SCM_RIGHTS, spare.fileno().to_bytes(4, sys.byteorder))
                ]
                odd.sendmsg([message], socket_and, 0, path)
        await until(lambda: taken(muxes) == 8)
        peer, link = Sender(muxes[0]), muxes[0].link()
        assert await peer.check(link)
        peer.close()
