"""When which picture was really shown: every frame of one tile, as the browser presents it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from tests.e2e.guest import Guest

#: ms between ticks of the page's own clock. When it is late, the machine was busy, and nobody is to blame.
TICK_MS = 50
_WATCH = """
  const [member, tick] = arguments;
  const watch = { frames: [], ticks: [], video: document.querySelector(`[data-member="${member}"] video`) };
  const next = () => watch.video.requestVideoFrameCallback((now, { height }) => {
    watch.frames.push([now, height]);
    next();
  });
  next();
  clearInterval(window.hearthTicks);
  window.hearthTicks = setInterval(() => watch.ticks.push(performance.now()), tick);
  window.hearthWatch = watch;
"""
_SEEN = "return [hearthWatch.frames, hearthWatch.ticks, performance.now()]"


@dataclass(frozen=True, slots=True)
class Shown:
    """What was shown until `now`: `frames` as (seconds, height in pixels); the clock is the page's own."""

    frames: list[tuple[float, int]]
    ticks: list[float]
    now: float

    def since(self, start: float) -> Shown:
        """From `start` on; the last frame before it is kept, since it was still to be seen."""
        before = [frame for frame in self.frames if frame[0] < start][-1:]
        after = [frame for frame in self.frames if frame[0] >= start]
        return Shown(before + after, [tick for tick in self.ticks if tick >= start], self.now)

    def until(self, end: float) -> Shown:
        """What was shown before `end`."""
        frames = [frame for frame in self.frames if frame[0] < end]
        return Shown(frames, [tick for tick in self.ticks if tick < end], end)

    @property
    def heights(self) -> set[int]:
        """Of all pictures that were shown."""
        return {height for _, height in self.frames}

    def first(self, height: int) -> float | None:
        """When a picture of at least `height` was shown first (s), or None."""
        return next((time for time, tall in self.frames if tall >= height), None)

    def longest_gap(self) -> float:
        """Seconds that one picture stood, less the time that the page itself stood still meanwhile."""
        times = [time for time, _ in self.frames] + [self.now]
        gaps = pairwise(times)
        return max((end - start - self._stalled(start, end) for start, end in gaps), default=self.now)

    def _stalled(self, start: float, end: float) -> float:
        ticks = [start, *(tick for tick in self.ticks if start < tick < end), end]
        late = (after - before - 2 * TICK_MS / 1000 for before, after in pairwise(ticks))
        return sum(time for time in late if time > 0)


def watch(guest: Guest, name: str) -> None:
    """From now on, remember each picture of `name` that `guest` sees. One tile at a time."""
    guest.browser.run(_WATCH, guest.member(name)["id"], TICK_MS)


def shown(guest: Guest) -> Shown:
    """What was shown since `watch`."""
    frames, ticks, now = guest.browser.run(_SEEN)
    pictures = [(time / 1000, int(height)) for time, height in frames]
    return Shown(pictures, [tick / 1000 for tick in ticks], now / 1000)


def clock(guest: Guest) -> float:
    """The page's clock now (s)."""
    return float(guest.browser.run("return performance.now()")) / 1000
