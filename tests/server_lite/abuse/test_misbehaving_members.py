"""Members with good keys and bad habits: what they do costs so much and no more, and only they have it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

from bench.attackers import (
    ForgetfulPath,
    ImpatientPath,
    LyingPath,
    SilentPath,
)
from bench.loadbot.findings import Findings
from bench.loadbot.member import HearthMember
from bench.loadbot.path import MediaPath
from bench.loadbot.plane import Plane
from bench.loadbot.scenarios import SCENARIOS
from bench.loadbot.sending import Sending
from rtc.fanout import REPAIRS_PER_SECOND
from rtc.invitation import Invitation
from rtc.keyframes import MIN_INTERVAL
from rtc.transport import Certificate
from server_lite.path import UNKNOWN_RATE
from tests.support.server_process import Meeting, ServerProcess

#: Seconds for which a member misbehaves.
ATTACK_S = 1.5
#: What an honest receiver in the same room must not have, whoever else is there.
NONE_OF = (
    "lost",
    "repaired",
    "reordered",
    "duplicates",
    "malformed",
    "incomplete_frames",
    "undecodable_frames",
    "skipped_frames",
    "backward_frames",
    "wrong_sender",
    "unstamped",
    "picture_id_jumps",
    "bad_switches",
)


class Room:
    """One who sends 1.5 Mbit/s of pictures and sound, one who receives, and one who misbehaves."""

    def __init__(self, plane: Plane, link: str, bad: type[MediaPath]) -> None:
        scenario, certificate = SCENARIOS["forwarding"], Certificate()
        sending = Sending(0, scenario, lambda now: True)
        self.sender = MediaPath(plane, certificate, sending)
        self.honest = MediaPath(plane, certificate)
        self.bad = bad(plane, certificate)
        self.sending = sending
        invitation = Invitation.parse(link)
        paths = (self.sender, self.honest, self.bad)
        self.members = [HearthMember(n, invitation, p, scenario, 1) for n, p in enumerate(paths)]

    def unharmed(self) -> Findings:
        """What the honest receiver found, once it is what it should be."""
        found = self.honest.findings()
        assert {name: getattr(found, name) for name in NONE_OF} == dict.fromkeys(NONE_OF, 0)
        assert found.frames > 80  # of 80 a second
        return found


@asynccontextmanager
async def room_with(meeting: Meeting, bad: type[MediaPath]) -> AsyncIterator[Room]:
    plane = Plane()
    running = asyncio.create_task(plane.run())
    room = Room(plane, meeting.link, bad)
    try:
        for member in room.members:
            await member.join()
        await until("streams flow", lambda: all(p.packets > 60 for p in (room.honest, room.bad)))
        for path in (room.honest, room.bad):
            path.begin()
        yield room
    finally:
        for member in room.members:
            await member.close()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        plane.close()


async def until(what: str, condition: Callable[[], bool], within: float = 15.0) -> None:
    end = time.monotonic() + within
    while not condition():
        assert time.monotonic() < end, what
        await asyncio.sleep(0.02)


async def metrics(server: ServerProcess) -> dict[str, float]:
    return await asyncio.to_thread(server.metrics)


async def test_reports_whose_lengths_lie(server: ServerProcess, meeting: Meeting) -> None:
    async with room_with(meeting, LyingPath) as room:
        before, frames = await metrics(server), room.honest.findings().frames
        assert isinstance(room.bad, LyingPath)
        told = room.bad.requests
        await asyncio.sleep(ATTACK_S)
        lies = room.bad.requests - told
        after = await metrics(server)
        assert lies > 25
        assert after["hearth_malformed_total"] - before["hearth_malformed_total"] >= 20
        # Its own estimate is not moved by them either: it still gets all.
        assert room.bad.findings().frames > 0.7 * (room.unharmed().frames)
        assert room.honest.findings().frames > frames


async def test_a_member_that_asks_for_everything_again(server: ServerProcess, meeting: Meeting) -> None:
    """It gets so many repeats a second, however much it asks for, and it alone."""
    async with room_with(meeting, ForgetfulPath) as room:
        assert isinstance(room.bad, ForgetfulPath)
        before, began, asked = await metrics(server), time.monotonic(), room.bad.asked
        octets, requests = before["hearth_bytes_out_total"], room.bad.requests
        await asyncio.sleep(ATTACK_S)
        after, passed = await metrics(server), time.monotonic() - began
        repeats = after["hearth_nacks_answered_total"] - before["hearth_nacks_answered_total"]
        most = REPAIRS_PER_SECOND * (passed + 1)
        assert 0 < repeats <= most
        assert room.bad.asked - asked > 4 * most
        assert room.bad.requests > requests
        # Pictures for two, and the repeats: nothing else was sent because of it.
        flow = 1.25 * 2 * 1_600_000 / 8 * passed
        assert after["hearth_bytes_out_total"] - octets < flow + 1300 * most
        room.unharmed()


async def test_a_member_that_asks_for_key_frames_all_the_time(
    server: ServerProcess, meeting: Meeting
) -> None:
    """The sender hears of it now and then, so that nobody's picture becomes all key frames."""
    async with room_with(meeting, ImpatientPath) as room:
        assert isinstance(room.bad, ImpatientPath)
        encoder = room.sending.encoders[0]
        before, requests = encoder.key_frames, room.bad.requests
        began = time.monotonic()
        await asyncio.sleep(ATTACK_S)
        passed = time.monotonic() - began
        assert room.bad.requests - requests > 10 * passed / MIN_INTERVAL
        assert encoder.key_frames - before <= passed / MIN_INTERVAL + 2
        room.unharmed()


async def test_a_member_that_never_acknowledges_anything(server: ServerProcess, meeting: Meeting) -> None:
    """No report, no feedback, no request: it gets what the others get and not more, without being probed."""
    async with room_with(meeting, SilentPath) as room:
        before, began = await metrics(server), time.monotonic()
        memory, packets = server.rss(), room.bad.packets
        await asyncio.sleep(ATTACK_S)
        after, passed = await metrics(server), time.monotonic() - began
        octets = after["hearth_bytes_out_total"] - before["hearth_bytes_out_total"]
        assert octets * 8 < UNKNOWN_RATE * passed
        assert room.bad.packets > packets
        assert room.bad.findings().probes == 0
        # What is remembered of what was sent to it is as much as of any other, and was there from the start.
        assert server.rss() - memory < 2 << 20
        room.unharmed()


async def test_all_of_them_at_once(server: ServerProcess, meeting: Meeting) -> None:
    """In rooms of their own: the server has all of it to do, and the honest ones notice nothing."""
    kinds = (LyingPath, ForgetfulPath, ImpatientPath, SilentPath)
    plane = Plane()
    running = asyncio.create_task(plane.run())
    rooms = []
    try:
        for kind in kinds:
            link = (await asyncio.to_thread(partial(server.open_meeting, kind.__name__))).link
            rooms.append(Room(plane, link, kind))
            for member in rooms[-1].members:
                await member.join()
        await until("streams flow", lambda: all(r.honest.packets > 60 for r in rooms))
        for room in rooms:
            room.honest.begin()
        await asyncio.sleep(ATTACK_S)
        for room in rooms:
            room.unharmed()
    finally:
        for room in rooms:
            for member in room.members:
                await member.close()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        plane.close()
