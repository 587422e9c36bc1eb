"""Sockets that say nothing, too little, too slowly, or never listen."""

from __future__ import annotations

import json
import os
import resource
import socket
import struct
import time
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack

import psutil
import pytest
from websockets.exceptions import ConnectionClosed

from tests.server_lite.abuse.conftest import Stranger
from tests.support.server_process import Meeting, ServerProcess, wait_for

HALF_OPEN = 10_000
BATCH = 250
#: Sockets the server may hold while it is flooded, with some slack for its own files.
MOST_FILES = 1000

HALF_REQUESTS = (
    b"",
    b"GET /heal",
    b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgr",
    b"\x16\x03\x01\x02\x00",  # the beginning of TLS
)
POST = b"POST /api/rooms HTTP/1.1\r\nHost: x\r\n"
UPGRADE = (
    b"GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


@pytest.fixture
def many_files() -> Iterator[int]:
    """Raises the limit on open files for the test; how many sockets it may hold."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = HALF_OPEN + 1000
    limit = wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, limit), hard))
    yield max(soft, limit) - 500
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def connect(server: ServerProcess, source: str = "127.0.0.1") -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), 5, (source, 0))


def closed(sock: socket.socket) -> bool:
    """Whether the server has closed its end."""
    sock.setblocking(False)
    try:
        while sock.recv(65536):
            pass
    except BlockingIOError:
        return False
    except OSError:
        pass
    return True


def frame(payload: bytes) -> bytes:
    """A masked text frame of a client (RFC 6455 section 5.2), below 64 KiB."""
    size = len(payload)
    head = bytes([0x81, 0x80 | size]) if size < 126 else b"\x81\xfe" + struct.pack("!H", size)
    key = os.urandom(4)
    return head + key + bytes(byte ^ key[i % 4] for i, byte in enumerate(payload))


def test_ten_thousand_half_open_sockets(server: ServerProcess, meeting: Meeting, many_files: int) -> None:
    """From one address and from many, in turns. Honest people get in while it lasts, and the server holds a
    bounded number of sockets."""
    held: deque[socket.socket] = deque()
    try:
        for number in range(HALF_OPEN):
            spread = number // (10 * BATCH) % 2
            source = f"127.0.{1 + number % 50}.{1 + number % 200}" if spread else "127.0.0.1"
            sock = connect(server, source)
            held.append(sock)
            try:
                sock.sendall(HALF_REQUESTS[number % len(HALF_REQUESTS)])
            except OSError:
                pass  # cut off already
            if len(held) >= many_files:
                held.popleft().close()
            if number % (10 * BATCH) == 10 * BATCH - 1:
                honest = Stranger(server, meeting)
                assert honest.join()["type"] == "session.welcome"
                honest.close()
                assert psutil.Process(server.pid).num_fds() < MOST_FILES
        assert server.request("/healthz")[0] == 200
    finally:
        for sock in held:
            sock.close()
    wait_for("the sockets are let go", lambda: psutil.Process(server.pid).num_fds() < 100, 15)


class Dawdlers:
    """Silence, a head that drips, a body that never comes, a WebSocket without a hello."""

    def __init__(self, server: ServerProcess, stack: ExitStack) -> None:
        silent, dripping, bodiless, mute, drip_hello = (
            stack.enter_context(connect(server)) for _ in range(5)
        )
        dripping.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n")
        bodiless.sendall(POST + b"Content-Length: 1000\r\n\r\n{")
        mute.sendall(UPGRADE)
        drip_hello.sendall(UPGRADE)
        drip_hello.sendall(b"\x81\xfe\x03\xe8abcd")  # a text frame of 1000 bytes, of which few will come
        self._drips = ((dripping, b"X-A: b\r\n"), (drip_hello, b"x"))
        self._dripped = 0.0
        self._waiting = {
            "silent": silent,
            "a dripping head": dripping,
            "a missing body": bodiless,
            "no hello": mute,
            "a dripping hello": drip_hello,
        }

    def waiting(self) -> list[str]:
        """Who is still connected; it says a little more now and then."""
        if time.monotonic() - self._dripped > 0.25:
            self._dripped = time.monotonic()
            for drip, byte in self._drips:
                try:
                    drip.send(byte)
                except OSError:
                    pass  # cut off, as it should be
        self._waiting = {name: sock for name, sock in self._waiting.items() if not closed(sock)}
        return list(self._waiting)


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\n" + b"X-Long: " + b"a" * (1 << 20) + b"\r\n\r\n",
        b"GET /" + b"a" * (1 << 20) + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"".join(b"X-%d: 1\r\n" % n for n in range(50_000)) + b"\r\n",
        b"\x00" * 100_000,
        POST + b"Content-Length: 99999999999\r\n\r\n" + b"a" * (4 << 20),
        POST + b"Transfer-Encoding: chunked\r\n\r\n8000\r\n" + b"b" * 0x8000,
        UPGRADE.replace(b"dGhlIHNhbXBsZSBub25jZQ==", b"x"),
        UPGRADE + b"\xff" * 1000,
        UPGRADE + b"\x81\xff" + struct.pack("!Q", 1 << 62) + b"abcd" + b"x" * 100_000,
    ],
    ids=[
        "long-header",
        "long-path",
        "many-headers",
        "zeros",
        "huge-body",
        "chunks",
        "bad-key",
        "bad-frame",
        "vast-frame",
    ],
)
def test_requests_beyond_bounds(server: ServerProcess, head: bytes) -> None:
    """Answered with an error or cut off, without keeping what was sent."""
    with connect(server) as sock:
        try:
            sock.sendall(head)
        except OSError:
            pass  # cut off while we still sent
        sock.settimeout(0.5)
        answer = b""
        try:
            while chunk := sock.recv(65536):
                answer += chunk
        except OSError:
            pass
    assert not answer.startswith(b"HTTP/1.1 2"), answer[:200]
    assert server.request("/healthz")[0] == 200


def test_who_dawdles_or_never_listens_is_cut_off_and_the_others_are_served(
    server: ServerProcess, meeting: Meeting, member: Stranger
) -> None:
    """Nothing is kept for ever for a member who reads nothing, or for who never comes to the point."""
    with ExitStack() as stack:
        dawdlers = Dawdlers(server, stack)
        deaf = stack.enter_context(socket.socket())
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.connect(("127.0.0.1", server.port))
        deaf.sendall(UPGRADE)
        assert deaf.recv(4096).startswith(b"HTTP/1.1 101")  # the last that it listens to
        deaf.sendall(frame(json.dumps(member.hello(name="Deaf")).encode()))
        joined = member.next("session.joined")["member"]
        assert joined["name"] == "Deaf"
        gone, number, deadline = False, 100, time.monotonic() + 30
        while (waiting := dawdlers.waiting()) or not gone:
            assert time.monotonic() < deadline, f"still connected: {waiting}, deaf: {not gone}"
            number += 1
            member.say({"type": "media.mute", "id": number, "source": "camera", "muted": number % 2 == 0})
            try:
                left = member.next("session.left", within=0.1)
            except TimeoutError:
                continue
            gone = left["member"] == joined["id"]


def test_a_flood_of_messages_is_refused_beyond_the_rate(member: Stranger) -> None:
    """Each message gets its answer or a refusal; a moment later all is as before."""
    for number in range(140):
        member.say({"type": "media.mute", "id": number, "source": "camera", "muted": number % 2 == 0})
    outcomes: dict[int, str] = {}
    while len(outcomes) < 140:
        message = json.loads(member.socket.recv(10))
        if message.get("re") is not None:
            outcomes[message["re"]] = message.get("code", message["type"])
    assert set(outcomes.values()) == {"media.muted", "too-many-messages"}
    assert list(outcomes) == sorted(outcomes)
    assert outcomes[0] == "media.muted"
    time.sleep(1.0)  # real time for a real server's allowance
    assert member.ask({"type": "media.mute", "id": 999, "source": "camera", "muted": True}, "media.muted")


def test_who_floods_on_is_cut_off(member: Stranger) -> None:
    message = {"type": "media.mute", "id": 1, "source": "camera", "muted": True}
    with pytest.raises(ConnectionClosed):  # noqa: PT012 - any of them may be the last
        for _ in range(1000):
            member.say(message)
        while True:
            member.next("session.closing")
