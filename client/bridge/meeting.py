"""The meeting as QML sees it: the session's state to read, the call's verbs to use."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from PySide6.QtCore import Property, QObject, Qt, QTimer, Signal, Slot
from PySide6.QtGui import QGuiApplication
from PySide6.QtQml import QmlElement, QmlUncreatable

from client.bridge.members import MemberModel
from client.bridge.pictures import PictureFeed
from client.bridge.ports import CallPort, MakeCall
from client.session.state import PHASE_WORDS, Phase, SessionState

QML_IMPORT_NAME = "Hearth"
QML_IMPORT_MAJOR_VERSION = 1

#: Phases in which a person waits before being in the meeting.
ENTERING = frozenset({Phase.FINDING, Phase.JOINING, Phase.SECURING})
#: Milliseconds for which sizes of tiles must rest before they are told. Longer shows for longer what
#: was right before; shorter tells of every step of a tile that glides, and each change may cost a key frame.
VIEW_MS = 200
#: Phases in which the call page stands.
INSIDE = frozenset({Phase.IN_CALL, Phase.RECONNECTING})


@QmlElement
@QmlUncreatable("The program holds it")
class Meeting(QObject):  # type: ignore[operator]
    """State, members, pictures and verbs of one call. Snapshots come from the call thread."""

    stateChanged = Signal()
    levelChanged = Signal()
    elapsedChanged = Signal()
    #: Emitted with the new phase's value whenever the phase changes.
    phaseChanged = Signal(str)
    #: A sentence about something that went wrong without ending the call.
    noted = Signal(str)

    _state_arrived = Signal()
    _levels_arrived = Signal()

    def __init__(
        self,
        make_call: MakeCall,
        parent: QObject | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(parent)
        self._clock = clock
        self._state = SessionState()
        self._newest = self._state
        self._levels: Mapping[str, float] = {}
        self._level = 0.0
        self._elapsed = ""
        self._members = MemberModel(self)
        self._state_arrived.connect(self._take_state, Qt.ConnectionType.QueuedConnection)
        self._levels_arrived.connect(self._take_levels, Qt.ConnectionType.QueuedConnection)
        self.call: CallPort = make_call(self._on_state, self._on_levels)
        self._feed = PictureFeed(self.call.pictures, self)
        self._second = QTimer(self)
        self._second.setInterval(1000)
        self._second.timeout.connect(self._count_time)
        self._still = QTimer(self)
        self._still.setInterval(VIEW_MS)
        self._still.setSingleShot(True)
        self._still.timeout.connect(self._tell_view)
        self._feed.heightsChanged.connect(self._still.start)

    # From the call thread -------------------------------------------------------------------------

    def _on_state(self, state: SessionState) -> None:
        self._newest = state
        self._state_arrived.emit()

    def _on_levels(self, levels: Mapping[str, float]) -> None:
        self._levels = levels
        self._levels_arrived.emit()

    # On the screen's thread -----------------------------------------------------------------------

    def _take_state(self) -> None:
        old, new = self._state, self._newest
        if new is old:
            return
        self._state = new
        self._members.update(new.members)
        self._second.start() if new.phase in INSIDE else self._second.stop()
        self._count_time()
        self.stateChanged.emit()
        if new.phase is not old.phase:
            self.phaseChanged.emit(new.phase.value)
        if new.note and new.note != old.note:
            self.noted.emit(new.note)

    def _take_levels(self) -> None:
        levels = self._levels
        self._members.set_levels(levels)
        level = min(1.0, max(0.0, levels.get("me", 0.0)))
        if level != self._level:
            self._level = level
            self.levelChanged.emit()

    def _tell_view(self) -> None:
        self.call.view(self._feed.heights())

    def _count_time(self) -> None:
        joined = self._state.joined_at
        text = "" if joined is None else spell_time(self._clock() - joined)
        if text != self._elapsed:
            self._elapsed = text
            self.elapsedChanged.emit()

    # Verbs ----------------------------------------------------------------------------------------

    @Slot()
    def toggleMicrophone(self) -> None:
        """Mute or unmute this computer's microphone."""
        self.call.set_microphone(not self._state.microphone_on)

    @Slot()
    def toggleCamera(self) -> None:
        """Switch this computer's camera off or on."""
        self.call.set_camera(not self._state.camera_on)

    @Slot(bool)
    def watch(self, watched: bool) -> None:
        """Say whether anybody can see the window; pictures nobody sees are neither sent nor decoded."""
        self.call.show(None if watched else ())

    @Slot()
    def leave(self) -> None:
        """Leave the meeting, or stop trying to get in."""
        self.call.leave()

    @Slot()
    def copyInvitation(self) -> None:
        """Put the invitation's link and code on the clipboard."""
        link, code = self._state.invitation_link, self._state.invitation_code
        if link:
            clipboard = QGuiApplication.clipboard()
            clipboard.setText(f"{link}\nCode: {code}" if code else link)
            self.noted.emit("Invitation copied. Send it to the people you want here.")
        else:
            self.noted.emit("There is no invitation to copy yet.")

    def stop(self) -> None:
        """Count no more time and let go of the pictures."""
        self._second.stop()
        self._still.stop()
        self._feed.close()

    # State ----------------------------------------------------------------------------------------

    @property
    def state(self) -> SessionState:
        """The snapshot that the screen shows now."""
        return self._state

    def _note(self) -> str:
        return self._state.note

    def _title(self) -> str:
        return self._state.title

    def _link(self) -> str:
        return self._state.invitation_link

    def _code(self) -> str:
        return self._state.invitation_code

    def _microphone_on(self) -> bool:
        return self._state.microphone_on

    def _camera_on(self) -> bool:
        return self._state.camera_on

    def _phase(self) -> str:
        return self._state.phase.value

    def _words(self) -> str:
        return PHASE_WORDS[self._state.phase]

    @property
    def problem_sentence(self) -> str:
        """Why the meeting failed or ended against one's will; empty otherwise."""
        return self._state.problem.sentence if self._state.problem is not None else ""

    def _problem(self) -> str:
        return self.problem_sentence

    def _problem_code(self) -> str:
        return self._state.problem.code if self._state.problem is not None else ""

    def _entering(self) -> bool:
        return self._state.phase in ENTERING

    def _inside(self) -> bool:
        return self._state.phase in INSIDE

    def _reconnecting(self) -> bool:
        return self._state.phase is Phase.RECONNECTING

    def _get_level(self) -> float:
        return self._level

    def _get_elapsed(self) -> str:
        return self._elapsed

    def _get_members(self) -> MemberModel:
        return self._members

    def _get_feed(self) -> PictureFeed:
        return self._feed

    phase = Property(str, _phase, notify=stateChanged)
    words = Property(str, _words, notify=stateChanged)
    problem = Property(str, _problem, notify=stateChanged)
    problemCode = Property(str, _problem_code, notify=stateChanged)
    note = Property(str, _note, notify=stateChanged)
    entering = Property(bool, _entering, notify=stateChanged)
    inside = Property(bool, _inside, notify=stateChanged)
    reconnecting = Property(bool, _reconnecting, notify=stateChanged)
    title = Property(str, _title, notify=stateChanged)
    invitationLink = Property(str, _link, notify=stateChanged)
    invitationCode = Property(str, _code, notify=stateChanged)
    microphoneOn = Property(bool, _microphone_on, notify=stateChanged)
    cameraOn = Property(bool, _camera_on, notify=stateChanged)
    #: This computer's microphone, 0..1, about ten times a second.
    level = Property(float, _get_level, notify=levelChanged)
    #: How long one has been in the meeting, as "12:04" or "1:02:03".
    elapsed = Property(str, _get_elapsed, notify=elapsedChanged)
    members = Property(MemberModel, _get_members, constant=True)
    feed = Property(PictureFeed, _get_feed, constant=True)


def spell_time(seconds: float) -> str:
    """Seconds as minutes and seconds, with hours once there are any."""
    whole = max(0, int(seconds))
    hours, minutes = whole // 3600, whole // 60 % 60
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes:02}:{whole % 60:02}"
