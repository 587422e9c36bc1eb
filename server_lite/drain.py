"""A server that is about to stop: meetings go on until they are over or the time is, and none begins."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final, Literal

from server_lite.meetings import Meetings

log = logging.getLogger(__name__)

#: Seconds between looks at who is left. Less ends sooner after the last one has left.
LOOK_S: Final = 0.5

Next = Literal["wait", "notice", "over"]


class Drain:
    """The time that is left. Pure; time in seconds."""

    def __init__(self, notice_s: float) -> None:
        self._notice_s = notice_s
        self._ends_at = 0.0
        self._told = False

    def begin(self, seconds: float, now: float) -> None:
        """The end comes after `seconds`; called again it is moved, and told again."""
        self._ends_at, self._told = now + seconds, False

    def left(self, now: float) -> float:
        """Seconds until the end."""
        return max(self._ends_at - now, 0.0)

    def look(self, members: int, now: float) -> Next:
        """What is due, with so many members left: "notice" once for each end that was set."""
        if not members or now >= self._ends_at:
            return "over"
        if not self._told and self.left(now) <= self._notice_s:
            self._told = True
            return "notice"
        return "wait"


class Drainer:
    """Carries a drain out. `when_over` is called once, when there is nobody left or no time."""

    def __init__(self, meetings: Meetings, notice_s: float) -> None:
        self._meetings, self._drain = meetings, Drain(notice_s)
        self._task: asyncio.Task[None] | None = None
        self.when_over: Callable[[], None] = lambda: None

    def begin(self, seconds: float) -> None:
        """Within a running loop. Called again it moves the end."""
        loop = asyncio.get_running_loop()
        self._drain.begin(seconds, loop.time())
        self._meetings.draining = True
        log.info("draining: %d members have %.0f s", self._meetings.members(), seconds)
        if self._task is None:
            self._task = loop.create_task(self._run())

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        clock = asyncio.get_running_loop().time
        while True:
            match self._drain.look(self._meetings.members(), clock()):
                case "over":
                    self.when_over()
                    return
                case "notice":
                    self._meetings.announce("draining", notice(self._drain.left(clock())))
                case "wait":
                    pass
            await asyncio.sleep(LOOK_S)


def notice(seconds: float) -> str:
    """The sentence that members read."""
    minutes = round(seconds / 60)
    if seconds < 90:
        time = f"{max(round(seconds), 1)} seconds" if round(seconds) > 1 else "a second"
    else:
        time = f"{minutes} minutes"
    return f"The meeting's server stops in {time}. Agree on where to go on."
