"""The meeting follows the snapshots of the call thread and uses the call's verbs."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import pytest
from PySide6.QtGui import QGuiApplication

from client.app.fake_call import FakeCall
from client.bridge.meeting import Meeting, spell_time
from client.session.state import Phase, SessionState


class Stage:
    """A meeting with a stand-in for the call, and a clock that stands still."""

    def __init__(self, application: Any) -> None:
        self.application = application
        self.now = 1000.0
        self.meeting = Meeting(lambda a, b: FakeCall(a, b, others=2, paint=False), clock=lambda: self.now)
        self.call: Any = self.meeting.call
        self.phases: list[str] = []
        self.notes: list[str] = []
        self.meeting.phaseChanged.connect(self.phases.append)
        self.meeting.noted.connect(self.notes.append)

    def become(self, **changes: Any) -> None:
        self.call.become(replace(self.call.state, **changes))
        self.application.processEvents()


@pytest.fixture
def stage(application: Any) -> Any:
    made = Stage(application)
    yield made
    made.meeting.stop()


def test_state_from_another_thread_arrives_on_this_one(stage: Stage) -> None:
    where: list[int] = []
    stage.meeting.stateChanged.connect(lambda: where.append(threading.get_ident()))
    thread = threading.Thread(target=lambda: stage.call.join("link", "Mei"))
    thread.start()
    thread.join()
    assert stage.meeting._phase() == "idle"
    stage.application.processEvents()
    assert where == [threading.get_ident()]
    assert stage.phases == ["in-call"]
    assert stage.meeting._get_members().rowCount() == 3


def test_only_the_newest_of_many_snapshots_is_shown(stage: Stage) -> None:
    for title in ("one", "two", "three"):
        stage.call.become(SessionState(phase=Phase.JOINING, title=title))
    stage.application.processEvents()
    assert (stage.meeting._title(), stage.phases) == ("three", ["joining"])


def test_time_in_the_meeting_is_counted_from_joining(stage: Stage) -> None:
    stage.become(phase=Phase.IN_CALL, joined_at=stage.now)
    assert stage.meeting._get_elapsed() == "00:00"
    stage.now += 3725
    stage.meeting._count_time()
    assert stage.meeting._get_elapsed() == "1:02:05"
    stage.become(phase=Phase.LEFT, joined_at=None)
    assert stage.meeting._get_elapsed() == ""
    assert not stage.meeting._second.isActive()


def test_a_note_is_told_once(stage: Stage) -> None:
    stage.become(note="The camera is gone.")
    stage.become(note="The camera is gone.", title="x")
    stage.become(note="")
    stage.become(note="The camera is gone.")
    assert stage.notes == ["The camera is gone.", "The camera is gone."]


def test_verbs_ask_for_the_opposite_of_what_is(stage: Stage) -> None:
    stage.meeting.toggleMicrophone()
    stage.application.processEvents()
    stage.meeting.toggleMicrophone()
    stage.meeting.toggleCamera()
    stage.meeting.leave()
    stage.meeting.watch(False)
    stage.meeting.watch(True)
    assert stage.call.asked == [
        ("set_microphone", False), ("set_microphone", True), ("set_camera", False), ("leave", None),
        ("show", ()), ("show", None),
    ]  # fmt: skip


def test_the_invitation_goes_to_the_clipboard(stage: Stage) -> None:
    stage.meeting.copyInvitation()
    assert stage.notes == ["There is no invitation to copy yet."]
    stage.become(invitation_link="http://h/join/r#t", invitation_code="ABCD-EFGH")
    stage.meeting.copyInvitation()
    assert QGuiApplication.clipboard().text() == "http://h/join/r#t\nCode: ABCD-EFGH"
    assert stage.notes[-1].startswith("Invitation copied")


def test_levels_are_held_to_their_range(stage: Stage) -> None:
    stage.call.report_levels({"me": 7.0})
    stage.application.processEvents()
    assert stage.meeting._get_level() == 1.0


@pytest.mark.parametrize(
    ("seconds", "words"), [(-3, "00:00"), (59.9, "00:59"), (3599, "59:59"), (36000, "10:00:00")]
)
def test_time_in_words(seconds: float, words: str) -> None:
    assert spell_time(seconds) == words
