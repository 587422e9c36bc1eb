"""The way in: what is asked of the server, and every sentence for a way that is closed."""

from __future__ import annotations

import pytest

from client.session import inputs as i
from client.session.machine import JOIN_TIMEOUT_S, MEDIA_TRIES
from client.session.state import PHASE_WORDS, Phase
from rtc.signalling import session
from tests.client.session.meetings import (
    INVITATION,
    LINK,
    Person,
    kinds,
    member,
    refused,
    welcome,
)


def test_the_way_into_a_call() -> None:
    ann = Person()
    assert ann.does(i.Join(f"  {LINK}\n", "  Ann  ")) == [i.Connect(INVITATION)]
    assert (ann.state.phase, ann.state.words) == (Phase.FINDING, PHASE_WORDS[Phase.FINDING])
    assert ann.does(i.Opened()) == [i.SendHello(INVITATION, "Ann", False, True, True)]
    assert ann.state.phase is Phase.JOINING
    ben = member("Ben", "microphone", "camera")
    assert ann.hears(welcome(ben, member("Ann"))) == [i.Receive(tuple(ben.producers), fresh=True)]
    assert (ann.state.phase, ann.state.title, ann.state.invitation_link) == (Phase.SECURING, "Monday", LINK)
    ann.now += 1.5
    assert ann.does(i.MediaUp()) == []
    assert (ann.state.phase, ann.state.joined_at) == (Phase.IN_CALL, 1001.5)
    assert [(m.name, m.is_me) for m in ann.state.members] == [("Ann", True), ("Ben", False)]


@pytest.mark.parametrize("text", ["", "hello", "http://192.0.2.7:8443/join/abcdef", "ABCD-EFGH", "x" * 1000])
def test_a_wrong_invitation_is_found_before_anything_is_sent(text: str) -> None:
    ann = Person()
    assert i.Connect not in kinds(ann.does(i.Join(text, "Ann")))
    assert ann.state.phase is Phase.FAILED
    assert ann.state.problem is not None
    assert ann.state.problem.code == "invitation-invalid"
    assert ann.state.words == ann.state.problem.sentence


def test_a_mistyped_code_is_told_apart() -> None:
    code = INVITATION.code
    ann = Person()
    ann.does(i.Join(code[:-1] + ("0" if code[-1] != "0" else "1"), "Ann"))
    assert "letter of the code is wrong" in ann.state.words


@pytest.mark.parametrize(("name", "code"), [("  ", "name-empty"), ("x" * 65, "name-too-long")])
def test_a_name_that_cannot_be(name: str, code: str) -> None:
    ann = Person()
    assert i.Connect not in kinds(ann.does(i.Join(LINK, name)))
    assert ann.state.problem is not None
    assert ann.state.problem.code == code
    assert ann.does(i.Join(LINK, "Ann")) == [i.Connect(INVITATION)]
    assert ann.state.problem is None


@pytest.mark.parametrize(
    ("stranger", "code", "words"),
    [(False, "server-unreachable", "Nobody answers at"), (True, "not-hearth", "is not a Hearth meeting")],
)
def test_nobody_or_somebody_else_answers(stranger: bool, code: str, words: str) -> None:
    ann = Person()
    ann.does(i.Join(LINK, "Ann"))
    assert kinds(ann.does(i.Closed(stranger))) == [i.StopMedia, i.Disconnect]
    assert ann.state.problem is not None
    assert ann.state.problem.code == code
    assert words in ann.state.words
    assert "192.0.2.7, port 8443" in ann.state.words


def test_a_server_that_hangs_up_on_hello() -> None:
    ann = Person()
    ann.does(i.Join(LINK, "Ann"))
    ann.does(i.Opened())
    ann.does(i.Closed())
    assert ann.state.problem is not None
    assert ann.state.problem.code == "server-closed"


@pytest.mark.parametrize("opened", [False, True])
def test_a_server_that_says_nothing(opened: bool) -> None:
    ann = Person()
    ann.does(i.Join(LINK, "Ann"))
    if opened:
        ann.does(i.Opened())
    assert ann.waits(JOIN_TIMEOUT_S - 0.5) == []
    assert [effect for _, effect in ann.waits(1.0)] == [i.StopMedia(), i.Disconnect()]
    assert ann.state.problem is not None
    assert ann.state.problem.code == "join-timeout"


