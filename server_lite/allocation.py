"""Which layer of which picture one receiver gets. Pure; rates in bit/s, heights in pixels, time in seconds.

docs/layer-allocation.md tells the algorithm. In short: all that could be improved is put into one list that
does not depend on the budget, and is taken from the top as long as it fits. An `Allocator` remembers what its
receiver has, so that an estimate that trembles changes nothing. What could be sent is in ladder.py.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from server_lite.ladder import NO_CAPS, Caps, Ladder, Priority, Wish, fluency, ladder_of

#: Budget in bit/s while nothing is known. Higher shows sharp pictures sooner, and floods slow paths for the
#: first second; lower starts everybody with thumbnails.
START_BUDGET: Final = 1_500_000
#: The lowest layer of a small tile that costs more bit/s than this (somebody sends one big layer only) waits
#: until shares and the stage have theirs. Higher lets one such sender take the stage's rate, lower hides it.
HEAVY: Final = 350_000
#: A share's lowest layer may exceed the budget by this part of it. Higher shows a share on slower paths, late
#: and with losses; lower shows nothing there.
OVERSEND: Final = 0.2
#: The estimate must exceed the need by this factor to go up at once. Higher is slower to use what is there,
#: lower goes up and down with an estimate that trembles.
MARGIN: Final = 1.15
#: This factor is enough if it has lasted for HOLD_S seconds. Both as above.
HELD_MARGIN: Final = 1.08
HOLD_S: Final = 5.0
#: Who had to go down within REGRET_S of going up waits before the next try: at first BACKOFF_S, then twice as
#: long each time up to BACKOFF_MAX_S, unless the estimate exceeds the need by SURE. Longer is calmer, and
#: slower to see that a path got a little better. A wait that was over for REGRET_S is forgotten.
REGRET_S: Final = 15.0
BACKOFF_S: Final = 5.0
BACKOFF_MAX_S: Final = 60.0
SURE: Final = 1.3
#: The lowest layers of what flows are not paused as long as they exceed the budget by no more than this
#: factor, and that has not lasted for GRACE_S seconds: a key frame makes a layer seem dear for a moment, and
#: paused pictures need a key frame to come back. Higher and longer fills the queue of a path that became
#: narrow.
GRACE: Final = 1.35
GRACE_S: Final = 1.5
#: The same where it lacks more: a path that stands still for a moment looks like one that carries nothing.
MOMENT_S: Final = 0.4
#: While the choice fits, changes of the budget below this part are not worth working it all out again.
COARSE: Final = 0.02
#: Seconds until time alone is asked again whether more is possible now. Less finds out sooner and costs CPU.
RECHECK_S: Final = 1.0
State = Literal["full", "lower", "paused"]
#: wanted: all that was asked for. bandwidth: the budget. load: the server is overloaded. hidden: height 0.
#: source: nothing arrives. Anything else is a wish's `held`.
Reason = str


class Choice(NamedTuple):
    """What a section gets; `layer` is None while it is paused."""

    layer: int | None
    spatial: int
    temporal: int
    state: State
    reason: Reason
    bitrate: int = 0


@dataclass(frozen=True, slots=True)
class Allocation:
    """`used` and `wanted` (all that was asked for) in bit/s with the sound."""

    choices: dict[str, Choice]
    used: int
    wanted: int


class _Step(NamedTuple):
    rank: int  # place of its wish in the order of importance
    level: int  # of the wish's ladder
    extra: int  # bit/s on top of the level below
    base_of_share: bool


def _steps(ladders: Sequence[Ladder]) -> list[_Step]:
    """All improvements in the order in which they are worth having; `ladders` by importance."""
    steps: list[_Step] = []
    others: list[tuple[int, int, Ladder]] = []  # rank, next level, ladder
    first = [(rank, ladder) for rank, ladder in enumerate(ladders) if ladder.rungs]
    for rank, ladder in first:
        priority, base = ladder.wish.priority, ladder.rungs[0][0]
        if priority <= Priority.STAGE or base <= HEAVY:
            steps.append(_Step(rank, 0, base, priority is Priority.SHARE))
        if priority > Priority.STAGE:
            others.append((rank, 1 if base <= HEAVY else 0, ladder))
    for rank, ladder in first:
        if ladder.wish.priority <= Priority.STAGE:
            steps += [_step(rank, level, ladder) for level in range(1, len(ladder.rungs))]
    while others:
        others = [(rank, level, ladder) for rank, level, ladder in others if level < len(ladder.rungs)]
        steps += [_step(rank, level, ladder) for rank, level, ladder in others]
        others = [(rank, level + 1, ladder) for rank, level, ladder in others]
    return steps


def _step(rank: int, level: int, ladder: Ladder) -> _Step:
    below = ladder.rungs[level - 1][0] if level else 0
    return _Step(rank, level, ladder.rungs[level][0] - below, False)


def _fill(steps: Sequence[_Step], count: int, budget: float, audio: int) -> list[int]:
    """Levels by rank, -1 nothing: takes the steps that fit.

    After one that does not fit only less important pictures may have more. Else a bit more budget, spent on
    that step, would take something away from a more important one.
    """
    levels = [-1] * count
    used, refused = float(audio), -1
    for rank, level, extra, base_of_share in steps:
        if rank <= refused:
            continue
        if used + extra <= (budget * (1 + OVERSEND) if base_of_share else budget):
            used += extra
            levels[rank] = level
        else:
            refused = rank
    return levels


def _is_better(steps: Sequence[_Step], new: Sequence[int], old: Sequence[int]) -> bool:
    """Whether `new` has the first step in which the two differ."""
    for rank, level, _, _ in steps:
        if (new[rank] >= level) != (old[rank] >= level):
            return new[rank] >= level
    return False


class Allocator:
    """Chooses for one receiver, and remembers what it chose."""

    def __init__(self) -> None:
        self._wishes: tuple[Wish, ...] | None = None  # as worked out last, like the next four
        self._caps, self._audio, self._budget = NO_CAPS, 0, 0.0
        self._again_at = 0.0  # when time alone may change the choice
        self._result = Allocation({}, 0, 0)
        self._ladders: list[Ladder] = []  # by importance
        self._steps: list[_Step] = []
        self._shape: list[tuple[object, ...]] = []
        self._started = False
        self._short_since: float | None = None  # the lowest layers do not fit
        self._have: dict[str, tuple[str, tuple[int, ...]]] = {}  # mid -> (producer, fluency)
        self._lowest = _Lowest()
        self._patience = _Patience()

    def allocate(
        self,
        budget: float | None,
        wishes: Sequence[Wish],
        now: float,
        *,
        audio: int = 0,
        caps: Caps = NO_CAPS,
    ) -> Allocation:
        """The choice for each wish. `budget` is the estimate, `audio` what the sound takes of it.

        A mid must not come twice. Costs next to nothing while wishes and budget stay as they were.
        """
        limit = START_BUDGET if budget is None else max(budget, 0.0)
        held = self._lowest.note(limit, now)
        wanted = tuple(wishes)
        reshaped = False
        if wanted != self._wishes or caps != self._caps:
            reshaped = self._prepare(wanted, caps)
        elif audio == self._audio and now < self._again_at and self._is_as_before(limit):
            return self._result
        self._audio, self._budget = audio, limit
        levels = self._decide(limit, held, reshaped, now)
        self._result = self._describe(levels)
        settled = held is not None and held >= limit * (1 - COARSE) and self._patience.is_over(now)
        idle = settled or self._result.used >= self._result.wanted
        self._again_at = math.inf if idle else now + RECHECK_S
        if self._short_since is not None:
            self._again_at = now  # a grace ends with time
        return self._result

    def doubts(self, now: float) -> bool:
        """Whether going up was a mistake, so that only SURE is enough."""
        return not self._patience.is_over(now)

    def dump(self) -> dict[str, object]:
        """For diagnosis."""
        return {
            "used": self._result.used,
            "wanted": self._result.wanted,
            "budget": round(self._budget),
            "choices": {mid: choice._asdict() for mid, choice in self._result.choices.items()},
        }

    def _is_as_before(self, budget: float) -> bool:
        if abs(budget - self._budget) > self._budget * COARSE:
            return False
        return budget >= self._budget or self._result.used <= budget

    def _prepare(self, wishes: tuple[Wish, ...], caps: Caps) -> bool:
        """Works out what could be done; whether more than the measured rates has changed."""
        old = {ladder.wish.mid: ladder for ladder in self._ladders} if caps == self._caps else {}
        ladders = []
        for wish in sorted(wishes, key=_importance):
            ladder = old.get(wish.mid)
            ladders.append(ladder if ladder is not None and ladder.wish == wish else ladder_of(wish, caps))
        self._ladders, self._steps = ladders, _steps(ladders)
        self._wishes, self._caps = wishes, caps
        shape: list[tuple[object, ...]] = [(*_importance(x.wish), x.wish.producer, x.shape) for x in ladders]
        reshaped, self._shape = shape != self._shape, shape
        return reshaped

    def _decide(self, budget: float, held: float | None, reshaped: bool, now: float) -> list[int]:
        """Levels by rank: down at once, up with a margin."""
        if not self._started:
            self._started = bool(self._ladders)
            return self._fill(budget)
        old = self._kept()
        pairs = zip(self._ladders, old, strict=True)
        used = self._audio + sum(x.rungs[level][0] for x, level in pairs if level >= 0)
        if used > budget and not (self._only_shares(old) and used <= budget * (1 + OVERSEND)):
            new = self._spare(self._fill(budget), old, budget, now)
            if new != old and not reshaped:
                self._patience.went_down(now)
            return new
        self._short_since = None
        safe = budget / (MARGIN if self._patience.is_over(now) else SURE)
        if held is not None and self._patience.is_over(now):
            safe = max(safe, held / HELD_MARGIN)
        if reshaped:  # what is sent already may be spent in another way without a test
            safe = max(safe, min(self._result.used, budget))
        new = self._fill(safe)
        if not _is_better(self._steps, new, old):
            return old
        if not reshaped:
            self._patience.went_up(now)
        return new

    def _spare(self, new: list[int], old: list[int], budget: float, now: float) -> list[int]:
        """Keeps the lowest layer of what would be paused, while the budget does not lack it for long."""
        starved = [rank for rank, level in enumerate(new) if level < 0 <= old[rank]]
        if not starved:
            self._short_since = None
            return new
        if self._short_since is None:
            self._short_since = now
        spared = [0 if rank in starved else level for rank, level in enumerate(new)]
        pairs = zip(self._ladders, spared, strict=True)
        used = self._audio + sum(x.rungs[level][0] for x, level in pairs if level >= 0)
        return spared if now - self._short_since < (GRACE_S if used <= budget * GRACE else MOMENT_S) else new

    def _fill(self, budget: float) -> list[int]:
        return _fill(self._steps, len(self._ladders), budget, self._audio)

    def _kept(self) -> list[int]:
        """What the receiver has, as levels of the present ladders; of a layer that is gone the next lower."""
        levels = []
        for ladder in self._ladders:
            had = self._have.get(ladder.wish.mid)
            if had is None or not ladder.rungs or had[0] != ladder.wish.producer:
                levels.append(-1)
            else:
                below = sum(fluency(layer) <= had[1] for _, layer in ladder.rungs)
                levels.append(max(below - 1, 0))
        return levels

    def _only_shares(self, levels: Sequence[int]) -> bool:
        return all(
            level < 0 or (level == 0 and ladder.wish.priority is Priority.SHARE)
            for ladder, level in zip(self._ladders, levels, strict=True)
        )

    def _describe(self, levels: Sequence[int]) -> Allocation:
        choices: dict[str, Choice] = {}
        used = wanted = self._audio
        self._have = {}
        for ladder, level in zip(self._ladders, levels, strict=True):
            wish = ladder.wish
            if ladder.rungs:
                wanted += ladder.rungs[-1][0]
            if level < 0:
                choices[wish.mid] = Choice(None, 0, 0, "paused", _why_paused(ladder))
                continue
            rate, layer = ladder.rungs[level]
            used += rate
            self._have[wish.mid] = wish.producer, fluency(layer)
            state: State = "lower"
            reason = "bandwidth"
            if level == len(ladder.rungs) - 1:
                state, reason = ("lower", "load") if ladder.capped else ("full", "wanted")
            choices[wish.mid] = Choice(layer.encoding, layer.spatial, layer.temporal, state, reason, rate)
        return Allocation(choices, used, wanted)


def _importance(wish: Wish) -> tuple[int, int, str]:
    return wish.priority, wish.order, wish.mid


def _why_paused(ladder: Ladder) -> Reason:
    if ladder.wish.height <= 0:
        return "hidden"
    return ladder.wish.held or ("bandwidth" if ladder.rungs else "source")


class _Lowest:
    """The lowest estimate of the last HOLD_S."""

    def __init__(self) -> None:
        self._lows: deque[tuple[float, float]] = deque()  # (since when not below, budget), both rising

    def note(self, budget: float, now: float) -> float | None:
        """With this one; None while it has not been that long."""
        lows, since = self._lows, now
        while lows and lows[-1][1] >= budget:
            since, _ = lows.pop()
        lows.append((since, budget))
        while len(lows) > 1 and lows[1][0] <= now - HOLD_S:
            lows.popleft()
        return lows[0][1] if lows[0][0] <= now - HOLD_S else None


class _Patience:
    """How long to wait after going up was a mistake."""

    def __init__(self) -> None:
        self._up_at = self._until = -math.inf
        self._wait = 0.0

    def went_up(self, now: float) -> None:
        self._up_at = now

    def went_down(self, now: float) -> None:
        if now - self._up_at > REGRET_S:
            return
        self._up_at = -math.inf  # one step up too many, however many it takes down
        again = now - self._until <= REGRET_S
        self._wait = min(self._wait * 2, BACKOFF_MAX_S) if again else BACKOFF_S
        self._until = now + self._wait

    def is_over(self, now: float) -> bool:
        return now >= self._until
