"""The way in: names are checked, waits are told and can be cancelled, failures stand where they happened."""

from __future__ import annotations

import asyncio

from client.bridge.entrance import LOOK_EVERY, DoorError, Entrance
from client.bridge.preferences import Preferences
from tests.support.virtual_time import VirtualTime


class Doors:
    """Doors that a test opens, shuts or jams."""

    def __init__(self) -> None:
        self.problem = ""
        self.jam: asyncio.Event | None = None
        self.inside = 2
        self.looked: list[str] = []
        self.titles: list[str] = []

    async def start_server(self) -> None:
        if self.jam is not None:
            await self.jam.wait()
        if self.problem:
            raise DoorError(self.problem)

    async def open_room(self, title: str) -> str:
        self.titles.append(title)
        return "link"

    async def look(self, text: str) -> tuple[str, int]:
        self.looked.append(text)
        if self.problem:
            raise DoorError(self.problem)
        return "Weekly", self.inside


def entrance(name: str = "Mei") -> tuple[Entrance, Doors, list[str]]:
    doors, seen = Doors(), []
    made = Entrance(doors, Preferences(None))
    made._set_name(name)
    made.opened.connect(lambda: seen.append("opened"))
    made.joining.connect(lambda link, who: seen.append(f"{link} {who}"))
    return made, doors, seen


async def test_a_new_meeting_leads_before_its_door(virtual_time: VirtualTime) -> None:
    made, doors, seen = entrance(" Mei  Lind ")
    made.newMeeting()
    await asyncio.sleep(0.1)
    assert seen == ["opened"]
    assert doors.titles == ["Mei Lind's meeting"]
    assert (made._get_title(), made._get_inside(), made._get_waiting()) == ("Weekly", 2, "")
    made.join()
    assert seen == ["opened", "link Mei Lind"]
    made.back()


async def test_the_number_of_people_inside_is_kept_fresh(virtual_time: VirtualTime) -> None:
    made, doors, _seen = entrance()
    made.knock("code")
    await asyncio.sleep(0.1)
    doors.inside = 5
    await asyncio.sleep(2 * LOOK_EVERY)
    assert made._get_inside() == 5
    doors.problem = "Nobody answers."  # told while it lasts
    await asyncio.sleep(2 * LOOK_EVERY)
    assert (made._get_inside(), made._invitation_problem()) == (5, "Nobody answers.")
    doors.problem = ""
    await asyncio.sleep(2 * LOOK_EVERY)
    assert made._invitation_problem() == ""
    made.back()
    looks = len(doors.looked)
    await asyncio.sleep(3 * LOOK_EVERY)
    assert len(doors.looked) == looks


async def test_a_failure_stands_where_it_happened(virtual_time: VirtualTime) -> None:
    made, doors, seen = entrance()
    doors.problem = "Nobody answers."
    made.knock("code")
    await asyncio.sleep(0.1)
    assert (made._invitation_problem(), made._meeting_problem()) == ("Nobody answers.", "")
    made.newMeeting()
    await asyncio.sleep(0.1)
    assert made._meeting_problem() == "Nobody answers."
    doors.problem = ""
    made.knock("code")
    await asyncio.sleep(0.1)
    assert (made._invitation_problem(), made._meeting_problem(), seen) == ("", "", ["opened"])
    made.back()


async def test_an_empty_invitation_asks_for_one(virtual_time: VirtualTime) -> None:
    made, doors, _seen = entrance()
    made.knock("  ")
    await asyncio.sleep(0.1)
    assert made._invitation_problem() == "Paste the link or type the code that you were sent."
    assert doors.looked == []


async def test_a_wait_is_told_and_can_be_cancelled(virtual_time: VirtualTime) -> None:
    made, doors, seen = entrance()
    doors.jam = asyncio.Event()
    made.newMeeting()
    await asyncio.sleep(0.1)
    assert made._get_waiting() == "Starting your server"
    made.cancel()
    assert made._get_waiting() == ""
    await asyncio.sleep(0.1)
    assert seen == []


async def test_nobody_gets_anywhere_without_a_name(virtual_time: VirtualTime) -> None:
    made, doors, seen = entrance("")
    for verb in (made.newMeeting, made.join, lambda: made.knock("code")):
        verb()
        await asyncio.sleep(0.1)
        assert made._get_name_problem().startswith("Type your name")
    assert (seen, doors.looked) == ([], [])
    made._set_name("M")  # the sentence goes while a person corrects the name
    assert made._get_name_problem() == ""


async def test_the_name_is_remembered_once_it_is_good(virtual_time: VirtualTime) -> None:
    preferences = Preferences(None)
    made = Entrance(Doors(), preferences)
    made._set_name("x" * 65)
    made.knock("code")
    assert preferences.text("name") == ""
    made._set_name("Mei")
    made.knock("code")
    await asyncio.sleep(0.1)
    assert Entrance(Doors(), preferences)._get_name() == "Mei"
    made.back()
