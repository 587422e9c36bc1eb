"""The WebSocket to the server: text out, messages in, one connection at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import websockets
from websockets.asyncio.client import ClientConnection, connect

from rtc.signalling import MAX_MESSAGE_BYTES, Message, ProtocolError, dump_message, parse_server_message

#: Seconds for TCP and the WebSocket handshake.
OPEN_TIMEOUT_S = 5.0
#: Seconds between pings, and for the answer: notices a cut network in about 4 s.
PING_S, PONG_S = 1.5, 2.5


class SignallingClient:
    """Runs one connection; callbacks come on the loop.

    `on_closed(stranger)` is called once per `connect()` unless `disconnect()` came first; `stranger` means
    that what answered does not speak our protocol.
    """

    def __init__(
        self,
        on_opened: Callable[[], None],
        on_message: Callable[[Message], None],
        on_closed: Callable[[bool], None],
    ) -> None:
        self._on_opened, self._on_message, self._on_closed = on_opened, on_message, on_closed
        self._task: asyncio.Task[None] | None = None
        self._running: set[asyncio.Task[None]] = set()  # connections that still close, too
        self._outgoing: asyncio.Queue[Message | None] = asyncio.Queue(1000)

    def connect(self, url: str) -> None:
        """Opens a connection; one that is there is closed without a callback."""
        self.disconnect()
        self._outgoing = asyncio.Queue(1000)
        self._task = asyncio.get_running_loop().create_task(self._run(url, self._outgoing))
        self._running.add(self._task)
        self._task.add_done_callback(self._running.discard)

    def send(self, message: Message) -> None:
        """Queues a message; dropped while there is no connection."""
        if self._task is not None and not self._outgoing.full():
            self._outgoing.put_nowait(message)

    def disconnect(self) -> None:
        """Closes after what is queued was sent; no callback."""
        task, self._task = self._task, None
        if task is not None and not task.done():
            self._outgoing.put_nowait(None)

    async def close(self) -> None:
        """Ends everything within two seconds."""
        self.disconnect()
        if self._running:
            _, late = await asyncio.wait(self._running, timeout=2.0)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _run(self, url: str, outgoing: asyncio.Queue[Message | None]) -> None:
        mine = asyncio.current_task()
        stranger = False
        try:
            async with connect(
                url,
                open_timeout=OPEN_TIMEOUT_S,
                close_timeout=1.0,
                ping_interval=PING_S,
                ping_timeout=PONG_S,
                max_size=4 * MAX_MESSAGE_BYTES,
                compression=None,
                proxy=None,  # a meeting in one network never goes by way of a proxy
            ) as socket:
                if self._task is not mine:
                    return
                self._on_opened()
                await self._talk(socket, outgoing)
        except (websockets.InvalidHandshake, websockets.InvalidURI):
            stranger = True
        except (OSError, TimeoutError, websockets.ConnectionClosed, EOFError):
            pass
        except ProtocolError:
            stranger = True
        if self._task is mine:
            self._task = None
            self._on_closed(stranger)

    async def _talk(self, socket: ClientConnection, outgoing: asyncio.Queue[Message | None]) -> None:
        async def write() -> None:
            while (message := await outgoing.get()) is not None:
                await socket.send(dump_message(message))
            await socket.close()

        writer = asyncio.create_task(write())
        mine = asyncio.current_task()
        try:
            async for text in socket:
                if self._task is not mine:
                    continue  # on its way out
                self._on_message(parse_server_message(text))
        finally:
            writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)
