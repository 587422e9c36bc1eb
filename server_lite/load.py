"""What an overloaded server leaves out, and when it takes it up again. Pure; time in seconds.

Pictures go before people: first the pictures of who has not spoken lately, then size and rate of all
pictures, then meetings that have not begun. Nobody is sent away, nobody's sound is touched, and a share keeps
its lowest layer. docs/layer-allocation.md tells how the limits meet the choice of layers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Final, NamedTuple

from server_lite.ladder import ALL_TEMPORAL, Caps

#: Seconds over `soft` before the next step down. More rides out longer bursts, less reacts sooner.
SHED_S: Final = 3.0
#: The same over `high`. It must be longer than one sample, so that a single hiccup counts for nothing.
URGENT_S: Final = 1.0
#: Seconds below `recover` before a step is taken back. Longer is calmer and keeps pictures away for longer.
RECOVER_S: Final = 12.0
#: If a step that was taken back is needed again within RELAPSE_S, the next recovery takes twice as long, up
#: to RECOVER_MAX_S; one that lasts makes it half as long. More is calmer, and slower when the load is gone.
RELAPSE_S: Final = 60.0
RECOVER_MAX_S: Final = 120.0
#: Seconds without a sample after which what was seen before counts for nothing.
STALE_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Marks:
    """Three levels of one measure: shed above `soft`, quickly above `high`, recover below `recover`.

    The further `recover` lies below `soft`, the rarer pictures come and go, and the longer they are gone.
    """

    soft: float
    high: float
    recover: float

    def __post_init__(self) -> None:
        if not 0 <= self.recover < self.soft <= self.high:
            raise ValueError(f"marks must rise: recover {self.recover}, soft {self.soft}, high {self.high}")


@dataclass(frozen=True, slots=True)
class LoadMarks:
    """The marks of one server process."""

    #: Datagrams in and out a second. What the network card and the kernel bear; raising it may lose packets
    #: before CPU or delay tell. The defaults suit 1 Gbit/s of packets of 1,000 bytes.
    packets: Marks = Marks(110_000, 130_000, 80_000)
    #: Bit/s in and out, for a server that shares its line. Lower keeps more of the line for others.
    bits: Marks = Marks(800e6, 900e6, 600e6)
    #: Milliseconds that the event loop is late, averaged over a sample. Every packet waits that long; raising
    #: it trades delay for pictures.
    delay_ms: Marks = Marks(50.0, 150.0, 20.0)
    #: Cores that the process uses. One process forwards on one core, so 1.0 is the end of it; lower leaves
    #: more to other programs on the machine.
    cores: Marks = Marks(0.80, 0.92, 0.55)


#: Marks that nothing passes.
NEVER: Final = Marks(math.inf, math.inf, 0.0)
#: For measuring a server that leaves out nothing.
NO_MARKS: Final = LoadMarks(NEVER, NEVER, NEVER, NEVER)


class Sample(NamedTuple):
    """The load since the sample before; the same order as LoadMarks."""

    packets: float
    bits: float
    delay_ms: float
    cores: float


class Limits(NamedTuple):
    """What is left: None and ALL_TEMPORAL are no limit."""

    last_n: int | None = None  # cameras that are sent to everybody in a room
    max_height: int | None = None  # of cameras, in pixels
    temporal: int = ALL_TEMPORAL  # highest temporal layer of any picture
    new_rooms: bool = True  # whether a meeting may begin

    @property
    def caps(self) -> Caps:
        """For `Allocator.allocate`."""
        return Caps(self.max_height, self.temporal)


class Measures(NamedTuple):
    """What is to be done now. `reason` says why for the log, "" as long as nothing changed."""

    limits: Limits
    step: int  # how many steps of STEPS are in force
    changed: bool
    reason: str


#: In this order; each holds together with those before it. More steps shed more gently and take longer.
STEPS: Final = (
    Limits(last_n=16),
    Limits(last_n=9),
    Limits(last_n=4),
    Limits(max_height=720),
    Limits(max_height=360),
    Limits(temporal=1),  # of three temporal layers the upper one goes: half the pictures a second
    Limits(max_height=180),
    Limits(temporal=0),
    Limits(last_n=2),
    Limits(new_rooms=False),
)


def _in_force(step: int) -> Limits:
    limits = Limits()
    for one in STEPS[:step]:
        limits = Limits(
            limits.last_n if one.last_n is None else one.last_n,
            limits.max_height if one.max_height is None else one.max_height,
            min(limits.temporal, one.temporal),
            limits.new_rooms and one.new_rooms,
        )
    return limits


class LoadManager:
    """Steps down while a mark is passed, and back up, more slowly, when all are well below."""

    def __init__(self, marks: LoadMarks | None = None) -> None:
        self._marks = marks or LoadMarks()
        self.limits = Limits()
        self.sample = Sample(0.0, 0.0, 0.0, 0.0)
        self.step = 0
        self.sheds = self.recoveries = 0  # steps down and back up since the start
        self._measured_at = -math.inf
        self._soft_since: float | None = None
        self._high_since: float | None = None
        self._calm_since: float | None = None
        self._recovered_at: float | None = None  # until the recovery has lasted or failed
        self._recover_s = RECOVER_S

    def measure(self, sample: Sample, now: float) -> Measures:
        """Takes a sample, every half second or so; a time that is not after the last one is ignored."""
        if now - self._measured_at > STALE_S:
            self._soft_since = self._high_since = self._calm_since = None
        elif now <= self._measured_at:
            return Measures(self.limits, self.step, False, "")
        self._measured_at, self.sample = now, sample
        if self._recovered_at is not None and now - self._recovered_at > RELAPSE_S:
            self._recovered_at, self._recover_s = None, max(self._recover_s / 2, RECOVER_S)
        named = self._by_name()
        over = [name for name, (value, marks) in named.items() if value > marks.soft]
        urgent = any(value > marks.high for value, marks in named.values())
        calm = all(value < marks.recover for value, marks in named.values())
        self._soft_since = _since(self._soft_since, bool(over), now)
        self._high_since = _since(self._high_since, urgent, now)
        self._calm_since = _since(self._calm_since, calm, now)
        if self.step < len(STEPS) and (
            _lasts(self._soft_since, SHED_S, now) or _lasts(self._high_since, URGENT_S, now)
        ):
            return self._shed(over, now)
        if self.step and _lasts(self._calm_since, self._recover_s, now):
            return self._recover(now)
        return Measures(self.limits, self.step, False, "")

    def dump(self) -> dict[str, object]:
        """For diagnosis."""
        return {
            "step": self.step,
            "limits": self.limits._asdict(),
            "sample": self.sample._asdict(),
            "sheds": self.sheds,
            "recoveries": self.recoveries,
            "recover_s": self._recover_s,
        }

    def _by_name(self) -> dict[str, tuple[float, Marks]]:
        return {
            field.name: (value, getattr(self._marks, field.name))
            for field, value in zip(fields(self._marks), self.sample, strict=True)
        }

    def _shed(self, over: list[str], now: float) -> Measures:
        if self._recovered_at is not None:  # one relapse is one, however many steps it takes
            self._recovered_at, self._recover_s = None, min(self._recover_s * 2, RECOVER_MAX_S)
        self.sheds += 1
        values = self._by_name()
        told = ", ".join(f"{name} {values[name][0]:.4g} is over {values[name][1].soft:.4g}" for name in over)
        return self._go_to(self.step + 1, told)

    def _recover(self, now: float) -> Measures:
        self._recovered_at = now
        self.recoveries += 1
        return self._go_to(self.step - 1, f"calm for {self._recover_s:.0f} s")

    def _go_to(self, step: int, reason: str) -> Measures:
        # What was seen so far was seen under the old limits.
        self._soft_since = self._high_since = self._calm_since = None
        self.step, self.limits = step, _in_force(step)
        return Measures(self.limits, step, True, reason)


def _since(before: float | None, holds: bool, now: float) -> float | None:
    if not holds:
        return None
    return now if before is None else before


def _lasts(since: float | None, seconds: float, now: float) -> bool:
    return since is not None and now - since >= seconds
