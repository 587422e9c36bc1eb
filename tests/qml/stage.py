"""The real window on a stand-in for the call, for tests that press keys and buttons."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Any

from PySide6.QtCore import QObject, QPoint, Qt, QTimer
from PySide6.QtGui import QAccessible
from PySide6.QtQuick import QQuickItem
from PySide6.QtTest import QTest

from client.app.fake_call import FakeCall
from client.app.window import Window
from client.bridge.devices import Choice, Devices
from client.bridge.entrance import DoorError, Entrance
from client.bridge.meeting import Meeting
from client.bridge.preferences import Preferences
from client.bridge.program import Program
from tests.support.screen import until

LINK = "http://127.0.0.1:8443/join/abcdef#KVVJTGDKKFADH6GD"


async def outside(act: Callable[[], Any]) -> None:
    """Do `act` between tasks: QTest lets events happen, and a task must not be entered from another one."""
    done = asyncio.get_running_loop().create_future()

    def do() -> None:
        act()
        done.set_result(None)

    QTimer.singleShot(0, do)
    await done


class StageDoors:
    """Doors that a test shuts by giving them a problem, or jams."""

    def __init__(self) -> None:
        self.problem = ""
        self.jam: asyncio.Event | None = None

    async def start_server(self) -> None:
        if self.jam is not None:
            await self.jam.wait()

    async def open_room(self, title: str) -> str:
        return LINK

    async def look(self, text: str) -> tuple[str, int]:
        if self.problem:
            raise DoorError(self.problem)
        return "Team weekly", 2


class Stage:
    """One window, what it shows, and hands for it."""

    def __init__(self, others: int, name: str, size: tuple[int, int], paint: bool) -> None:
        preferences = Preferences(None)
        if name:
            preferences.remember("name", name)
        self.doors = StageDoors()
        self.cameras = [Choice("a", "Camera", "camera spec")]
        self.meeting = Meeting(lambda a, b: FakeCall(a, b, others=others, paint=paint))
        self.call: Any = self.meeting.call
        devices = Devices(lambda: (self.cameras, [Choice("m", "Microphone", "sound spec")]), preferences)
        self.program = Program(self.meeting, Entrance(self.doors, preferences), devices)
        self.window = Window(self.program, size)

    def item(self, name: str) -> QQuickItem:
        """The item called `name`, wherever it is."""
        found = self.find(name)
        assert found is not None, f"nothing on the screen is called {name}"
        return found

    def find(self, name: str) -> QQuickItem | None:
        """The shown item called `name`, or None. Walks the items, so pages that went do not answer."""
        left = [self.window.window.contentItem()]
        while left:
            item = left.pop()
            if item.objectName() == name:
                return item
            left += item.childItems()
        return None

    def tiles(self) -> list[QQuickItem]:
        """The tiles in the order of the members."""
        grid = self.item("tileGrid")
        tiles = [item for item in grid.childItems() if item.property("memberId") is not None]
        return sorted(tiles, key=lambda tile: tile.property("index"))

    async def key(self, key: Qt.Key) -> None:
        await outside(lambda: QTest.keyClick(self.window.window, key))

    async def type(self, text: str) -> None:
        for letter in text:
            await outside(partial(QTest.keyClick, self.window.window, letter))

    async def click(self, name: str) -> None:
        left, plain = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
        place = self.middle(name)
        await outside(lambda: QTest.mouseClick(self.window.window, left, plain, place))

    def middle(self, name: str) -> QPoint:
        item = self.item(name)
        return item.mapToScene(item.boundingRect().center()).toPoint()

    async def move_pointer(self, place: QPoint) -> None:
        await outside(lambda: QTest.mouseMove(self.window.window, place))

    def change(self, **changes: Any) -> None:
        """Let the call report a changed state."""
        self.call.become(replace(self.call.state, **changes))

    async def to_call(self) -> None:
        """Walk in."""
        self.program.entrance.enter(LINK, "")
        self.program.entrance.join()
        await until(lambda: self.find("controlBar") is not None and self.item("controlBar").isVisible())

    async def active(self) -> None:
        """Have the keyboard."""
        self.window.window.requestActivate()
        await until(self.window.window.isActive)


@asynccontextmanager
async def on_stage(
    others: int = 3, name: str = "Anna Berg", size: tuple[int, int] = (1280, 720), paint: bool = False
) -> AsyncIterator[Stage]:
    """A window with `others` people in the meeting behind its door."""
    stage = Stage(others, name, size, paint)
    try:
        stage.call.open()
        await until(stage.window.window.isExposed)
        await stage.active()
        yield stage
    finally:
        stage.window.close()
        stage.program.stop()
        await asyncio.to_thread(stage.call.close)


def accessible(root: QObject) -> list[tuple[QAccessible.Role, str]]:
    """Role and name of everything that a screen reader finds below `root`."""
    found: list[tuple[QAccessible.Role, str]] = []
    left = [QAccessible.queryAccessibleInterface(root)]
    while left:
        interface = left.pop(0)
        if interface is None or not interface.isValid():
            continue
        found.append((interface.role(), interface.text(QAccessible.Text.Name)))
        left += [interface.child(n) for n in range(interface.childCount())]
    return found
