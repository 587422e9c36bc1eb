"""A real server in the test's own loop, and a member on a WebSocket to it."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from rtc.secret import Secret
from rtc.socket_address import bind
from server_lite.__main__ import HearthServer, _listen, _server
from server_lite.config import Settings
from server_lite.meetings import Opened
from server_lite.state import ServerState

KEY = "owner-key"
PATIENCE = 10.0  # seconds; only a broken server takes that long


class Served:
    """A running server: its addresses, and its inside for looking at."""

    def __init__(self, server: HearthServer, port: int) -> None:
        self.server, self.port = server, port
        self.url = f"http://127.0.0.1:{port}"
        self.ws_url = f"ws://127.0.0.1:{port}/ws"

    @property
    def state(self) -> ServerState:
        return self.server.hearth

    def open(self, title: str = "Monday") -> Opened:
        return self.state.meetings.open(title)

    async def request(self, method: str, path: str, key: str | None = None, **options: Any) -> httpx.Response:
        headers = options.pop("headers", {})
        if key is not None:
            headers = headers | {"Authorization": f"Bearer {key}"}
        async with httpx.AsyncClient(base_url=self.url, timeout=PATIENCE, trust_env=False) as client:
            return await client.request(method, path, headers=headers, **options)

    @contextlib.asynccontextmanager
    async def line(self, **options: Any) -> AsyncIterator[Line]:
        """A WebSocket that has said nothing yet."""
        async with connect(self.ws_url, compression=None, proxy=None, max_size=1 << 20, **options) as socket:
            yield Line(socket)

    @contextlib.asynccontextmanager
    async def member(self, opened: Opened, name: str = "Ann", **changes: Any) -> AsyncIterator[Line]:
        """One who has joined."""
        async with self.line() as line:
            await line.join(opened, name, **changes)
            yield line


class Line:
    """One control connection, seen from the client."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.welcome: dict[str, Any] = {}

    async def say(self, message: object) -> None:
        await self.socket.send(message if isinstance(message, str | bytes) else json.dumps(message))

    async def next(self, kind: str = "") -> dict[str, Any]:
        """The next message, of `kind` if given; others are passed over."""
        async with asyncio.timeout(PATIENCE):
            while True:
                message: dict[str, Any] = json.loads(await self.socket.recv())
                if kind in ("", message["type"]):
                    return message

    async def ask(self, message: object, kind: str = "") -> dict[str, Any]:
        await self.say(message)
        return await self.next(kind)

    async def join(self, opened: Opened, name: str = "Ann", **changes: Any) -> dict[str, Any]:
        self.welcome = await self.ask(hello(opened, name, **changes), "session.welcome")
        return self.welcome

    async def end(self) -> int:
        """Reads on until the server closes; the code it closed with."""
        async with asyncio.timeout(PATIENCE):
            with contextlib.suppress(ConnectionClosed):
                while True:
                    await self.socket.recv()
        return self.socket.close_code or 0


def hello(opened: Opened, name: str = "Ann", **changes: Any) -> dict[str, Any]:
    return {
        "type": "session.hello",
        "id": 1,
        "protocol": [1],
        "token": opened.invitation.token.reveal(),
        "name": name,
    } | changes


@contextlib.asynccontextmanager
async def serving(**changes: Any) -> AsyncIterator[Served]:
    """A server on loopback with `changes` to its settings."""
    wanted: dict[str, Any] = {"host": "127.0.0.1", "port": 0, "owner_key": Secret(KEY)}
    settings = Settings(**(wanted | changes))
    listener = _listen(settings.host, settings.port)
    server = _server(settings, listener, bind(settings.host, settings.udp_port))
    running = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        async with asyncio.timeout(PATIENCE):
            await server.ready.wait()
        yield Served(server, listener.getsockname()[1])
    finally:
        server.should_exit = True
        await running
        listener.close()
