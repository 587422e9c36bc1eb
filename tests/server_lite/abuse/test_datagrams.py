"""What strangers send to the media port: counted and dropped, never answered, and nobody's call suffers."""

from __future__ import annotations

import asyncio
import os
import random
import socket
from collections.abc import Iterator

import pytest
from aioice import stun

from tests.support.server_process import Meeting, ServerProcess, wait_for
from tests.support.wire_member import WireMember

MANY = 2000


@pytest.fixture
def udp(server: ServerProcess) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.connect(("127.0.0.1", server.udp_port))
        yield sender


def dropped(server: ServerProcess) -> float:
    """Datagrams that the server counted as useless."""
    return sum(value for name, value in server.metrics().items() if "drop" in name and "{" not in name)


def flood(server: ServerProcess, udp: socket.socket, datagrams: list[bytes]) -> None:
    """Sends all of them at a pace that a loopback buffer takes; each must be counted, none answered."""
    before = dropped(server)
    for number, datagram in enumerate(datagrams):
        udp.send(datagram)
        if number % 200 == 199:
            wait_for("the server keeps up", lambda: dropped(server) >= before, 5)
    wait_for("all are counted", lambda: dropped(server) - before >= 0.9 * len(datagrams), 10)
    udp.settimeout(0.2)
    with pytest.raises(TimeoutError):
        udp.recv(2000)


def test_garbage_is_counted_and_dropped(server: ServerProcess, udp: socket.socket) -> None:
    noise = random.Random(1)
    flood(server, udp, [noise.randbytes(noise.randrange(1, 1400)) for _ in range(MANY)])


@pytest.mark.parametrize("first", [0, 1, 3, 20, 22, 63, 64, 128, 191, 192, 255])
def test_every_first_byte(server: ServerProcess, udp: socket.socket, first: int) -> None:
    sizes = (0, 1, 3, 11, 12, 19, 20, 21, 100, 1400)
    flood(server, udp, [bytes([first]) + os.urandom(size) for size in sizes])


def binding(username: str | None, password: str | None, **attributes: object) -> bytes:
    request = stun.Message(stun.Method.BINDING, stun.Class.REQUEST, transaction_id=os.urandom(12))
    if username is not None:
        request.attributes["USERNAME"] = username
    for name, value in attributes.items():
        request.attributes[name.replace("_", "-")] = value
    if password is not None:
        request.add_message_integrity(password.encode())
    return bytes(request)


def test_connectivity_checks_with_wrong_credentials(server: ServerProcess, udp: socket.socket) -> None:
    flood(
        server,
        udp,
        [
            binding(None, None),
            binding("nobody:me", None),
            binding("nobody:me", "x" * 24),
            binding("", "x" * 24),
            binding(":", "x" * 24),
            binding("ä" * 100, "x" * 24),
            binding("nobody:me", "x" * 24, USE_CANDIDATE=None, PRIORITY=1),
            *(binding("nobody:me", "x" * 24)[:size] for size in range(1, 60)),
        ],
    )


async def _connected(meeting: Meeting) -> WireMember:
    member = WireMember(meeting.link, "Carl")
    await member.__aenter__()
    await member.send_and_receive([])
    return member


def test_checks_for_a_real_user_fragment_with_a_wrong_password(
    server: ServerProcess, meeting: Meeting, udp: socket.socket
) -> None:
    async def attack() -> None:
        member = await _connected(meeting)
        try:
            remote, mine = member.credentials
            await asyncio.to_thread(
                flood, server, udp, [binding(f"{remote}:{mine}", "y" * 24, USE_CANDIDATE=None)] * 50
            )
            assert await _still_heard(server, member)
        finally:
            await member.close()

    asyncio.run(attack())


async def _still_heard(server: ServerProcess, member: WireMember) -> bool:
    """Whether packets of `member` still get through to the router."""
    before = packets_in(server)
    for _ in range(20):
        member.speak()
        await asyncio.sleep(0.01)
    deadline = asyncio.get_running_loop().time() + 5
    while packets_in(server) - before < 20:
        if asyncio.get_running_loop().time() > deadline:
            return False
        await asyncio.sleep(0.05)
    return True


def packets_in(server: ServerProcess) -> float:
    return sum(value for name, value in server.metrics().items() if "packets_in" in name and "{" not in name)


def test_replayed_and_truncated_packets_of_a_real_member(server: ServerProcess, meeting: Meeting) -> None:
    """A second member counts what gets through: each packet once, whatever is sent again."""

    async def attack() -> None:
        async with (
            WireMember(meeting.link, "Replayed") as speaker,
            WireMember(meeting.link, "Listener") as listener,
        ):
            producer = (await speaker.send_and_receive([]))["producers"]["0"]
            await listener.send_and_receive([producer])
            await asyncio.sleep(0.3)
            for _ in range(50):
                speaker.speak()
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.5)
            honest = sum(listener.rtp_received.values())
            assert honest >= 45
            before = dropped(server)
            captured = list(speaker.sent_datagrams)
            media = [d for d in captured if 128 <= d[0] < 192]
            assert len(media) >= 50
            bad = media * 4
            bad += [d[:size] for d in media for size in (1, 11, 12, 20, len(d) - 1)]
            bad += [bytes([d[0], d[1]]) + os.urandom(len(d) - 2) for d in media]
            bad += [d[:-1] + bytes([d[-1] ^ 1]) for d in media]
            for number, datagram in enumerate(bad):
                speaker.send_raw(datagram)
                if number % 50 == 49:
                    await asyncio.sleep(0.02)
            await asyncio.sleep(0.5)
            assert sum(listener.rtp_received.values()) == honest
            assert dropped(server) - before >= 0.9 * len(bad)
            for _ in range(20):
                speaker.speak()
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.5)
            assert sum(listener.rtp_received.values()) >= honest + 18

    asyncio.run(attack())


def test_packets_that_pretend_to_come_from_another_stream(server: ServerProcess, meeting: Meeting) -> None:
    """A member who uses the SSRC of another, or of nobody, reaches nobody with it."""

    async def attack() -> None:
        async with (
            WireMember(meeting.link, "Victim") as victim,
            WireMember(meeting.link, "Forger") as forger,
            WireMember(meeting.link, "Listener") as listener,
        ):
            producer = (await victim.send_and_receive([]))["producers"]["0"]
            await forger.send_and_receive([])
            await listener.send_and_receive([producer])
            await asyncio.sleep(0.3)
            forger._ssrc = victim._ssrc
            for _ in range(30):
                forger.speak()
            forger._ssrc = 12345
            for _ in range(30):
                forger.speak()
            await asyncio.sleep(0.5)
            assert sum(listener.rtp_received.values()) == 0

    asyncio.run(attack())
