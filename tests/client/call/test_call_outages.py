"""Servers that die, networks that are cut, and offers that are refused: the call stays up and comes back."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import Server, ServerConnection, serve

from client.session.machine import MEDIA_TRIES
from client.session.state import Phase
from tests.client.call.people import Doorway, Person
from tests.support.server_process import ServerProcess

ANN, BEN = 101, 202
LOW = 440.0
LINK = "http://127.0.0.1:{port}/join/abcdef#0123456789ABCDEF"


def test_a_server_that_is_killed_and_started_again(tmp_path: Path) -> None:
    with ServerProcess("--host", "127.0.0.1", "--state", str(tmp_path / "state.json")) as server:
        link = server.open_meeting().link
        with Person("Ann", ANN, LOW) as ann, Person("Ben", BEN) as ben:
            people = ((ann, "Ben", BEN), (ben, "Ann", ANN))
            for person, _, _ in people:
                person.call.join(link, person.name)
            for person, other, number in people:
                person.until_among(other)
                person.until_sees(other, number)
            before = {person.me.id for person, _, _ in people}
            server.kill()
            for person, _, _ in people:
                assert len(person.until_phase(Phase.RECONNECTING).members) == 2, "they stay on the screen"
            server.start()
            for person, other, number in people:
                person.until_among(other)
                person.until_sees(other, number)
            ben.until_hears(LOW)
            assert before.isdisjoint({ann.me.id, ben.me.id})
            assert ann.phases[-3:] == [Phase.RECONNECTING, Phase.SECURING, Phase.IN_CALL]
            server.stop()  # for good
            for person, _, _ in people:
                person.until_phase(Phase.RECONNECTING)
                person.call.leave()
                assert person.until_phase(Phase.LEFT).problem is None


@contextmanager
def couple_behind_a_door(server: ServerProcess) -> Iterator[tuple[Person, Person, Doorway]]:
    """Ann's signalling passes a door, her media does not; Ben is there directly."""
    link = server.open_meeting().link
    with Doorway(server.port) as door, Person("Ann", ANN, LOW) as ann, Person("Ben", BEN) as ben:
        ann.call.join(link.replace(f":{server.port}/", f":{door.port}/"), "Ann")
        ben.call.join(link, "Ben")
        ann.until_among("Ben")
        ben.until_among("Ann")
        ben.until_hears(LOW)
        yield ann, ben, door


def path_of(person: Person) -> object:
    assert person.call._runner is not None
    return person.call._runner._path


def offering(person: Person) -> bool:
    assert person.call._runner is not None
    return person.call._runner._offering is not None


def test_a_cut_resumes_the_same_member_over_the_same_path(server: ServerProcess) -> None:
    with couple_behind_a_door(server) as (ann, ben, door):
        me, path = ann.me.id, path_of(ann)
        door.cut()
        ann.until_phase(Phase.RECONNECTING)
        ben.until("sees that Ann is away", lambda: not ben.other("Ann").connected)
        ann.until_sees("Ben", BEN)  # media goes another way and does not stop
        ben.until_hears(LOW)
        ben.call.set_camera(False)
        door.restore()
        ann.until_among("Ben")
        ben.until("sees that Ann is back", lambda: ben.other("Ann").connected)
        assert (ann.me.id, path_of(ann)) == (me, path)
        assert Phase.SECURING not in ann.phases[-2:]
        ann.until("what changed meanwhile", lambda: not ann.other("Ben").camera)
        ben.until_hears(LOW)


@pytest.mark.parametrize("muted_before", [False, True])
def test_a_switch_turned_while_away_is_obeyed(server: ServerProcess, muted_before: bool) -> None:
    with couple_behind_a_door(server) as (ann, ben, door):
        if muted_before:
            ann.call.set_microphone(False)
            ben.until("sees that Ann is muted", lambda: not ben.other("Ann").microphone)
        door.cut()
        ann.until_phase(Phase.RECONNECTING)
        ann.call.set_microphone(muted_before)
        door.restore()
        ann.until_among("Ben")
        ben.until("sees the switch", lambda: ben.other("Ann").microphone is muted_before)
        if muted_before:
            ben.until_hears(LOW)
        else:
            ben.until_silent()


def test_what_changed_on_the_screen_while_away_is_told(server: ServerProcess) -> None:
    with couple_behind_a_door(server) as (ann, ben, door):
        ann.until_sees("Ben", BEN)
        ann.call.show([])
        door.cut()
        ann.until_phase(Phase.RECONNECTING)
        ann.call.show(None)
        door.restore()
        ann.until_among("Ben")
        ann.until_sees("Ben", BEN)
        assert ben.state.phase is Phase.IN_CALL


