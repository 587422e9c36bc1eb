"""The way in: a name, a new meeting or an invitation, a look inside, and the door."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Coroutine
from typing import Any, Protocol

from PySide6.QtCore import Property, QObject, Signal, Slot
from PySide6.QtQml import QmlElement, QmlUncreatable

from client.bridge.names import checked_name
from client.bridge.preferences import Preferences

QML_IMPORT_NAME = "Hearth"
QML_IMPORT_MAJOR_VERSION = 1

#: How often the number of people inside is asked for while one stands before the door, in seconds.
LOOK_EVERY = 4.0


class DoorError(RuntimeError):
    """A door that does not open; str() is a sentence for the person before it."""


class Doors(Protocol):
    """What the entrance needs of the world. Errors are DoorError."""

    async def start_server(self) -> None:
        """Start the bundled server if it does not run."""

    async def open_room(self, title: str) -> str:
        """A new room on it; returns the link."""

    async def look(self, text: str) -> tuple[str, int]:
        """Title of the meeting behind a link or code, and how many people are inside."""


@QmlElement
@QmlUncreatable("The program holds it")
class Entrance(QObject):  # type: ignore[operator]
    """State of the start page and of the page before joining."""

    nameChanged = Signal()
    nameProblemChanged = Signal()
    waitingChanged = Signal()
    problemChanged = Signal()
    meetingChanged = Signal()
    #: The invitation was found good: go to the page before joining.
    opened = Signal()
    #: Join now: link or code, and name.
    joining = Signal(str, str)

    def __init__(self, doors: Doors, preferences: Preferences, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._doors = doors
        self._preferences = preferences
        self._name = preferences.text("name")
        self._name_problem = ""
        self._invitation = ""
        self._title = ""
        self._inside = 0
        self._waiting = ""
        self._problems = {"meeting": "", "invitation": ""}
        self._task: asyncio.Task[None] | None = None
        self._look_task: asyncio.Task[None] | None = None

    # Verbs ----------------------------------------------------------------------------------------

    @Slot()
    def newMeeting(self) -> None:
        """Start the bundled server, open a room and go before its door."""
        if self._check_name():
            self._begin("meeting", self._new_meeting())

    @Slot(str)
    def knock(self, text: str) -> None:
        """Go before the door of the meeting behind a link or a code."""
        if self._check_name():
            self._begin("invitation", self._look(text))

    @Slot()
    def cancel(self) -> None:
        """Stop waiting."""
        if self._task is not None:
            self._task.cancel()
        self._wait_for("")

    @Slot()
    def back(self) -> None:
        """Turn away from the door."""
        self.cancel()
        self.stop_looking()
        self._complain("invitation", "")

    @Slot()
    def join(self) -> None:
        """Go in."""
        if self._check_name() and self._invitation:
            self.joining.emit(self._invitation, self._name)

    def enter(self, invitation: str, name: str) -> None:
        """Stand before the door of `invitation` at once, as a command line asks for it."""
        if name:
            self._set_name(name)
        self._stand_before(invitation, "", 0)
        self._start_looking()

    def stop_looking(self) -> None:
        """Ask no more how many people are inside."""
        if self._look_task is not None:
            self._look_task.cancel()
            self._look_task = None

    # Waiting --------------------------------------------------------------------------------------

    def _begin(self, place: str, work: Coroutine[Any, Any, None]) -> None:
        self.cancel()
        self._complain(place, "")
        self._task = asyncio.get_running_loop().create_task(self._guarded(place, work))

    async def _guarded(self, place: str, work: Awaitable[None]) -> None:
        try:
            await work
        except DoorError as error:
            self._complain(place, str(error))
        finally:
            if asyncio.current_task() is self._task:
                self._task = None
                self._wait_for("")

    async def _new_meeting(self) -> None:
        self._wait_for("Starting your server")
        await self._doors.start_server()
        self._wait_for("Opening a room")
        link = await self._doors.open_room(f"{self._name}'s meeting")
        title, inside = await self._doors.look(link)
        self._stand_before(link, title, inside)
        self._start_looking()

    async def _look(self, text: str) -> None:
        if not text.strip():
            raise DoorError("Paste the link or type the code that you were sent.")
        self._wait_for("Finding the meeting")
        title, inside = await self._doors.look(text)
        self._stand_before(text.strip(), title, inside)
        self._start_looking()

    def _start_looking(self) -> None:
        self.stop_looking()
        self._look_task = asyncio.get_running_loop().create_task(self._keep_looking(self._invitation))

    async def _keep_looking(self, invitation: str) -> None:
        while True:
            try:
                title, inside = await self._doors.look(invitation)
            except DoorError as error:
                self._complain("invitation", str(error))
                await asyncio.sleep(LOOK_EVERY)
                continue
            self._complain("invitation", "")
            if (title, inside) != (self._title, self._inside):
                self._title, self._inside = title, inside
                self.meetingChanged.emit()
            await asyncio.sleep(LOOK_EVERY)

    # State ----------------------------------------------------------------------------------------

    def _stand_before(self, invitation: str, title: str, inside: int) -> None:
        self._invitation, self._title, self._inside = invitation, title, inside
        for place in self._problems:
            self._complain(place, "")
        self.meetingChanged.emit()
        self.opened.emit()

    def _check_name(self) -> bool:
        name, problem = checked_name(self._name)
        self._set_name_problem(problem)
        if not problem:
            self._set_name(name)
            self._preferences.remember("name", self._name)
        return not problem

    def _complain(self, place: str, sentence: str) -> None:
        if self._problems[place] != sentence:
            self._problems[place] = sentence
            self.problemChanged.emit()

    def _wait_for(self, words: str) -> None:
        if words != self._waiting:
            self._waiting = words
            self.waitingChanged.emit()

    def _set_name_problem(self, sentence: str) -> None:
        if sentence != self._name_problem:
            self._name_problem = sentence
            self.nameProblemChanged.emit()

    def _get_name(self) -> str:
        return self._name

    def _set_name(self, name: str) -> None:
        if name == self._name:
            return
        self._name = name
        self.nameChanged.emit()
        if self._name_problem:  # while a person corrects a name, the sentence follows
            self._set_name_problem(checked_name(name)[1])

    def _get_name_problem(self) -> str:
        return self._name_problem

    def _get_waiting(self) -> str:
        return self._waiting

    def _meeting_problem(self) -> str:
        return self._problems["meeting"]

    def _invitation_problem(self) -> str:
        return self._problems["invitation"]

    def _get_title(self) -> str:
        return self._title

    def _get_inside(self) -> int:
        return self._inside

    name = Property(str, _get_name, _set_name, notify=nameChanged)
    nameProblem = Property(str, _get_name_problem, notify=nameProblemChanged)
    #: What is waited for, in words; empty when nothing is.
    waiting = Property(str, _get_waiting, notify=waitingChanged)
    meetingProblem = Property(str, _meeting_problem, notify=problemChanged)
    invitationProblem = Property(str, _invitation_problem, notify=problemChanged)
    title = Property(str, _get_title, notify=meetingChanged)
    peopleInside = Property(int, _get_inside, notify=meetingChanged)
