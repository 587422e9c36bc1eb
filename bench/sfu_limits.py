"""How much one server carries before its load manager acts: the largest room, and how many rooms of four.
Stepwise upwards, until the server lowers something, the room is full, or the load itself is out of breath."""

from __future__ import annotations

import re
import time
import urllib.request
from collections.abc import Callable
from typing import Final, NamedTuple

from bench.loadbot.crew import Crew
from bench.loadbot.verdicts import BUSY
from bench.loadbot.worker import Task
from bench.sfu_servers import hearth, meeting
from client.services.embedded import Announcement
from server_lite.config import Settings
from server_lite.load import SHED_S

#: Members and rooms of one step. Smaller steps are finer and take longer.
MEMBERS_A_STEP: Final = 10
ROOMS_A_STEP: Final = 6
#: Seconds of a step, from when all streams flow: longer than the load manager needs to make up its mind.
HOLD: Final = SHED_S + 3.0
#: Seconds for one of the two searches. What held until then is the answer, with a note.
LONGEST: Final = 240.0
_MOST_ROOMS: Final = 200
_PROCESSES: Final = 2


class Limit(NamedTuple):
    """What held, and why there is no more."""

    held: int
    reason: str


def largest_room() -> Limit:
    """Members of one room as in the scenario conference."""
    most = Settings().max_members

    def tasks(link: Callable[[], str], held: int) -> list[Task]:
        if not held:
            links.append(link())
        half = MEMBERS_A_STEP // _PROCESSES
        return [
            Task("hearth", links[0], held + part * half, half, most, "conference", most)
            for part in range(_PROCESSES)
        ]

    links: list[str] = []
    return _search(tasks, MEMBERS_A_STEP, most)


def rooms_of_4() -> Limit:
    """Rooms of four as in the scenario meeting."""

    def tasks(link: Callable[[], str], held: int) -> list[Task]:
        return [Task("hearth", link(), 0, 4, 4, "meeting", 4) for _ in range(ROOMS_A_STEP)]

    return _search(tasks, ROOMS_A_STEP, _MOST_ROOMS)


def _search(tasks: Callable[[Callable[[], str], int], list[Task]], step: int, most: int) -> Limit:
    end = time.monotonic() + LONGEST
    with hearth() as announcement:
        first = tasks(lambda: meeting(announcement), 0)
        with Crew(first[:_PROCESSES]) as crew:
            crew.start()
            crew.add(first[_PROCESSES:])
            held = 0
            while True:
                time.sleep(HOLD)
                if reason := _acted(announcement):
                    return Limit(held, reason)
                held += step
                if crew.busiest() > BUSY:
                    return Limit(held, "the load itself is out of breath")
                if held + step > most:
                    return Limit(held, "no more are let in")
                if time.monotonic() > end:
                    return Limit(held, "the time for the search is over")
                more = tasks(lambda: meeting(announcement), held)
                for begin in range(0, len(more), _PROCESSES):
                    crew.add(more[begin : begin + _PROCESSES])


def _acted(announcement: Announcement) -> str:
    """What the load manager did; empty while it has nothing to do."""
    with urllib.request.urlopen(f"{announcement.url}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    found = re.search(r"^hearth_load_sheds_total ([\d.]+)$", text, re.MULTILINE)
    return "the server leaves out pictures" if found and float(found[1]) > 0 else ""
