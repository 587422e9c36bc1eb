"""What a window really showed, counted from the pictures that went into its tiles."""

from __future__ import annotations

import json
import time
import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from client.bridge.pictures import ME
from client.bridge.ports import PictureLike
from client.media import mark
from client.session.state import SessionState

#: Latency samples kept per member; half an hour at 30 pictures a second.
SAMPLE_LIMIT = 54_000
#: Different pictures told apart per member; more are counted as one.
DISTINCT_LIMIT = 200_000


@dataclass(slots=True)
class Shown:
    """What one member's tile showed."""

    name: str = ""
    frames: int = 0
    first_at: float | None = None
    pictures: set[int] = field(default_factory=set)
    marks: Counter[int] = field(default_factory=Counter)
    latencies: list[float] = field(default_factory=list)


class WindowStatistics:
    """Put `on_shown` into the picture feed and call `on_state` with every snapshot."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._shown: dict[str, Shown] = {}
        self._joined_at: float | None = None
        self._started = clock()

    def on_state(self, state: SessionState) -> None:
        """Learn names; a name is kept after its member has left."""
        self._joined_at = state.joined_at if state.joined_at is not None else self._joined_at
        for member in state.members:
            self._of(ME if member.is_me else member.id).name = member.name

    def on_shown(self, member_id: str, picture: PictureLike) -> None:
        """Count one picture; about 0.1 ms."""
        now = self._clock()
        shown = self._of(member_id)
        shown.frames += 1
        if shown.first_at is None:
            shown.first_at = now
        seen = mark.read(picture)  # type: ignore[arg-type]
        if seen is not None:
            shown.marks[seen.identity] += 1
            if len(shown.latencies) < SAMPLE_LIMIT:
                shown.latencies.append(now - seen.time)
        if len(shown.pictures) < DISTINCT_LIMIT:
            shown.pictures.add(hash(seen) if seen is not None else _fingerprint(picture))

    def report(self) -> dict[str, Any]:
        """Everything as JSON takes it; times in ms."""
        others = [latency for key, shown in self._shown.items() if key != ME for latency in shown.latencies]
        return {
            "seconds": round(self._clock() - self._started, 3),
            "glass_to_glass_ms": _percentiles(others),
            "members": [self._member(key, shown) for key, shown in self._shown.items()],
        }

    def write(self, path: Path, **more: Any) -> None:
        """Write the report, with `more` beside it."""
        path.write_text(json.dumps({**self.report(), **more}, indent=2, ensure_ascii=False) + "\n", "utf-8")

    def _of(self, member_id: str) -> Shown:
        return self._shown.setdefault(member_id, Shown())

    def _member(self, member_id: str, shown: Shown) -> dict[str, Any]:
        return {
            "id": member_id,
            "name": shown.name,
            "frames_shown": shown.frames,
            "distinct_pictures": len(shown.pictures),
            "marks": {str(identity): count for identity, count in shown.marks.items()},
            "join_to_first_frame_ms": _ms(shown.first_at, self._joined_at),
            "glass_to_glass_ms": _percentiles(shown.latencies),
        }


def _ms(later: float | None, earlier: float | None) -> float | None:
    return None if later is None or earlier is None else round((later - earlier) * 1000, 1)


def _percentiles(latencies: list[float]) -> dict[str, float | int | None]:
    return {
        "p50": _percentile(latencies, 0.50),
        "p99": _percentile(latencies, 0.99),
        "samples": len(latencies),
    }


def _percentile(values: list[float], share: float) -> float | None:
    """The value below which `share` of all lie, in ms."""
    if not values:
        return None
    ordered = sorted(values)
    return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1000, 2)


def _fingerprint(picture: PictureLike) -> int:
    """Tells pictures apart by every eighth row of their luma."""
    return zlib.crc32(picture.planes[0][::8].tobytes())
