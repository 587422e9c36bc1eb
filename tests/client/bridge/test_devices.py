"""Pickers: listed in a worker, remembered by key, handed to the call only while it is wanted."""

from __future__ import annotations

import asyncio
from typing import Any

from client.bridge.devices import Choice, Devices
from client.bridge.preferences import Preferences

FRONT, BACK = Choice("front", "Front", "spec front"), Choice("back", "Back", "spec back")
MICROPHONE = Choice("mic", "Microphone", "spec mic")


class Shelf:
    """What is plugged in, and what the call was handed."""

    def __init__(self, preferences: Preferences | None = None) -> None:
        self.cameras: list[Choice] = [FRONT, BACK]
        self.microphones: list[Choice] = [MICROPHONE]
        self.handed: list[Any] = []
        self.devices = Devices(lambda: (self.cameras, self.microphones), preferences or Preferences(None))
        self.devices.on_camera = self.handed.append
        self.devices.on_microphone = self.handed.append

    async def settle(self) -> None:
        assert self.devices._task is not None
        await self.devices._task


async def test_the_first_devices_are_handed_over_when_wanted() -> None:
    shelf = Shelf()
    shelf.devices.use()
    await shelf.settle()
    assert shelf.handed == ["spec front", "spec mic"]
    shelf.devices.release()
    assert shelf.handed[2:] == [None, None]
    shelf.devices.use()
    assert shelf.handed[4:] == ["spec front", "spec mic"]
    await shelf.settle()
    assert len(shelf.handed) == 6


async def test_listing_alone_opens_no_camera() -> None:
    shelf = Shelf()
    shelf.devices.refresh()
    await shelf.settle()
    assert shelf.handed == []
    assert shelf.devices._get_camera() == 0


async def test_a_choice_is_remembered() -> None:
    preferences = Preferences(None)
    shelf = Shelf(preferences)
    shelf.devices.use()
    await shelf.settle()
    shelf.devices.chooseCamera(1)
    shelf.devices.chooseCamera(7)  # no such entry
    assert shelf.handed[2:] == ["spec back"]
    again = Shelf(preferences)
    again.devices.use()
    await again.settle()
    assert again.handed[0] == "spec back"


async def test_a_camera_that_is_unplugged_gives_way_to_another() -> None:
    shelf = Shelf()
    shelf.devices.use()
    await shelf.settle()
    shelf.devices.chooseCamera(1)
    shelf.cameras = [FRONT]
    shelf.devices.refresh()
    await shelf.settle()
    assert shelf.handed[-1] == "spec front"
    assert shelf.devices._camera_problem() == ""


async def test_no_device_is_a_sentence_but_not_before_anybody_looked() -> None:
    shelf = Shelf()
    shelf.cameras = shelf.microphones = []
    assert shelf.devices._camera_problem() == ""
    shelf.devices.use()
    await shelf.settle()
    assert shelf.devices._camera_problem().startswith("No camera was found")
    assert shelf.devices._microphone_problem().startswith("No microphone was found")
    assert shelf.handed == []


async def test_closing_in_the_middle_of_a_listing_is_harmless() -> None:
    shelf = Shelf()
    shelf.devices.use()
    await asyncio.sleep(0)
    shelf.devices.close()
    await asyncio.gather(shelf.devices._task, return_exceptions=True)  # type: ignore[arg-type]
    assert shelf.handed == []
