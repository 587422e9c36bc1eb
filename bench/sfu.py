"""What forwarding a packet costs: CPU of the server, beside other servers and beside the machine's floor.

One publisher (1.5 Mbit/s of VP8, and Opus) to 1, 10, 20 and 50 receivers, then ten members all to all, then a
room of 100 of whom ten are shown. Light members, the same for every server, are in processes of their own, so
that only the server's own CPU is in its number; what they receive is decrypted and checked packet by packet.
Servers take turns, round by round; the best of each CPU number counts, because other work on the machine can
only make it worse, and the worst of each loss and delay.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from bench import floor, sfu_limits
from bench.janus.server import library_folder
from bench.result import Result, Row
from bench.sfu_servers import Case, Sample, measure
from rtc.fanout_open import native_reason

#: Seconds measured of each case, and how often each is measured.
MEASURED: Final = 3.0
ROUNDS: Final = 2
#: Seconds measured of the room of 100, unless minutes are asked for.
ROOM_MEASURED: Final = 15.0
RECEIVERS: Final = (1, 10, 20, 50)
ROOM: Final = 10
LARGE: Final = Case("room=100", 100, 100, "conference")
#: Servers that can be measured beside ours, besides `floor`, which always is where the kernel is.
PEERS: Final = ("janus", "python-twin")
#: The twin is measured in these cases only: the whole must take less than six minutes.
TWIN_CASES: Final = ("receivers=10", "receivers=50")

_CPU: Final = "cpu_us_per_forwarded_packet"


@dataclass(frozen=True, slots=True)
class Options:
    """`minutes` of the room of 100, 0 for a few seconds; `limits`: search for what a server carries."""

    minutes: float = 0.0
    limits: bool = False


def cases(receivers: Sequence[int] = RECEIVERS, room: int = ROOM) -> list[Case]:
    """All cases: one publisher to so many, a room where all send, and a large one; `room` 0 leaves out
    both."""
    found = [Case(f"receivers={count}", count + 1, 1) for count in receivers]
    return [*found, Case(f"room={room}", room, room), LARGE] if room else found


def installed_peers() -> list[str]:
    """Those that can be measured here."""
    return [
        *(["janus"] if library_folder() is not None else []),
        *([] if native_reason() else ["python-twin"]),
    ]


def run(
    peers: Sequence[str] | None = None,
    options: Options | None = None,
    *,
    measured: float = MEASURED,
    rounds: int = ROUNDS,
    chosen: Sequence[Case] | None = None,
) -> Result:
    """All cases of all servers, some minutes; `peers` None for those that are installed. Raises
    RuntimeError and its like, whose texts are sentences."""
    options = options or Options()
    named = installed_peers() if peers is None else list(peers)
    if unknown := set(named) - set(PEERS):
        raise RuntimeError(f"Known peers are {', '.join(PEERS)}; not {', '.join(sorted(unknown))}.")
    if "janus" in named and library_folder() is None:
        raise RuntimeError("Janus is not installed: the Debian package is called janus.")
    rows: list[Row] = []
    others: list[float] = []
    notes: list[str] = [f"There is no floor: {reason}"] if (reason := floor.missing()) else []
    for case in cases() if chosen is None else chosen:
        samples = _measure(case, named, rounds, measured, options)
        rows += rows_of(case, samples)
        others += [sample.others for sample in samples["hearth"]]
        notes += notes_of(case, samples)
    if options.limits:
        rows += _limits(notes)
    conditions = {
        "traffic": "VP8 1.5 Mbit/s at 30 per second, Opus 50 packets a second; SRTP as negotiated",
        "room_of_100": "all send; the speaker at 720p and nine at 180p are shown, three are heard",
        "forwarding": "python" if native_reason() else "native",
        "measured_seconds": measured,
        "rounds": f"best CPU and worst loss and delay of {rounds}, servers in turns",
        "cores_used_by_load_and_others": f"{min(others):.1f} to {max(others):.1f}" if others else "",
        "network": "loopback",
        "floor": "AES-256-GCM and sendmmsg with GSO of the same packets at the same times",
        "notes": " ".join(notes) or "none",
    }
    return Result("sfu", rows, conditions)


def _measure(
    case: Case, peers: Sequence[str], rounds: int, measured: float, options: Options
) -> dict[str, list[Sample]]:
    """All samples of a case. The large room is measured once, and ours alone."""
    samples: dict[str, list[Sample]] = {}
    if case == LARGE:
        samples["hearth"] = [measure("hearth", case, options.minutes * 60 or ROOM_MEASURED)]
        return samples
    peers = [name for name in peers if name != "python-twin" or case.name in TWIN_CASES]
    wanted = ["hearth", *peers, *(["floor"] if case.publishers == 1 and not floor.missing() else [])]
    for _ in range(rounds):
        for name in wanted:
            samples.setdefault(name, []).append(measure(name, case, measured))
    return samples


def rows_of(case: Case, samples: dict[str, list[Sample]]) -> list[Row]:
    """One row for each peer and metric, or one without a peer."""
    ours = samples["hearth"]
    peers = [name for name in samples if name != "hearth"]
    measures: list[tuple[str, str, Callable[[Sequence[Sample]], float | None]]] = [
        (_CPU, "us", lambda found: round(min(s.cpu_us for s in found), 3))
    ]
    if case.publishers > 1:
        measures.append(("lost_packets", "packets", lambda found: max(s.lost for s in found)))
        measures.append(("forward_delay_ms_p99", "ms", _worst_delay))
    if case == LARGE:
        measures.append(("server_memory_growth_mb", "MB", _growth))
    rows = []
    for metric, unit, value_of in measures:
        own = value_of(ours)
        if own is None:
            continue
        if not peers:
            rows.append(Row(case.name, metric, unit, own))
        for name in peers:
            theirs = value_of(samples[name])
            rows.append(Row(case.name, metric, unit, own, None if theirs is None else name, theirs))
    return rows


def notes_of(case: Case, samples: dict[str, list[Sample]]) -> list[str]:
    """What the light members complained of, by server."""
    found = []
    for name, several in samples.items():
        said = sorted({sentence for sample in several for sentence in sample.complaints})
        if lowered := max(sample.lowered for sample in several):
            said.append(f"The server left out or lowered {lowered} pictures because of its load.")
        if said:
            found.append(f"{case.name} {name}: {' '.join(said)}")
    return found


def _limits(notes: list[str]) -> list[Row]:
    rows = []
    for case, metric, unit, search in (
        ("largest_room", "members", "members", sfu_limits.largest_room),
        ("rooms_of_4", "rooms", "rooms", sfu_limits.rooms_of_4),
    ):
        held, reason = search()
        rows.append(Row(case, metric, unit, held))
        notes.append(f"{case} is {held}: {reason}.")
    return rows


def _worst_delay(found: Sequence[Sample]) -> float | None:
    return max((s.delay_p99_ms for s in found if s.delay_p99_ms is not None), default=None)


def _growth(found: Sequence[Sample]) -> float | None:
    return max((round(s.memory_growth_mb, 2) for s in found if s.memory_growth_mb is not None), default=None)
