"""The figures of a call, pure: percentiles, what was seen in each tile, and the JSON that says so."""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

#: Marks that are remembered per tile to tell a new picture from a repeated one, and delays kept for the
#: percentiles: 30 a second for half an hour. Higher sees longer calls whole and takes more memory.
REMEMBERED = 54_000


def percentile(values: Iterable[float], percent: float) -> float | None:
    """The nearest-rank percentile (0..100); None without values."""
    ordered = sorted(values)
    if not ordered:
        return None
    rank = max(1, math.ceil(percent / 100 * len(ordered)))
    return ordered[min(rank, len(ordered)) - 1]


def p50_p99(milliseconds: Sequence[float]) -> dict[str, float | None]:
    """The two percentiles of the report, in ms with one decimal."""
    found = {"p50": percentile(milliseconds, 50), "p99": percentile(milliseconds, 99)}
    return {name: None if value is None else round(value, 1) for name, value in found.items()}


@dataclass(slots=True)
class TileFigures:
    """What was shown in one member's tile. Delays are from the painted time code to the moment of showing."""

    shown: int = 0
    unread: int = 0  # pictures whose mark could not be read
    identities: Counter[int] = field(default_factory=Counter)
    times: set[tuple[int, float]] = field(default_factory=set)
    delays_ms: deque[float] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    first_at: float | None = None

    def saw(self, identity: int | None, painted_at: float, now: float) -> None:
        """A picture was shown at `now` (seconds, the clock of the marks); None: no mark was read."""
        self.shown += 1
        if self.first_at is None:
            self.first_at = now
        if identity is None:
            self.unread += 1
            return
        self.identities[identity] += 1
        if len(self.times) < REMEMBERED and (identity, painted_at) not in self.times:
            self.times.add((identity, painted_at))
            self.delays_ms.append((now - painted_at) * 1000.0)

    def to_dict(self) -> dict[str, Any]:
        """For the member's own report; identities are texts because JSON wants them so."""
        return {
            "frames_shown": self.shown,
            "marks_unread": self.unread,
            "distinct_pictures": len(self.times),
            "identities": {str(identity): count for identity, count in sorted(self.identities.items())},
            "glass_to_glass_ms": p50_p99(list(self.delays_ms)),
        }


def all_delays(tiles: Mapping[str, TileFigures]) -> list[float]:
    """The delays of all tiles together, in ms."""
    return [delay for tile in tiles.values() for delay in tile.delays_ms]


def loudness(levels_dbfs: Iterable[float | None]) -> float | None:
    """Levels of several voices as one: the sum of their powers, in dBFS; None without any."""
    power = sum(10 ** (level / 10) for level in levels_dbfs if level is not None and math.isfinite(level))
    return round(10 * math.log10(power), 1) if power > 0 else None


def total(sources: Iterable[Mapping[str, Any]], name: str) -> int:
    """The sum of one count over all sources; what a source does not have counts nothing."""
    return sum(source.get(name) or 0 for source in sources)


def summary(name: str, sources: Sequence[Mapping[str, Any]], delays_ms: Sequence[float]) -> dict[str, Any]:
    """A member's own report: what reached it from all others together, and `sources`, one by one."""
    firsts = [s["join_to_first_frame_ms"] for s in sources if s.get("join_to_first_frame_ms") is not None]
    return {
        "name": name,
        "frames_received": total(sources, "frames_received"),
        "frames_shown": total(sources, "frames_shown"),
        "distinct_pictures": total(sources, "distinct_pictures"),
        "audio_packets": total(sources, "audio_packets"),
        "audio_level_dbfs": loudness(source.get("audio_level_dbfs") for source in sources),
        "join_to_first_frame_ms": round(min(firsts), 1) if firsts else None,
        "glass_to_glass_ms": p50_p99(delays_ms),
        "sources": [dict(source) for source in sources],
    }
