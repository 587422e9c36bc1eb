"""Cuts, restarts and giving up, in virtual time."""

from __future__ import annotations

import pytest

from client.session import inputs as i
from client.session.machine import GIVE_UP_S, RETRY_S
from client.session.state import Phase
from rtc.signalling import session
from tests.client.session.meetings import INVITATION, Person, kinds, member, refused, welcome


def test_a_cut_of_five_seconds_resumes_over_the_same_path() -> None:
    ann = Person()
    ann.enters(member("Ben", "camera"))
    ann.waits(30.0, step=0.5)
    ann.does(i.Closed())
    assert (ann.state.phase, len(ann.state.members)) == (Phase.RECONNECTING, 2)
    cut_until = ann.now + 5.0
    while ann.now < cut_until:
        if any(isinstance(effect, i.Connect) for _, effect in ann.waits(0.05)):
            ann.does(i.Closed())  # the network is still away
    while not (effects := ann.waits(0.05)):
        pass
    assert [effect for _, effect in effects] == [i.Connect(INVITATION)]
    assert ann.does(i.Opened()) == [i.SendHello(INVITATION, "Ann", True, True, True)]
    ben = member("Ben", "camera")
    assert ann.hears(welcome(member("Ann"), ben)) == [i.Receive(tuple(ben.producers), fresh=False)]
    assert (ann.state.phase, ann.state.joined_at, ann.state.members[0].id) == (Phase.IN_CALL, 1000.0, "m-Ann")
    assert ann.waits(GIVE_UP_S + 10.0, step=0.5) == []  # the deadline of coming back is gone


def test_a_path_that_died_in_the_cut_is_made_anew() -> None:
    ann = Person()
    ann.enters(member("Ben", "camera"))
    ann.does(i.Closed())
    assert ann.does(i.MediaDown()) == []  # not now: nobody could answer an offer
    assert ann.state.phase is Phase.RECONNECTING
    ann.waits(0.1)
    ann.does(i.Opened())
    (receive,) = ann.hears(welcome(member("Ann"), member("Ben", "camera")))
    assert isinstance(receive, i.Receive)
    assert receive.fresh
    ann.does(i.MediaUp())
    assert ann.state.phase is Phase.IN_CALL


def test_a_path_that_comes_up_while_away_counts() -> None:
    ann = Person()
    ann.enters()
    ann.does(i.MediaDown())
    ann.does(i.Closed())
    ann.does(i.MediaUp())
    assert ann.state.phase is Phase.RECONNECTING
    ann.waits(0.1)
    ann.does(i.Opened())
    assert ann.hears(welcome(member("Ann"))) == [i.Receive((), fresh=False)]
    assert ann.state.phase is Phase.IN_CALL


def test_a_first_path_that_comes_up_while_away_counts() -> None:
    ann = Person()
    ann.does(i.Join(INVITATION.link, "Ann"))
    ann.does(i.Opened())
    ann.hears(welcome(member("Ann")))
    ann.does(i.Closed())
    ann.does(i.MediaUp())
    ann.now += 1.0
    ann.does(i.Tick())
    ann.does(i.Opened())
    ann.hears(welcome(member("Ann")))
    assert (ann.state.phase, ann.state.joined_at) == (Phase.IN_CALL, 1001.0)


def test_a_restarted_server_gets_a_new_member() -> None:
    ann = Person()
    ann.enters(member("Ben", "camera"))
    ann.does(i.Closed())
    ann.waits(0.1)
    assert ann.does(i.Opened()) == [i.SendHello(INVITATION, "Ann", True, True, True)]
    effects = ann.hears(refused("resume-expired"))
    assert effects == [i.StopMedia(), i.SendHello(INVITATION, "Ann", False, True, True)]
    assert ann.state.phase is Phase.RECONNECTING
    assert ann.state.problem is None
    again = member("Ann").model_copy(update={"id": "m-Ann2"})
    ben = member("Ben", "camera")
    assert ann.hears(welcome(ben, again, me="m-Ann2")) == [i.Receive(tuple(ben.producers), fresh=True)]
    assert [(m.id, m.is_me) for m in ann.state.members] == [("m-Ann2", True), ("m-Ben", False)]
    ann.does(i.MediaUp())
    assert (ann.state.phase, ann.state.joined_at) == (Phase.IN_CALL, 1000.0)


