"""The one object the screen is given: the pages and what each of them needs."""

from __future__ import annotations

from PySide6.QtCore import Property, QObject, Signal, Slot
from PySide6.QtGui import QAccessible
from PySide6.QtQml import QmlElement, QmlUncreatable

from client.bridge.devices import Devices
from client.bridge.entrance import Entrance
from client.bridge.meeting import ENTERING, INSIDE, Meeting
from client.session.state import Phase

QML_IMPORT_NAME = "Hearth"
QML_IMPORT_MAJOR_VERSION = 1


def next_page(page: str, before: Phase, now: Phase) -> str:
    """The page after the session went from phase `before` to `now`.

    A failure before one was inside stays on the page before joining, where one can try again; a failure
    or an ending after that gets a page of its own.
    """
    if now in INSIDE:
        return "call"
    if now in (Phase.LEFT, Phase.FAILED):
        return "left" if page == "call" else page
    if now in ENTERING and before is not Phase.RECONNECTING:
        return "prejoin" if page != "call" else page
    return page


@QmlElement
@QmlUncreatable("The program makes it")
class Program(QObject):  # type: ignore[operator]
    """Which page is shown, and the meeting, the entrance and the devices behind the pages."""

    pageChanged = Signal()
    #: The window is closing: the program ends.
    closed = Signal()
    joinProblemChanged = Signal()

    def __init__(
        self, meeting: Meeting, entrance: Entrance, devices: Devices, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._meeting = meeting
        self._entrance = entrance
        self._devices = devices
        self._page = "start"
        self._phase = Phase.IDLE
        self._last: tuple[str, str] | None = None
        self._tried = False
        meeting.stateChanged.connect(self.joinProblemChanged)
        meeting.phaseChanged.connect(self._follow)
        entrance.opened.connect(self._stand_before_door)
        entrance.joining.connect(self._join)
        devices.on_camera = meeting.call.choose_video
        devices.on_microphone = meeting.call.choose_sound

    def stop(self) -> None:
        """Stop whatever is waited for, and let go of pictures. The call is closed by whoever made it."""
        self._entrance.back()
        self._devices.close()
        self._meeting.stop()

    @Slot()
    def close(self) -> None:
        """The window was closed."""
        self.closed.emit()

    @Slot()
    def start(self) -> None:
        """Go to the start page."""
        self._entrance.back()
        self._go("start")

    @Slot()
    def back(self) -> None:
        """From before the door to the start page; stops whatever is waited for."""
        if self._phase in ENTERING:
            self._meeting.call.leave()
        self.start()

    @Slot()
    def rejoin(self) -> None:
        """Try the last meeting again."""
        if self._last is None:
            self.start()
            return
        self._go("prejoin")
        self._try(True)
        self._meeting.call.join(*self._last)

    def _stand_before_door(self) -> None:
        self._try(False)
        self._go("prejoin")

    def _join(self, invitation: str, name: str) -> None:
        self._last = (invitation, name)
        self._try(True)
        self._meeting.call.join(invitation, name)

    def _follow(self, phase: str) -> None:
        before, self._phase = self._phase, Phase(phase)
        if self._phase in INSIDE:
            self._entrance.stop_looking()
        if not (self._page == "start" and self._phase in ENTERING):
            self._go(next_page(self._page, before, self._phase))

    def _go(self, page: str) -> None:
        if page != self._page:
            self._page = page
            if page in ("prejoin", "call"):
                self._devices.use()
            else:
                self._devices.release()
            self.pageChanged.emit()

    def _try(self, tried: bool) -> None:
        self._tried = tried
        self.joinProblemChanged.emit()

    def _join_problem(self) -> str:
        # What went wrong with another meeting is not told before the door of this one.
        return self._meeting.problem_sentence if self._tried else ""

    def _get_page(self) -> str:
        return self._page

    def _get_meeting(self) -> Meeting:
        return self._meeting

    def _get_entrance(self) -> Entrance:
        return self._entrance

    def _get_devices(self) -> Devices:
        return self._devices

    def _screen_reader(self) -> bool:
        return QAccessible.isActive()

    #: "start", "prejoin", "call" or "left".
    page = Property(str, _get_page, notify=pageChanged)
    #: Why the last try to get in failed; empty before the first one at this door.
    joinProblem = Property(str, _join_problem, notify=joinProblemChanged)
    #: Whether somebody reads the screen aloud; then nothing hides by itself.
    screenReader = Property(bool, _screen_reader, notify=pageChanged)
    meeting = Property(Meeting, _get_meeting, constant=True)
    entrance = Property(Entrance, _get_entrance, constant=True)
    devices = Property(Devices, _get_devices, constant=True)
