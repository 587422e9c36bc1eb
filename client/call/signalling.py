"""The WebSocket to the server: text out, messages in, one connection at a time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import websockets
from websockets.asyncio.client import ClientConnection, connect

from rtc.signalling import MAX_MESSAGE_BYTES, Message, ProtocolError, dump_message, parse_server_message
from rtc.tasks import end_tasks

log = logging.getLogger(__name__)

#: Seconds for TCP and the WebSocket handshake.
OPEN_TIMEOUT_S = 5.0
#: Seconds between pings, and for the answer: notices a cut network in about 4 s.
PING_S, PONG_S = 1.5, 2.5
#: Seconds to send what is queued and say goodbye, and to end in disorder after that. Less may lose the
#: goodbye in a slow network: the others see us for some seconds more.
CLOSE_S, END_S = 2.0, 0.5
#: Messages that may wait for a slow network; what is more is dropped, and the pings end it soon anyway.
QUEUE_MESSAGES = 1000
#: Messages that cannot be understood before what talks there counts as no Hearth server.
MAX_BAD_MESSAGES = 20


class _Connection:
    """One connection from the try to its end."""

    def __init__(self) -> None:
        self.outgoing: asyncio.Queue[Message | None] = asyncio.Queue(QUEUE_MESSAGES)
        self.opened = False
        self.task: asyncio.Task[None] | None = None
        self.understood = self.bad = 0  # messages

    def finish(self) -> None:
        """Closes after what is queued was sent; a try that is not through yet is given up."""
        if self.task is None or self.task.done():
            return
        if not self.opened or self.outgoing.full():
            self.task.cancel()
        else:
            self.outgoing.put_nowait(None)


class SignallingClient:
    """Runs one connection; callbacks come on the loop.

    `on_closed(stranger)` is called once per `connect()` unless `disconnect()` came first; `stranger` means
    that what answered does not speak our protocol. A callback that raises ends the connection.
    """

    def __init__(
        self,
        on_opened: Callable[[], None],
        on_message: Callable[[Message], None],
        on_closed: Callable[[bool], None],
    ) -> None:
        self._on_opened, self._on_message, self._on_closed = on_opened, on_message, on_closed
        self._current: _Connection | None = None
        self._tasks: set[asyncio.Task[None]] = set()  # of connections that still close, too

    def connect(self, url: str) -> None:
        """Opens a connection; one that is there is closed without a callback."""
        self.disconnect()
        connection = self._current = _Connection()
        connection.task = asyncio.get_running_loop().create_task(self._run(url, connection))
        self._tasks.add(connection.task)
        connection.task.add_done_callback(self._tasks.discard)

    def send(self, message: Message) -> None:
        """Queues a message; dropped while there is no connection."""
        if self._current is not None and not self._current.outgoing.full():
            self._current.outgoing.put_nowait(message)

    def disconnect(self) -> None:
        """Closes after what is queued was sent; no callback."""
        connection, self._current = self._current, None
        if connection is not None:
            connection.finish()

    async def close(self) -> None:
        """Ends everything within CLOSE_S and END_S."""
        self.disconnect()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=CLOSE_S)
            if await end_tasks(late, END_S):
                log.error("the signalling connection does not close")

    async def _run(self, url: str, connection: _Connection) -> None:
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
                if self._current is not connection:
                    return
                connection.opened = True
                self._on_opened()
                await self._talk(socket, connection)
        except (websockets.InvalidHandshake, websockets.InvalidURI, ProtocolError):
            stranger = True
        except (OSError, TimeoutError, websockets.ConnectionClosed, EOFError, UnicodeError):
            pass  # UnicodeError: a host that no name service could be asked for
        except Exception:
            log.exception("the signalling connection failed")
        if self._current is connection:
            self._current = None
            self._on_closed(stranger)

    async def _talk(self, socket: ClientConnection, connection: _Connection) -> None:
        async def write() -> None:
            while (message := await connection.outgoing.get()) is not None:
                await socket.send(dump_message(message))
            await socket.close()

        writer = asyncio.create_task(write())
        try:
            async for text in socket:
                if self._current is connection:  # else it is on its way out
                    self._heard(text, connection)
        finally:
            writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)

    def _heard(self, text: str | bytes, connection: _Connection) -> None:
        """Hands a message on. One that cannot be understood is counted and dropped; raises ProtocolError if
        there are only such, or too many."""
        try:
            message = parse_server_message(text)
        except ProtocolError as error:
            connection.bad += 1
            log.warning("a message of the server was dropped: %s", error.code)
            if not connection.understood or connection.bad > MAX_BAD_MESSAGES:
                raise
            return
        connection.understood += 1
        self._on_message(message)