def test_a_cut_between_expired_and_welcome_does_not_resume_again() -> None:
    ann = Person()
    ann.enters()
    ann.does(i.Closed())
    ann.waits(0.1)
    ann.does(i.Opened())
    ann.hears(refused("resume-expired"))
    ann.does(i.Closed())
    ann.waits(1.0)
    assert ann.does(i.Opened()) == [i.SendHello(INVITATION, "Ann", False, True, True)]


def test_a_stopping_server_is_waited_for() -> None:
    ann = Person()
    ann.enters()
    assert ann.hears(session.Closing(code="server-stopping", sentence="Stopping.")) == []
    ann.does(i.Closed())
    assert ann.state.phase is Phase.RECONNECTING


@pytest.mark.parametrize("stranger", [False, True])
def test_tries_follow_the_plan_and_end(stranger: bool) -> None:
    ann = Person()
    ann.enters(member("Ben", "camera"))
    ann.waits(30.0, step=0.5)
    ann.does(i.Closed())
    begin, pauses, last = ann.now, [], ann.now
    while ann.state.phase is Phase.RECONNECTING:
        for _, effect in ann.waits(0.05):
            if isinstance(effect, i.Connect):
                pauses.append(ann.now - last)
                ann.does(i.Closed(stranger))  # whoever answers while it starts: nobody we know
                last = ann.now
    plan = [*RETRY_S, *[RETRY_S[-1]] * len(pauses)][: len(pauses)]
    assert pauses == pytest.approx(plan, abs=0.11)
    assert GIVE_UP_S <= ann.now - begin <= GIVE_UP_S + 0.1
    assert ann.state.phase is Phase.LEFT
    assert ann.state.problem is not None
    assert ann.state.problem.code == "server-gone"
    assert ann.waits(30.0, step=0.5) == []
    assert ann.does(i.Join(INVITATION.link, "Ann")) == [i.Connect(INVITATION)]


def test_one_try_at_a_time_however_long_it_takes() -> None:
    ann = Person()
    ann.enters()
    ann.does(i.Closed())
    assert [type(e) for _, e in ann.waits(20.0)] == [i.Connect]


def test_a_server_that_throws_everybody_out_is_not_hammered() -> None:
    ann = Person()
    ann.enters()
    connects = 0
    end = ann.now + 10.0
    ann.does(i.Closed())
    while ann.now < end:
        for _, effect in ann.waits(0.05):
            if isinstance(effect, i.Connect):
                connects += 1
                ann.does(i.Opened())
                ann.hears(welcome(member("Ann")))
                ann.does(i.Closed())
    assert connects <= 10


def test_a_switch_turned_while_away_goes_with_the_hello() -> None:
    ann = Person()
    ann.enters(member("Ben"))
    ann.does(i.Closed())
    assert ann.does(i.SetMicrophone(False)) == []
    assert not ann.state.members[0].microphone
    ann.waits(0.1)
    assert ann.does(i.Opened()) == [i.SendHello(INVITATION, "Ann", True, False, True)]
    assert ann.hears(welcome(member("Ann", microphone=False))) == [i.Receive((), fresh=False)]


def test_refused_on_the_way_back() -> None:
    ann = Person()
    ann.enters()
    ann.does(i.Closed())
    ann.waits(0.1)
    ann.does(i.Opened())
    assert kinds(ann.hears(refused("token-wrong", "The meeting is over."))) == [i.StopMedia, i.Disconnect]
    assert (ann.state.phase, ann.state.words) == (Phase.FAILED, "The meeting is over.")


def test_leaving_while_away() -> None:
    ann = Person()
    ann.enters()
    ann.does(i.Closed())
    ann.waits(0.1)  # a try is under way
    assert ann.does(i.Leave()) == [i.StopMedia(), i.Disconnect()]
    assert ann.does(i.Opened()) == []
    assert ann.waits(GIVE_UP_S + 10.0, step=0.5) == []
    assert ann.state.phase is Phase.LEFT
    assert ann.state.problem is None
