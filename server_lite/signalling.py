"""One WebSocket: hello within a time, then messages through the table of handlers."""

from __future__ import annotations

import asyncio
import time

from fastapi import WebSocket
from starlette.websockets import WebSocketDisconnect, WebSocketState

from rtc.signalling import Message, ProtocolError, dump_message, parse_client_message, session
from server_lite import room as events
from server_lite.config import Settings
from server_lite.handlers import HANDLERS
from server_lite.meeting import Meeting
from server_lite.meetings import Meetings
from server_lite.metrics import Tally

#: Refused messages after which a connection is cut: a program that is this wrong will not get better.
MAX_REFUSALS = 50
#: Seconds to get out what is queued when the connection ends.
LAST_WORDS_S = 2.0
CLOSE_POLICY = 1008  # RFC 6455 section 7.4.1
CLOSE_NORMAL = 1000


class SignallingConnection:
    """Serves one WebSocket from accept to close."""

    def __init__(self, socket: WebSocket, meetings: Meetings, settings: Settings, tally: Tally) -> None:
        self._socket, self._meetings = socket, meetings
        self._settings, self._tally = settings, tally
        self._outgoing: asyncio.Queue[str | None] = asyncio.Queue(settings.max_send_queue)
        self._close_code = CLOSE_NORMAL
        self._closing = False
        self._ending = asyncio.Event()
        self._writer: asyncio.Task[None] | None = None
        self._refusals = 0
        self._allowance = settings.message_burst
        self._allowance_at = time.monotonic()

    async def run(self) -> None:
        """Returns when the connection is over, whoever ended it."""
        await self._socket.accept()
        loop = asyncio.get_running_loop()
        reader = loop.create_task(self._converse())
        self._writer = loop.create_task(self._write())
        ending = loop.create_task(self._wait_for_ending())
        try:
            await asyncio.wait({reader, self._writer, ending}, return_when=asyncio.FIRST_COMPLETED)
            self._finish()
            # What is queued, the reason of a refusal above all, still has a moment to get out.
            await asyncio.wait({self._writer}, timeout=LAST_WORDS_S)
        finally:
            tasks = (reader, self._writer, ending)
            for task in tasks:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception):
                raise result

    async def _wait_for_ending(self) -> None:
        await self._ending.wait()

    async def _converse(self) -> None:
        joined: tuple[Meeting, str] | None = None
        try:
            joined = await self._hello()
            if joined is not None:
                await self._serve(*joined)
        except WebSocketDisconnect:
            pass
        finally:
            if joined is not None:
                joined[0].connection_lost(joined[1], self)

    # Connection protocol, called by the meeting.

    def tell(self, message: Message) -> None:
        """Queues a message; a reader too slow for its queue is cut off, and may come back."""
        if self._closing:
            return
        try:
            self._outgoing.put_nowait(dump_message(message))
        except asyncio.QueueFull:
            self._tally.slow_readers += 1
            self._cut()

    def close(self, code: str, sentence: str) -> None:
        if not self._closing:
            self.tell(session.Closing(code=code, sentence=sentence))
            self._finish()

    async def _hello(self) -> tuple[Meeting, str] | None:
        """Waits for a valid hello; wrong tries may be corrected until the time is over."""
        deadline = time.monotonic() + self._settings.hello_timeout_s
        while not self._closing:
            try:
                text = await asyncio.wait_for(self._receive(), deadline - time.monotonic())
                message = parse_client_message(text)
                if self._is_over():
                    return None
                if not isinstance(message, session.Hello):
                    re = getattr(message, "id", None)
                    raise ProtocolError("hello-first", "Say session.hello before anything else.", re)
                meeting = self._meetings.find(message)
                return meeting, meeting.join(events.Join(message), self)
            except TimeoutError:
                self.close("hello-timeout", "No session.hello came in time. Connect again.")
            except ProtocolError as error:
                self._refuse(error)
        return None

    async def _serve(self, meeting: Meeting, member: str) -> None:
        while not self._closing:
            message: Message | None = None
            try:
                message = parse_client_message(await self._receive())
                if self._is_over():  # replaced or told to go while this message was on its way
                    return
                self._hold_to_rate()
                answer = await HANDLERS[type(message)](meeting, member, message)
            except ProtocolError as error:
                self._refuse(error, getattr(message, "id", None))
                continue
            if answer is not None:
                self.tell(answer)

    def _is_over(self) -> bool:
        return self._closing

    async def _receive(self) -> str | bytes:
        event = await self._socket.receive()
        if event["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(event.get("code", 1006))
        self._tally.messages += 1
        text: str | None = event.get("text")
        if text is None:
            raise ProtocolError("message-not-text", "Messages are JSON text, not binary.")
        return text

    def _hold_to_rate(self) -> None:
        """Refuses what is beyond the rate. Reading more slowly instead would leave the answers to our pings
        unread behind the flood, and the member would be taken for lost."""
        now = time.monotonic()
        rate, burst = self._settings.message_rate, self._settings.message_burst
        self._allowance = min(burst, self._allowance + (now - self._allowance_at) * rate) - 1
        self._allowance_at = now
        if self._allowance < 0:
            self._allowance = 0.0  # what is refused costs nothing more
            raise ProtocolError(
                "too-many-messages", "Too many messages came at once. Wait a moment, then try again."
            )

    def _refuse(self, error: ProtocolError, re: int | None = None) -> None:
        self._tally.refusals[error.code] += 1
        self._refusals += 1
        self.tell(
            session.Refused(re=error.re if re is None else re, code=error.code, sentence=error.sentence)
        )
        if self._refusals >= MAX_REFUSALS:
            self._close_code = CLOSE_POLICY
            self.close("too-many-errors", "Too many messages could not be understood.")

    def _finish(self) -> None:
        """Sends what is queued, then closes."""
        if not self._closing:
            self._closing = True
            self._ending.set()
            try:
                self._outgoing.put_nowait(None)
            except asyncio.QueueFull:
                self._cut()

    def _cut(self) -> None:
        self._closing = True
        if self._writer is not None:
            self._writer.cancel()

    async def _write(self) -> None:
        try:
            while (text := await self._outgoing.get()) is not None:
                await self._socket.send_text(text)
            if self._socket.application_state is WebSocketState.CONNECTED:
                await self._socket.close(self._close_code)
        except (WebSocketDisconnect, RuntimeError, OSError):
            self._closing = True  # gone already
