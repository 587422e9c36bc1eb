"""The WebSocket of the call against a real one on loopback that answers as the test wants."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from websockets.asyncio.server import ServerConnection, serve

from client.call import signalling
from client.call.signalling import SignallingClient
from rtc.signalling import MAX_MESSAGE_BYTES, Message, media, session

WITHIN = 10.0
SELECTED = '{"type": "media.selected", "re": 7}'


class Ear:
    """What the client said to us, in order, as something to wait for."""

    def __init__(self) -> None:
        self.heard: asyncio.Queue[object] = asyncio.Queue()
        self.client = SignallingClient(
            lambda: self.heard.put_nowait("opened"),
            self.heard.put_nowait,
            lambda stranger: self.heard.put_nowait(("closed", stranger)),
        )

    async def next(self) -> object:
        return await asyncio.wait_for(self.heard.get(), WITHIN)


Talk = Callable[[ServerConnection], Awaitable[None]]


@asynccontextmanager
async def server(talk: Talk) -> AsyncIterator[str]:
    async with serve(talk, "127.0.0.1", 0) as running:
        port = running.sockets[0].getsockname()[1]
        yield f"ws://127.0.0.1:{port}/ws"


@asynccontextmanager
async def plain_server(answer: bytes | None) -> AsyncIterator[str]:
    """TCP that says `answer` to whatever comes and hangs up; None: says nothing until the client goes."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1000)
        if answer is not None:
            writer.write(answer)
            await writer.drain()
        else:
            await reader.read(-1)
        writer.close()

    async with await asyncio.start_server(talk, "127.0.0.1", 0) as running:
        yield f"ws://127.0.0.1:{running.sockets[0].getsockname()[1]}/ws"


async def test_messages_both_ways_in_order() -> None:
    got: asyncio.Queue[str | bytes] = asyncio.Queue()

    async def talk(socket: ServerConnection) -> None:
        await socket.send(SELECTED)
        async for text in socket:
            await got.put(text)

    async with server(talk) as url:
        ear = Ear()
        ear.client.send(session.Leave())  # nobody is there: dropped
        ear.client.connect(url)
        assert await ear.next() == "opened"
        assert await ear.next() == media.Selected(re=7)
        for number in range(20):
            ear.client.send(media.Mute(id=number, source="camera", muted=True))
        for number in range(20):
            assert json.loads(await asyncio.wait_for(got.get(), WITHIN))["id"] == number
        await ear.client.close()
    assert ear.heard.empty()


async def test_disconnect_sends_what_is_queued_and_calls_nobody_back() -> None:
    got: asyncio.Queue[str | bytes] = asyncio.Queue()
    ended = asyncio.Event()

    async def talk(socket: ServerConnection) -> None:
        async for text in socket:
            await got.put(text)
        ended.set()

    async with server(talk) as url:
        ear = Ear()
        ear.client.connect(url)
        await ear.next()
        ear.client.send(session.Leave())
        ear.client.disconnect()
        ear.client.send(session.Leave())  # too late
        await asyncio.wait_for(ended.wait(), WITHIN)
        await ear.client.close()
    assert got.qsize() == 1
    assert ear.heard.empty()


async def test_the_servers_end_is_told_once() -> None:
    async def talk(socket: ServerConnection) -> None:
        await socket.close()

    async with server(talk) as url:
        ear = Ear()
        ear.client.connect(url)
        assert await ear.next() == "opened"
        assert await ear.next() == ("closed", False)
        ear.client.connect(url)
        assert await ear.next() == "opened"
        assert await ear.next() == ("closed", False)
        await ear.client.close()
    assert ear.heard.empty()


async def test_a_new_connection_replaces_the_old_one_without_a_word() -> None:
    connections: asyncio.Queue[ServerConnection] = asyncio.Queue()

    async def talk(socket: ServerConnection) -> None:
        await connections.put(socket)
        await socket.wait_closed()

    async with server(talk) as url:
        ear = Ear()
        ear.client.connect(url)
        await ear.next()
        first = await asyncio.wait_for(connections.get(), WITHIN)
        ear.client.connect(url)
        assert await ear.next() == "opened"
        await asyncio.wait_for(first.wait_closed(), WITHIN)
        second = await asyncio.wait_for(connections.get(), WITHIN)
        await second.send(SELECTED)
        assert await ear.next() == media.Selected(re=7)
        await ear.client.close()
    assert ear.heard.empty()


