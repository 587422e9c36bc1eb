"""`python -m server_lite` as people and the desktop program start it: real processes."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from websockets.sync.client import ClientConnection, connect

from rtc.invitation import Invitation
from server_lite.__main__ import main
from tests.support.server_process import READY_WITHIN, ROOT, STOP_WITHIN, ServerProcess, wait_for

COMMAND = [sys.executable, "-m", "server_lite"]


@contextmanager
def alone(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """The server without a parent that talks to it; ended at the end."""
    process = subprocess.Popen(
        [*COMMAND, "--host", "127.0.0.1", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        cwd=ROOT,
        env=os.environ | {"PYTHONIOENCODING": "utf-8"},
    )
    try:
        yield process
    finally:
        process.terminate()
        process.communicate(timeout=STOP_WITHIN)


def told(process: subprocess.Popen[str]) -> str:
    """What it prints until it says how to stop it."""
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        said += line
        if "Ctrl+C" in line:
            return said
    raise AssertionError(f"ended with {said!r} and {process.stderr and process.stderr.read()!r}")


def test_link_code_and_a_picture_of_the_link_are_printed() -> None:
    with alone("--port", "0", "--title", "Monday") as process:
        said = told(process)
        link, code = (re.search(rf"^{word}: (\S+)$", said, re.M) for word in ("Link", "Code"))
        assert link is not None
        assert code is not None
        invitation = Invitation.parse(link[1])
        assert Invitation.parse(code[1]).token == invitation.token
        assert sum(line.count("█") + line.count("▀") + line.count("▄") for line in said.splitlines()) > 100
        key = {"Authorization": f"Bearer {invitation.token.reveal()}"}
        address = f"{invitation.http_url}/api/rooms/{invitation.room}"
        with urllib.request.urlopen(urllib.request.Request(address, headers=key), timeout=10) as answer:
            assert b'"title":"Monday"' in answer.read()
        process.send_signal(signal.SIGINT)
        assert process.wait(STOP_WITHIN) == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""


def test_the_same_invitation_after_a_restart(tmp_path: Path) -> None:
    links = []
    for _ in range(2):
        with ExitStack() as stack:
            with socket.create_server(("127.0.0.1", 0)) as free:
                port = free.getsockname()[1]
            arguments = ("--port", str(port), "--state", str(tmp_path / "state.json"))
            said = told(stack.enter_context(alone(*arguments)))
            found = re.search(r"/join/(\S+)$", said, re.M)
            assert found is not None
            links.append(found[1])
    assert links[0] == links[1]


@pytest.mark.parametrize("kind", ["--port", "--udp-port"])
def test_a_port_that_is_taken_is_said_in_a_sentence(kind: str) -> None:
    stream = socket.SOCK_STREAM if kind == "--port" else socket.SOCK_DGRAM
    with socket.socket(socket.AF_INET, stream) as taken:
        taken.bind(("127.0.0.1", 0))
        if stream is socket.SOCK_STREAM:
            taken.listen()
        port = str(taken.getsockname()[1])
        others = [] if kind == "--port" else ["--port", "0"]
        result = subprocess.run(
            [*COMMAND, "--host", "127.0.0.1", *others, kind, port],
            capture_output=True,
            text=True,
            cwd=ROOT,
            timeout=READY_WITHIN,
            stdin=subprocess.DEVNULL,
        )
    assert result.returncode == 2
    assert result.stdout == ""
    assert port in result.stderr
    assert f"choose another with {kind}" in result.stderr
    assert "Traceback" not in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_number_that_is_no_port() -> None:
    result = subprocess.run(
        [*COMMAND, "--port", "70000"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=READY_WITHIN,
        stdin=subprocess.DEVNULL,
    )
    assert result.returncode == 2
    assert result.stderr.startswith("There is no port 70000.")


def test_the_announcement_is_one_line_with_what_the_parent_needs() -> None:
    with ServerProcess("--host", "127.0.0.1") as server:
        assert server.url == f"http://127.0.0.1:{server.port}"
        assert server.udp_port > 0
        assert server.request("/healthz")[0] == 200
        assert server.open_meeting("By the owner").title == "By the owner"
        assert server.log() == ""


def test_it_ends_with_its_parent() -> None:
    server = ServerProcess("--host", "127.0.0.1")
    server.start()
    process = server._process
    assert process is not None
    assert process.stdin is not None
    process.stdin.close()
    wait_for("the end of the server", lambda: process.poll() is not None, within=STOP_WITHIN)
    assert process.returncode == 0
    server._forget()
    server._log.close()


@contextmanager
def draining(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], Invitation, ClientConnection]]:
    """A server that was sent a first SIGTERM while somebody was in its meeting."""
    with alone("--port", "0", *arguments) as process:
        link = re.search(r"^Link: (\S+)$", told(process), re.M)
        assert link is not None
        invitation = Invitation.parse(link[1])
        address = f"{invitation.http_url.replace('http', 'ws', 1)}/ws"
        with connect(address, proxy=None, compression=None) as member:
            hello = {"type": "session.hello", "id": 1, "protocol": [1], "name": "Ann"}
            member.send(json.dumps(hello | {"token": invitation.token.reveal()}))
            assert json.loads(member.recv(READY_WITHIN))["type"] == "session.welcome"
            process.send_signal(signal.SIGTERM)
            wait_for("the drain", lambda: health(invitation)[0] == 503)
            yield process, invitation, member


def health(invitation: Invitation) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"{invitation.http_url}/healthz", timeout=10) as answer:
            return answer.status, json.load(answer)["status"]
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)["status"]


def test_a_first_sigterm_waits_for_the_meeting_and_no_longer() -> None:
    with draining("--drain", "600") as (process, invitation, member):
        assert health(invitation) == (503, "draining")
        member.send('{"type": "media.mute", "id": 2, "source": "camera", "muted": true}')
        said = [json.loads(member.recv(READY_WITHIN))["type"] for _ in range(2)]
        assert "media.muted" in said  # the meeting goes on
        member.send('{"type": "session.leave"}')
        assert process.wait(STOP_WITHIN) == 0


def test_a_second_sigterm_stops_at_once() -> None:
    with draining("--drain", "600") as (process, _, member):
        process.send_signal(signal.SIGTERM)
        assert process.wait(STOP_WITHIN) == 0
        assert json.loads(member.recv(1))["code"] == "server-stopping"


def test_members_are_warned_and_the_time_is_kept() -> None:
    with draining("--drain", "2") as (process, _, member):
        warned = json.loads(member.recv(READY_WITHIN))
        assert (warned["type"], warned["code"], warned.get("re")) == ("session.refused", "draining", None)
        assert "seconds" in warned["sentence"]
        assert process.wait(2 + STOP_WITHIN) == 0


@pytest.mark.parametrize("seconds", ["-1", "soon", "1e9", "nan"])
def test_a_time_to_drain_that_is_none(seconds: str) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["--drain", seconds])
    assert stopped.value.code == 2
