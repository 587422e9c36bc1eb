"""Strangers at the media port who know something: addresses, user fragments, recordings of real packets.

Each test sends at a pace that the port takes, so that what is counted shows that the server saw it.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from bench.attackers import Strangers, binding, forged_media, media_of
from rtc.fanout import STRANGERS_PER_SECOND
from rtc.mux_link import CHECK_BURST, CHECKS_PER_S
from tests.support.server_process import Meeting, ServerProcess
from tests.support.wire_member import WireMember

MANY = 2000
ADDRESSES = 50


def dropped(server: ServerProcess) -> Counter[str]:
    """Datagrams that were dropped, by reason."""
    begin = 'hearth_datagrams_dropped_total{reason="'
    found: Counter[str] = Counter()
    for name, value in server.metrics().items():
        if name.startswith(begin):
            found[name[len(begin) : -2]] = int(value)
    return found


async def counted(server: ServerProcess, before: Counter[str], least: int, *reasons: str) -> Counter[str]:
    """What was dropped since `before`, once it is `least` for these reasons together."""
    end = time.monotonic() + 10
    while True:
        new = await asyncio.to_thread(dropped, server)
        new.subtract(before)
        if sum(new[reason] for reason in reasons) >= least:
            return +new
        assert time.monotonic() < end, f"{least} expected for {reasons}: {+new}"
        await asyncio.sleep(0.05)


async def paced(send: Callable[[bytes], None], datagrams: list[bytes]) -> None:
    for number, data in enumerate(datagrams):
        send(data)
        if number % 50 == 49:
            await asyncio.sleep(0.005)


@asynccontextmanager
async def talk(meeting: Meeting) -> AsyncIterator[tuple[WireMember, WireMember]]:
    """Somebody who speaks 50 times a second, and somebody who hears it."""
    async with WireMember(meeting.link, "Victim") as victim, WireMember(meeting.link, "Hearer") as hearer:
        producer = (await victim.send_and_receive([]))["producers"]["0"]
        await hearer.send_and_receive([producer])

        async def speak() -> None:
            while True:
                victim.speak()
                await asyncio.sleep(0.02)

        speaking = asyncio.create_task(speak())
        try:
            await hears(hearer, 5)
            yield victim, hearer
        finally:
            speaking.cancel()


async def hears(hearer: WireMember, more: int) -> None:
    """Returns once `more` packets have come."""
    before, end = sum(hearer.rtp_received.values()), time.monotonic() + 10
    while sum(hearer.rtp_received.values()) < before + more:
        assert time.monotonic() < end, "the hearer gets nothing any more"
        await asyncio.sleep(0.02)


async def test_media_from_addresses_that_nobody_proved(server: ServerProcess) -> None:
    before = dropped(server)
    with Strangers(server.udp_port, ADDRESSES) as strangers:
        await paced(strangers.send, list(itertools.islice(forged_media(1), MANY)))
        new = await counted(server, before, int(0.95 * MANY), "unknown-address")
        assert set(new) == {"unknown-address"}
        assert strangers.answers() == []


async def test_media_under_the_address_of_a_member(server: ServerProcess, meeting: Meeting) -> None:
    """Forged senders: noise that comes from where the member is. Its own packets go through all the while."""
    async with talk(meeting) as (victim, hearer):
        before = dropped(server)
        noise = [data for data in itertools.islice(forged_media(2), MANY) if data[0] >= 128]
        await paced(victim.send_raw, noise)
        await hears(hearer, 20)
        new = await counted(server, before, int(0.95 * len(noise)), "srtp", "malformed", "too-many-streams")
        assert set(new) <= {"srtp", "malformed", "too-many-streams"}
        assert len(hearer.rtp_received) == 1  # no other stream has come of it


async def test_replayed_media_from_its_own_and_from_other_addresses(
    server: ServerProcess, meeting: Meeting
) -> None:
    async with talk(meeting) as (victim, hearer):
        await hears(hearer, 50)
        recorded = media_of(victim.sent_datagrams)
        assert len(recorded) >= 50
        before = dropped(server)
        said, heard = victim._sequence, sum(hearer.rtp_received.values())
        repeats = recorded[:50] * 10
        await paced(victim.send_raw, repeats)
        with Strangers(server.udp_port, ADDRESSES) as strangers:
            await paced(strangers.send, repeats)
            new = await counted(server, before, 2 * len(repeats), "srtp", "unknown-address")
            assert new["srtp"] == new["unknown-address"] == len(repeats)
            assert strangers.answers() == []
        await hears(hearer, 20)
        # No more than was said, but for what was on its way.
        assert sum(hearer.rtp_received.values()) - heard <= victim._sequence - said + 10


async def test_a_recorded_check_from_elsewhere_moves_nobody(server: ServerProcess, meeting: Meeting) -> None:
    """A check with its proof, overheard and sent again as it is: it asks the attacker to prove itself, and
    that is all. Without that the hearer would get nothing any more, as clients nominate their path once."""
    async with talk(meeting) as (_, hearer):
        remote, mine = hearer.credentials
        recording = binding(f"{remote}:{mine}", hearer.server_password)
        before, began = dropped(server), time.monotonic()
        with Strangers(server.udp_port, ADDRESSES) as strangers:
            await paced(strangers.send, [recording] * MANY)
            await hears(hearer, 50)
            new = await counted(server, before, MANY // 2, "stun-flood", "strangers")
            answers = strangers.answers()
        most = CHECK_BURST + CHECKS_PER_S * (time.monotonic() - began) + 1
        assert 0 < len(answers) <= most
        assert MANY - most <= new["stun-flood"] + new["strangers"] < MANY
        assert all(data[:2] == b"\x00\x01" for data in answers)  # questions, no answers and no media
        assert sum(map(len, answers)) < 2 * len(recording) * len(answers)
        await hears(hearer, 20)


async def test_a_recorded_check_under_the_address_of_its_owner(
    server: ServerProcess, meeting: Meeting
) -> None:
    """It is as if the member had checked once more: answered to the member, so many times and no more."""
    async with talk(meeting) as (_, hearer):
        remote, mine = hearer.credentials
        recording = binding(f"{remote}:{mine}", hearer.server_password)
        before, began = dropped(server), time.monotonic()
        await paced(hearer.send_raw, [recording] * 300)
        most = CHECK_BURST + CHECKS_PER_S * (time.monotonic() - began + 2)
        await counted(server, before, int(300 - most), "stun-flood", "others")
        await hears(hearer, 20)


async def test_a_flood_of_checks_with_wrong_keys(server: ServerProcess, meeting: Meeting) -> None:
    """For a user fragment that was overheard, and for none; who comes in meanwhile does come in."""
    async with talk(meeting) as (victim, hearer):
        remote, mine = victim.credentials
        wrong = [binding(f"{remote}:{mine}", "w" * 24), binding("nobody00:me", "w" * 24)]
        before, began = dropped(server), time.monotonic()
        with Strangers(server.udp_port, ADDRESSES) as strangers:
            await paced(strangers.send, wrong * MANY)
            reasons = ("stun-not-authorised", "stun-flood", "strangers")
            new = await counted(server, before, int(0.95 * 2 * MANY), *reasons)
            passed = time.monotonic() - began
            assert strangers.answers() == []
        assert set(new) <= set(reasons)
        assert new["stun-not-authorised"] + new["stun-flood"] <= STRANGERS_PER_SECOND * (passed + 1)
        await hears(hearer, 20)
        async with WireMember(meeting.link, "Late") as late:
            await late.send_and_receive([])
            assert late.transport is not None
