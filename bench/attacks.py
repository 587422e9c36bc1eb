"""What attacks cost the server, and what others notice of them.

Four members, in a process of their own, are in a meeting and send sound and pictures to each other. Each
attack gets a server of its own, which is measured first without it and then with it: the difference of its
CPU, for each packet of the attack, and what the four lost and how long their packets took while it lasted.
Beside each stands the same meeting without an attack, in the same run.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from bench.attackers import PATHS, BadPath, RecordedPath, SilentPath, Strangers, forged_media
from bench.cpu_meter import cpu_seconds
from bench.loadbot.crew import Crew, merge, share
from bench.loadbot.member import HearthMember
from bench.loadbot.path import MediaPath
from bench.loadbot.plane import Plane
from bench.loadbot.scenarios import SCENARIOS
from bench.loadbot.sending import Sending
from bench.result import Result, Row
from bench.sfu_servers import hearth
from client.services.embedded import Announcement
from client.services.meetings import open_room
from rtc.fanout_open import native_reason
from rtc.invitation import Invitation
from rtc.transport import Certificate

#: Seconds measured without the attack, and with it; and before, for what comes with joining to be over.
CALM, ATTACKED, SETTLING = 2.0, 4.0, 0.5
#: How often each is measured, in turns. More is more certain, and takes longer.
ROUNDS: Final = 2
#: Datagrams a second of strangers; more than the limits let through, less than a loopback loses.
RATE: Final = 5000
MEMBERS: Final = 4
SCENARIO: Final = "everybody"
NOBODY: Final = "no-attack"
#: Seconds for a first recording of the victim.
_RECORDING: Final = 1.0
_TURN: Final = 0.002

Send = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Sample:
    """One attack. `packets` is 0 without one; `cores` is what the server used of one core."""

    packets: int
    cpu_us: float
    cores: float
    lost: int
    delay_p99_ms: float | None
    complaints: tuple[str, ...] = ()


def attacks() -> list[str]:
    """By name, those of strangers first."""
    return [*_STRANGERS, *PATHS]


def run(
    chosen: Sequence[str] | None = None,
    calm: float = CALM,
    attacked: float = ATTACKED,
    rounds: int = ROUNDS,
) -> Result:
    """All attacks, four minutes. Raises RuntimeError and its like, whose texts are sentences."""
    wanted = attacks() if chosen is None else list(chosen)
    if unknown := set(wanted) - set(attacks()):
        raise RuntimeError(f"Known attacks are {', '.join(attacks())}; not {', '.join(sorted(unknown))}.")
    names = [NOBODY, *wanted]
    samples: dict[str, list[Sample]] = {name: [] for name in names}
    for _ in range(rounds):
        for name in names:
            samples[name].append(measure(name, calm, attacked))
    best = {name: merged(found) for name, found in samples.items()}
    rows = [row for name in names for row in rows_of(name, best[name], best[NOBODY])]
    notes = [f"{name}: {text}" for name in names for text in best[name].complaints]
    conditions = {
        "bystanders": f"{MEMBERS} members of the scenario {SCENARIO}",
        "strangers_send": f"{RATE} datagrams a second from 50 addresses or from the member's own",
        "measured_seconds": attacked,
        "rounds": f"best CPU and delay and worst loss of {rounds}, attacks in turns",
        "forwarding": "python" if native_reason() else "native",
        "network": "loopback",
        "notes": " ".join(notes) or "none",
    }
    return Result("attacks", rows, conditions)


def merged(samples: Sequence[Sample]) -> Sample:
    """Other work on the machine makes CPU and delay worse and never better; a loss is a loss."""
    cheapest = min(samples, key=lambda sample: sample.cpu_us)
    return Sample(
        cheapest.packets,
        cheapest.cpu_us,
        min(sample.cores for sample in samples),
        max(sample.lost for sample in samples),
        min((s.delay_p99_ms for s in samples if s.delay_p99_ms is not None), default=None),
        tuple(sorted({text for sample in samples for text in sample.complaints})),
    )


def rows_of(name: str, sample: Sample, without: Sample) -> list[Row]:
    """What one attack gives, beside the meeting without one."""
    rows = []
    if sample.packets:
        rows.append(Row(name, "server_cpu_us_per_attack_packet", "us", round(sample.cpu_us, 2)))
        rows.append(Row(name, "attack_packets", "packets", sample.packets))
    measures: list[tuple[str, str, Callable[[Sample], float | None]]] = [
        ("server_cores", "cores", lambda s: round(s.cores, 4)),
        ("bystander_lost_packets", "packets", lambda s: s.lost),
        ("bystander_delay_ms_p99", "ms", lambda s: s.delay_p99_ms),
    ]
    for metric, unit, value_of in measures:
        value = value_of(sample)
        if value is None:
            continue
        beside = None if name == NOBODY else value_of(without)
        rows.append(Row(name, metric, unit, value, None if beside is None else NOBODY, beside))
    return rows


def measure(name: str, calm: float, attacked: float) -> Sample:
    """One attack on a server of its own."""
    with hearth() as server:
        link = asyncio.run(open_room(server, "Bystanders"))
        with Crew(share("hearth", link, MEMBERS, MEMBERS, SCENARIO)) as crew:
            crew.start()
            return asyncio.run(_measure(name, server, link, crew, calm, attacked))


async def _measure(
    name: str, server: Announcement, link: str, crew: Crew, calm: float, attacked: float
) -> Sample:
    async with _attacker(name, server, link) as attacker:
        await asyncio.sleep(SETTLING)
        cpu, began = cpu_seconds(server.pid), time.monotonic()
        await asyncio.sleep(calm)
        usual = (cpu_seconds(server.pid) - cpu) / (time.monotonic() - began)
        await asyncio.to_thread(crew.begin)
        before, cpu, began = attacker.sent(), cpu_seconds(server.pid), time.monotonic()
        await attacker.attack(attacked)
        spent, elapsed = cpu_seconds(server.pid) - cpu, time.monotonic() - began
        packets = attacker.sent() - before
        reports = await asyncio.to_thread(crew.finish)
    report = merge(reports, MEMBERS, SCENARIO, MEMBERS)
    more = spent - usual * elapsed
    return Sample(
        packets,
        more / packets * 1e6 if packets else 0.0,
        spent / elapsed,
        report["lost"] + report["repaired"],
        report["forward_delay_ms"]["p99"],
        tuple(report["complaints"]),
    )


class _Nobody:
    """No attack, and what all have in common: packets sent so far, and `attack` for some seconds."""

    def sent(self) -> int:
        return 0

    async def attack(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class _Stranger(_Nobody):
    """Sends RATE times a second what `send` sends."""

    def __init__(self, send: Send) -> None:
        self._send, self._sent = send, 0

    def sent(self) -> int:
        return self._sent

    async def attack(self, seconds: float) -> None:
        began, first = time.monotonic(), self._sent
        while (passed := time.monotonic() - began) < seconds:
            while self._sent - first < passed * RATE:
                self._send()
                self._sent += 1
            await asyncio.sleep(_TURN)


class _Member(_Nobody):
    """Behaves until the attack."""

    def __init__(self, path: BadPath) -> None:
        self._path = path

    def sent(self) -> int:
        """Of one that sends nothing, what is sent to it."""
        return self._path.packets if isinstance(self._path, SilentPath) else self._path.requests

    async def attack(self, seconds: float) -> None:
        self._path.attacking = True
        await asyncio.sleep(seconds)


@asynccontextmanager
async def _attacker(name: str, server: Announcement, link: str) -> AsyncIterator[_Nobody]:
    if name == NOBODY:
        yield _Nobody()
    elif name in PATHS:
        plane = Plane()
        path = PATHS[name](plane, Certificate())
        path.attacking = False
        async with _joined(plane, path, link, MEMBERS, MEMBERS):
            yield _Member(path)
    else:
        plane = Plane()
        victim = RecordedPath(plane, Certificate(), Sending(0, SCENARIOS[SCENARIO], lambda now: True))
        attacked = await open_room(server, "Attacked")
        with Strangers(server.udp_port) as strangers:
            async with _joined(plane, victim, attacked, 0, 1):
                await asyncio.sleep(_RECORDING)
                yield _Stranger(_STRANGERS[name](strangers, victim))


@asynccontextmanager
async def _joined(
    plane: Plane, path: MediaPath, link: str, number: int, publishers: int
) -> AsyncIterator[None]:
    running = asyncio.create_task(plane.run())
    member = HearthMember(number, Invitation.parse(link), path, SCENARIOS[SCENARIO], publishers)
    try:
        await member.join()
        yield
    finally:
        await member.close()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        plane.close()


# What strangers do, one datagram at a time.


def _forged_senders(strangers: Strangers, victim: RecordedPath) -> Send:
    noise = forged_media(1)
    return lambda: strangers.send(next(noise))


def _forged_member(strangers: Strangers, victim: RecordedPath) -> Send:
    noise = forged_media(2)
    return lambda: victim.send_raw(next(noise))


def _replayed_media(strangers: Strangers, victim: RecordedPath) -> Send:
    """Once from the member's address and once from another, in turn."""
    both = itertools.cycle((strangers.send, victim.send_raw))
    recording = _over_and_over(tuple(victim.recorded))
    return lambda: next(both)(next(recording))


def _wrong_keys(strangers: Strangers, victim: RecordedPath) -> Send:
    checks = _over_and_over([victim.check("w" * 24) for _ in range(100)])
    return lambda: strangers.send(next(checks))


def _replayed_check(strangers: Strangers, victim: RecordedPath) -> Send:
    recording = victim.check()
    return lambda: strangers.send(recording)


def _over_and_over(datagrams: Sequence[bytes]) -> Iterator[bytes]:
    if not datagrams:
        raise RuntimeError("Nothing could be recorded: the victim sent nothing.")
    return itertools.cycle(datagrams)


_STRANGERS: Final[dict[str, Callable[[Strangers, RecordedPath], Send]]] = {
    "forged-senders": _forged_senders,
    "forged-member": _forged_member,
    "replayed-srtp": _replayed_media,
    "stun-wrong-keys": _wrong_keys,
    "replayed-check": _replayed_check,
}