def test_somebody_who_came_while_away_is_seen(server: ServerProcess) -> None:
    with couple_behind_a_door(server) as (ann, ben, door):
        door.cut()
        ann.until_phase(Phase.RECONNECTING)
        with Person("Carl", 303) as carl:
            carl.call.join(ben.state.invitation_link, "Carl")
            carl.until_phase(Phase.IN_CALL)
            door.restore()
            ann.until_among("Ben", "Carl")
            ann.until_sees("Carl", 303)
            carl.until_sees("Ann", ANN)


def test_an_offer_that_was_lost_in_the_cut_is_made_again(server: ServerProcess) -> None:
    with couple_behind_a_door(server) as (ann, ben, door):
        path = path_of(ann)
        door.swallow()
        with Person("Carl", 303) as carl:
            carl.call.join(ben.state.invitation_link, "Carl")
            ann.until("an offer for Carl that nobody hears", lambda: offering(ann))
            door.cut()
            ann.until_phase(Phase.RECONNECTING)
            door.restore()
            ann.until_among("Ben", "Carl")
            ann.until_sees("Carl", 303)
        assert path_of(ann) is path


Answer = Callable[[dict[str, Any]], dict[str, Any] | None]


class Script:
    """A server in a thread that lets everybody in and answers offers as the test says."""

    def __init__(self, answer: Answer) -> None:
        self.offers: list[dict[str, Any]] = []
        self._answer = answer
        self._server: Server | None = None

    def __enter__(self) -> str:
        self._server = serve(self._talk, "127.0.0.1", 0)
        self._thread = threading.Thread(target=self._server.serve_forever, name="script")
        self._thread.start()
        return LINK.format(port=self._server.socket.getsockname()[1])

    def __exit__(self, *error: object) -> None:
        assert self._server is not None
        self._server.shutdown()
        self._thread.join()

    def _talk(self, socket: ServerConnection) -> None:
        me = {"id": "m1", "name": "Ann", "microphone": True, "camera": True, "connected": True}
        try:
            for text in socket:
                message = json.loads(text)
                if message["type"] == "session.hello":
                    welcome = {
                        "type": "session.welcome",
                        "re": message["id"],
                        "protocol": 1,
                        "room": "abcdef",
                        "title": "Script",
                        "member": "m1",
                        "resume": "key",
                        "invitation": {"link": "", "code": ""},
                        "members": [{**me, "producers": []}],
                    }
                    socket.send(json.dumps(welcome))
                elif message["type"] == "media.offer":
                    self.offers.append(message)
                    answer = self._answer(message)
                    if answer is not None:
                        socket.send(json.dumps(answer))
        except ConnectionClosed:
            pass


def test_offers_that_are_refused_end_with_the_servers_sentence() -> None:
    sentence = "This program and the meeting have no common video or sound format. Update it."
    script = Script(
        lambda offer: {
            "type": "session.refused",
            "re": offer["id"],
            "code": "codec-unknown",
            "sentence": sentence,
        }
    )
    with script as link, Person("Ann", ANN) as ann:
        ann.call.join(link, "Ann")
        problem = ann.until_phase(Phase.FAILED).problem
        assert problem is not None
        assert (problem.code, problem.sentence) == ("media-refused", sentence)
        assert len(script.offers) == MEDIA_TRIES + 1, "not asked without end"


@pytest.mark.parametrize("sdp", ["", "v=0\r\n", "v=0\r\nm=audio 9 x 0\r\na=mid:mic\r\n"])
def test_answers_that_cannot_be_used(sdp: str) -> None:
    script = Script(lambda offer: {"type": "media.answer", "re": offer["id"], "sdp": sdp, "producers": {}})
    with script as link, Person("Ann", ANN) as ann:
        ann.call.join(link, "Ann")
        problem = ann.until_phase(Phase.FAILED).problem
        assert problem is not None
        assert problem.code == "media-blocked"
        assert len(script.offers) == MEDIA_TRIES + 1


def test_answers_to_nothing_are_ignored_and_closing_does_not_wait_for_one() -> None:
    script = Script(
        lambda offer: {"type": "media.answer", "re": offer["id"] + 1000, "sdp": "nonsense", "producers": {}}
    )
    with script as link, Person("Ann", ANN) as ann:
        ann.call.join(link, "Ann")
        ann.until_phase(Phase.SECURING)
        ann.until("an offer", lambda: script.offers)
        ann.call.leave()
        ann.until_phase(Phase.LEFT)
        assert len(script.offers) == 1
