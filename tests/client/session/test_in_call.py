"""Inside a meeting: who is here, what is received, the switches, notes, and every way out."""

from __future__ import annotations

import pytest

from client.session import inputs as i
from client.session.notes import PASSING_S
from client.session.state import PHASE_WORDS, Phase
from rtc.signalling import media, session
from tests.client.session.meetings import INVITATION, LINK, Person, kinds, member, producer, refused


def test_people_come_change_and_go() -> None:
    ann = Person()
    ann.enters(member("Ben", "microphone"))
    carl = member("Carl")
    assert ann.hears(session.Joined(member=carl)) == []  # sends nothing yet
    camera = producer("m-Carl", "camera")
    assert ann.hears(media.Produced(producer=camera)) == [
        i.Receive((producer("m-Ben", "microphone"), camera))
    ]
    assert ann.hears(media.Produced(producer=camera)) == []  # known already
    ann.hears(session.Changed(member=member("Carl", "camera", camera=False, connected=False)))
    assert [(m.name, m.camera, m.connected) for m in ann.state.members] == [
        ("Ann", True, True),
        ("Ben", True, True),
        ("Carl", False, False),
    ]
    assert ann.hears(media.Unproduced(producer=camera.id)) == [i.Receive((producer("m-Ben", "microphone"),))]
    assert ann.hears(session.Left(member="m-Ben", reason="lost")) == [i.Receive(())]
    assert ann.hears(session.Left(member="m-Nobody", reason="left")) == []
    assert [m.name for m in ann.state.members] == ["Ann", "Carl"]


def test_a_change_that_takes_all_producers_away_is_agreed_too() -> None:
    ann = Person()
    ann.enters(member("Ben", "microphone", "camera"))
    assert ann.hears(session.Changed(member=member("Ben"))) == [i.Receive(())]


def test_who_speaks() -> None:
    ann = Person()
    ann.enters(member("Ben"))
    ann.hears(media.Speaker(member="m-Ben"))
    assert [m.name for m in ann.state.members if m.speaking] == ["Ben"]
    ann.hears(media.Speaker(member=None))
    assert not any(m.speaking for m in ann.state.members)


def test_my_switches_are_mine() -> None:
    ann = Person()
    ann.enters(member("Ben"))
    assert ann.does(i.SetMicrophone(False)) == [i.SendMute("microphone", True)]
    assert ann.does(i.SetMicrophone(False)) == []
    assert not ann.state.members[0].microphone
    ann.does(i.SetMicrophone(True))
    # The echo of the first turn comes late; the switch does not jump back under the finger.
    ann.hears(session.Changed(member=member("Ann", microphone=False)))
    assert ann.state.microphone_on
    assert ann.state.members[0].microphone


def test_leaving() -> None:
    ann = Person()
    ann.enters(member("Ben"))
    assert ann.does(i.Leave()) == [i.SendLeave(), i.StopMedia(), i.Disconnect()]
    assert (ann.state.phase, ann.state.members, ann.state.words) == (
        Phase.LEFT,
        (),
        PHASE_WORDS[Phase.LEFT],
    )
    for late in (i.Closed(), i.Opened(), i.MediaUp(), i.MediaDown(), i.Received(refused("x")), i.Leave()):
        assert ann.does(late) == []
    assert ann.waits(200.0, step=1.0) == []


@pytest.mark.parametrize("phase", [Phase.FINDING, Phase.JOINING])
def test_leaving_on_the_way_in(phase: Phase) -> None:
    ann = Person()
    ann.does(i.Join(LINK, "Ann"))
    if phase is Phase.JOINING:
        ann.does(i.Opened())
    assert ann.state.phase is phase
    assert ann.does(i.Leave()) == [i.StopMedia(), i.Disconnect()]
    assert ann.does(i.Join(LINK, "Ann")) == [i.Connect(INVITATION)]


def test_replaced_by_oneself() -> None:
    ann = Person()
    ann.enters(member("Ben"))
    effects = ann.hears(session.Closing(code="replaced", sentence="You joined again from elsewhere."))
    assert effects == [i.StopMedia(), i.Disconnect()]
    assert (ann.state.phase, ann.state.words) == (Phase.LEFT, "You joined again from elsewhere.")
    assert ann.waits(10.0) == []


def test_a_refusal_inside_is_a_note_that_passes() -> None:
    ann = Person()
    ann.enters()
    assert ann.hears(refused("rate", "Slower, please.")) == []
    assert (ann.state.phase, ann.state.note) == (Phase.IN_CALL, "Slower, please.")
    ann.waits(PASSING_S - 1.0, step=0.5)
    assert ann.state.note
    ann.waits(2.0, step=0.5)
    assert ann.state.note == ""


def test_a_note_is_taken_away_only_by_its_own_topic() -> None:
    ann = Person()
    ann.does(i.Noted("There is no camera.", "video"))
    ann.does(i.Noted("There is no speaker.", "speaker"))
    assert ann.state.note == "There is no speaker."
    ann.does(i.Noted("", "sound"))
    ann.does(i.Noted("", "speaker"))
    assert ann.state.note == "There is no camera."
    ann.enters()
    assert ann.state.note == "There is no camera."  # still true
    ann.does(i.Noted("Started again.", "studio", passing=True))
    assert ann.state.note == "Started again."
    ann.waits(PASSING_S + 1.0, step=0.5)
    assert ann.state.note == "There is no camera."
    ann.does(i.Noted("", "video"))
    assert ann.state.note == ""


def test_nothing_new_is_the_same_snapshot() -> None:
    ann = Person()
    ann.enters(member("Ben"))
    before = ann.state
    ann.waits(1.0)
    ann.hears(session.Changed(member=member("Ben")))
    ann.does(i.SetCamera(True))
    assert ann.state is before
    assert kinds(ann.does(i.SetCamera(False))) == [i.SendMute]
    assert ann.state is not before
