"""Asking a server over HTTP: what it says, and everything that can go wrong, as sentences."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from client.services.embedded import Announcement
from client.services.meetings import ANSWER_LIMIT, MeetingError, MeetingInfo, look_up, open_room
from rtc.invitation import Invitation
from rtc.secret import Secret

TOKEN = Secret("KVVJTGDKKFADH6GD")


@asynccontextmanager
async def answering(status: str, body: bytes, asked: list[bytes] | None = None) -> AsyncIterator[int]:
    """A server that gives one answer to everything."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if asked is not None:
            asked.append(head)
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        try:
            await writer.drain()
        except ConnectionError:
            pass
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


def invitation(port: int, room: str | None = "abcdef") -> Invitation:
    return Invitation("127.0.0.1", port, TOKEN, room)


async def test_a_meeting_is_looked_into() -> None:
    asked: list[bytes] = []
    async with answering("200 OK", b'{"room": "abcdef", "title": "Weekly", "members": 3}', asked) as port:
        assert await look_up(invitation(port)) == MeetingInfo("Weekly", 3)
        assert await look_up(invitation(port, None)) == MeetingInfo("Weekly", 3)
    assert asked[0].startswith(b"GET /api/rooms/abcdef ")
    assert asked[1].startswith(b"GET /api/invitation ")
    assert b"Bearer KVVJTGDKKFADH6GD" in asked[0]


async def test_a_room_is_opened_with_the_owner_key() -> None:
    asked: list[bytes] = []
    async with answering("201 Created", b'{"link": "http://h/join/r#t"}', asked) as port:
        server = Announcement(f"http://127.0.0.1:{port}", port, 0, Secret("key"), 1)
        assert await open_room(server, "Weekly") == "http://h/join/r#t"
    assert asked[0].startswith(b"POST /api/rooms ")
    assert b"Bearer key" in asked[0]


@pytest.mark.parametrize(
    ("status", "body", "sentence"),
    [
        ("403 Forbidden", json.dumps({"code": "x", "title": "Ask the owner."}).encode(), "Ask the owner."),
        ("401 Unauthorized", b"{}", "does not open a meeting any more"),
        ("404 Not Found", b"<html>", "does not open a meeting any more"),
        ("500 Oops", b"", "cannot help right now"),
        ("200 OK", b"<html>hello", "not a Hearth server"),
        ("200 OK", b"[1, 2]", "not a Hearth server"),
        ("200 OK", b"{" + b" " * ANSWER_LIMIT + b"}", "not a Hearth server"),
    ],
)
async def test_every_bad_answer_is_a_sentence(status: str, body: bytes, sentence: str) -> None:
    async with answering(status, body) as port:
        with pytest.raises(MeetingError, match=sentence):
            await look_up(invitation(port))


async def test_nobody_there_is_a_sentence() -> None:
    async with answering("200 OK", b"{}") as port:
        pass
    with pytest.raises(MeetingError, match=f"Nobody answers at 127.0.0.1:{port}"):
        await look_up(invitation(port))


async def test_numbers_and_titles_of_the_wrong_kind_are_not_believed() -> None:
    async with answering("200 OK", b'{"title": 7, "members": -2}') as port:
        assert await look_up(invitation(port)) == MeetingInfo("", 0)