async def test_nobody_listens() -> None:
    async with plain_server(b"") as url:
        pass
    ear = Ear()
    ear.client.connect(url)
    assert await ear.next() == ("closed", False)
    await ear.client.close()


@pytest.mark.parametrize("host", ["no-such-host.invalid", "x" * 70, "a..b"])
async def test_a_host_that_does_not_exist(host: str) -> None:
    ear = Ear()
    ear.client.connect(f"ws://{host}:9/ws")
    assert await ear.next() == ("closed", False)
    await ear.client.close()


@pytest.mark.parametrize(
    "answer", [b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", b"SSH-2.0-Other\r\n", b""]
)
async def test_strangers_are_told_apart(answer: bytes) -> None:
    async with plain_server(answer) as url:
        ear = Ear()
        ear.client.connect(url)
        assert await ear.next() == ("closed", True)
        await ear.client.close()


@pytest.mark.parametrize("text", ["hello", '{"type": "chat.hi"}', b"\0", "x" * (MAX_MESSAGE_BYTES + 1)])
async def test_a_websocket_of_another_program_is_a_stranger(text: str | bytes) -> None:
    async def talk(socket: ServerConnection) -> None:
        await socket.send(text)
        await socket.wait_closed()

    async with server(talk) as url:
        ear = Ear()
        ear.client.connect(url)
        assert await ear.next() == "opened"
        assert await ear.next() == ("closed", True)
        await ear.client.close()


async def test_one_bad_message_in_a_meeting_is_dropped_and_too_many_are_not() -> None:
    async def talk(socket: ServerConnection) -> None:
        await socket.send(SELECTED)
        await socket.send('{"type": "media.newer", "re": 1}')
        await socket.send(SELECTED)
        for _ in range(signalling.MAX_BAD_MESSAGES):
            await socket.send("{}")
        await socket.wait_closed()

    async with server(talk) as url:
        ear = Ear()
        ear.client.connect(url)
        heard = [await ear.next() for _ in range(4)]
        assert heard == ["opened", media.Selected(re=7), media.Selected(re=7), ("closed", True)]
        await ear.client.close()


async def test_a_server_that_takes_the_call_and_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signalling, "OPEN_TIMEOUT_S", 0.1)
    async with plain_server(None) as url:
        ear = Ear()
        ear.client.connect(url)
        assert await ear.next() == ("closed", False)
        await ear.client.close()


async def test_disconnect_while_connecting_gives_up_at_once() -> None:
    async with plain_server(None) as url:
        ear = Ear()
        ear.client.connect(url)
        await asyncio.sleep(0)  # the try begins
        ear.client.disconnect()
        begin = asyncio.get_running_loop().time()
        await ear.client.close()
        assert asyncio.get_running_loop().time() - begin < 1.5
    assert ear.heard.empty()


async def test_a_full_queue_drops_and_still_lets_go() -> None:
    async def talk(socket: ServerConnection) -> None:
        async for _ in socket:
            pass

    async with server(talk) as url:
        ear = Ear()
        ear.client.connect(url)
        await ear.next()
        for number in range(signalling.QUEUE_MESSAGES + 10):  # the writer gets no turn in between
            ear.client.send(media.Mute(id=number, source="camera", muted=True))
        ear.client.disconnect()
        await ear.client.close()


async def test_a_listener_that_raises_ends_the_connection(caplog: pytest.LogCaptureFixture) -> None:
    async def talk(socket: ServerConnection) -> None:
        await socket.send(SELECTED)
        await socket.wait_closed()

    def fail(message: Message) -> None:
        raise LookupError("a defect")

    async with server(talk) as url:
        closed: asyncio.Queue[bool] = asyncio.Queue()
        client = SignallingClient(lambda: None, fail, closed.put_nowait)
        with caplog.at_level(logging.ERROR):
            client.connect(url)
            assert await asyncio.wait_for(closed.get(), WITHIN) is False
        assert "a defect" in caplog.text
        await client.close()