@pytest.mark.parametrize("code", ["protocol-mismatch", "room-full", "token-wrong", "resume-expired"])
def test_a_refused_hello_ends_with_the_servers_sentence(code: str) -> None:
    ann = Person()
    ann.does(i.Join(LINK, "Ann"))
    ann.does(i.Opened())
    assert kinds(ann.hears(refused(code, "The meeting is full."))) == [i.StopMedia, i.Disconnect]
    assert ann.state.problem is not None
    assert (ann.state.problem.code, ann.state.words) == (code, "The meeting is full.")


def test_what_comes_before_the_welcome_is_no_ones() -> None:
    ann = Person()
    ann.does(i.Join(LINK, "Ann"))
    assert ann.hears(welcome(member("Ann"))) == []  # nobody said hello
    ann.does(i.Opened())
    assert ann.hears(session.Joined(member=member("Ben", "camera"))) == []
    assert ann.state.members == ()


def test_a_switch_turned_while_the_hello_is_under_way() -> None:
    ann = Person()
    ann.does(i.SetCamera(False))
    ann.does(i.Join(LINK, "Ann"))
    assert ann.does(i.Opened()) == [i.SendHello(INVITATION, "Ann", False, True, False)]
    ann.does(i.SetMicrophone(False))
    effects = ann.hears(welcome(member("Ann", camera=False)))
    assert effects == [i.SendMute("microphone", True), i.Receive((), fresh=True)]
    assert not ann.state.members[0].microphone


def test_a_media_path_that_never_comes_up() -> None:
    ann = Person()
    ann.does(i.Join(LINK, "Ann"))
    ann.does(i.Opened())
    ann.hears(welcome(member("Ann")))
    for _ in range(MEDIA_TRIES):
        ann.now += 15.0
        assert ann.does(i.MediaDown()) == [i.Receive((), fresh=True)]
        assert ann.state.phase is Phase.SECURING
    assert kinds(ann.does(i.MediaDown())) == [i.SendLeave, i.StopMedia, i.Disconnect]
    assert ann.state.problem is not None
    assert ann.state.problem.code == "media-blocked"
    assert "UDP" in ann.state.words


def test_a_path_that_comes_and_goes_at_once_is_not_asked_for_without_end() -> None:
    ann = Person()
    ann.enters()
    for _ in range(MEDIA_TRIES):
        ann.now += 0.5
        assert ann.does(i.MediaDown()) == [i.Receive((), fresh=True)]
        ann.does(i.MediaUp())
    ann.now += 0.5
    ann.does(i.MediaDown())
    assert ann.state.phase is Phase.FAILED


def test_a_path_that_breaks_now_and_then_is_made_anew_each_time() -> None:
    ann = Person()
    ann.enters()
    for _ in range(5 * MEDIA_TRIES):
        ann.now += 60.0
        assert ann.does(i.MediaDown()) == [i.Receive((), fresh=True)]
        ann.does(i.MediaUp())
        assert (ann.state.phase, ann.state.joined_at) == (Phase.IN_CALL, 1000.0)


def test_a_path_that_the_server_refuses_ends_with_its_sentence() -> None:
    ann = Person()
    ann.does(i.Join(LINK, "Ann"))
    ann.does(i.Opened())
    ann.hears(welcome(member("Ann")))
    for _ in range(MEDIA_TRIES + 1):
        ann.does(i.MediaDown("Update this program."))
    assert ann.state.problem is not None
    assert (ann.state.problem.code, ann.state.words) == ("media-refused", "Update this program.")


def test_joining_again_from_inside_leaves_first() -> None:
    ann = Person()
    ann.enters(member("Ben", "camera"))
    effects = ann.does(i.Join(LINK, "Anna"))
    assert kinds(effects) == [i.SendLeave, i.StopMedia, i.Disconnect, i.Connect]
    assert (ann.state.phase, ann.state.members, ann.state.joined_at) == (Phase.FINDING, (), None)
