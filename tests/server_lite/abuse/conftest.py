"""One real server for all abuse tests, with a meeting on it that must not notice anything."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.support.bystanders import Bystanders
from tests.support.server_process import Meeting, ServerProcess

#: The longest silence that the bystanders may suffer, in seconds. A server that is stuck fails this; the
#: slack is for a machine with other work.
LONGEST_GAP = 2.0
#: Bytes by which the server's memory may have grown after a test. A leak of what strangers sent shows at
#: once: the tests send tens of megabytes.
GROWTH = 24 << 20


@pytest.fixture(scope="package")
def server() -> Iterator[ServerProcess]:
    with ServerProcess() as process:
        yield process


@pytest.fixture(scope="package")
def bystanders(server: ServerProcess) -> Iterator[Bystanders]:
    with Bystanders(server.open_meeting("Undisturbed").link) as meeting:
        yield meeting


@pytest.fixture(scope="package")
def meeting(server: ServerProcess) -> Meeting:
    """The room that strangers knock at."""
    return server.open_meeting("Abused")


@pytest.fixture(autouse=True)
def undisturbed(server: ServerProcess, bystanders: Bystanders) -> Iterator[None]:
    """After each test: the server lives, its memory is as before, and the meeting went on."""
    memory = server.rss()
    before = bystanders.ask()
    yield
    time.sleep(0.03)  # a real process in real time: it may still be busy with what was sent
    after = bystanders.ask()
    assert server.alive, server.log()
    assert "Traceback" not in server.log(), server.log()[-3000:]
    assert after.members == before.members == 2
    assert after.longest_gap < LONGEST_GAP
    assert (after.lost, after.disordered, after.foreign) == (0, 0, 0)
    sent, received = after.sent - before.sent, after.received - before.received
    assert received >= 0.9 * sent - 50, f"{received} of {sent} packets came through"
    assert server.rss() - memory < GROWTH


class Stranger:
    """A WebSocket that says what it is told to."""

    def __init__(self, server: ServerProcess, meeting: Meeting) -> None:
        self.meeting = meeting
        self._stack = ExitStack()
        address = f"ws://127.0.0.1:{server.port}/ws"
        self.socket: ClientConnection = self._stack.enter_context(
            connect(
                address,
                max_size=1 << 20,
                max_queue=None,
                open_timeout=20,
                close_timeout=3,
                compression=None,
            )
        )

    def hello(self, **changes: Any) -> dict[str, Any]:
        return {
            "type": "session.hello",
            "id": 1,
            "protocol": [1],
            "client": "stranger/0",
            "room": self.meeting.room,
            "token": self.meeting.token,
            "name": "Stranger",
        } | changes

    def join(self, **changes: Any) -> dict[str, Any]:
        return self.ask(self.hello(**changes), "session.welcome")

    def say(self, message: object) -> None:
        text = message if isinstance(message, str | bytes) else json.dumps(message)
        self.socket.send(text)

    def ask(self, message: object, kind: str = "session.refused", within: float = 10.0) -> dict[str, Any]:
        """Sends and returns the next message of `kind`; what else comes is passed over."""
        self.say(message)
        return self.next(kind, within)

    def next(self, kind: str, within: float = 10.0) -> dict[str, Any]:
        deadline = time.monotonic() + within
        while True:
            answer: dict[str, Any] = json.loads(self.socket.recv(max(0.01, deadline - time.monotonic())))
            if answer["type"] == kind:
                return answer

    def refusal(self, message: object) -> tuple[str, Any]:
        """Code and number of the refusal of `message`; its sentence must be one."""
        answer = self.ask(message)
        sentence = answer["sentence"]
        assert len(sentence) > 10, answer
        assert sentence[0].isupper() or sentence.startswith(("session.", "media.")), answer
        assert sentence.endswith("."), answer
        return answer["code"], answer.get("re")

    def repeat_until_cut_off(self, message: object, most: int) -> None:
        """Says the same until the server closes the connection; fails if it does not after `most` times."""
        try:
            for _ in range(most):
                self.say(message)
                self.socket.recv(20)
        except ConnectionClosed:
            return
        raise AssertionError(f"still connected after {most} messages")

    def close(self) -> None:
        self._stack.close()


@pytest.fixture
def stranger(server: ServerProcess, meeting: Meeting) -> Iterator[Stranger]:
    """Connected, but has said nothing yet."""
    someone = Stranger(server, meeting)
    yield someone
    someone.close()


@pytest.fixture
def member(stranger: Stranger) -> Stranger:
    """Joined the room."""
    stranger.join()
    return stranger
