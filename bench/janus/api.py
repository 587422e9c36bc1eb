"""Janus' API over a WebSocket: one session, several handles of the videoroom plugin.

https://janus.conf.meetecho.com/docs/rest.html and videoroom.html describe the messages.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import Any, Final

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException
from websockets.typing import Subprotocol

from bench.loadbot.member import ANSWER_TIMEOUT, LoadError

_PLUGIN: Final = "janus.plugin.videoroom"


class JanusSession:
    """`open`, then `attach` and `ask`."""

    def __init__(self) -> None:
        self._socket: ClientConnection | None = None
        self._reader: asyncio.Task[None] | None = None
        self._session = 0
        self._numbers = iter(range(1, 1 << 31))
        self._answers: dict[str, asyncio.Future[dict[str, Any]]] = {}

    async def open(self, url: str) -> None:
        self._socket = await connect(
            url, subprotocols=[Subprotocol("janus-protocol")], max_size=1 << 20, open_timeout=ANSWER_TIMEOUT
        )
        self._reader = asyncio.create_task(self._read(self._socket))
        self._session = (await self._transact({"janus": "create"}))["data"]["id"]

    async def attach(self) -> int:
        """Another handle."""
        answer = await self._transact({"janus": "attach", "plugin": _PLUGIN})
        return int(answer["data"]["id"])

    async def ask(
        self, handle: int, body: dict[str, Any], jsep: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], str]:
        """What the plugin answers, and its SDP if it sends one. Raises LoadError."""
        message: dict[str, Any] = {"janus": "message", "handle_id": handle, "body": body}
        if jsep is not None:
            message["jsep"] = jsep
        answer = await self._transact(message)
        data: dict[str, Any] = answer.get("plugindata", {}).get("data", {})
        if "error" in data:
            raise LoadError(f"Janus refused {body.get('request')}: {data['error']}")
        return data, str(answer.get("jsep", {}).get("sdp", ""))

    async def close(self) -> None:
        if self._socket is not None:
            await self._socket.close()
        if self._reader is not None:
            await self._reader

    async def _transact(self, message: dict[str, Any]) -> dict[str, Any]:
        if self._socket is None:
            raise LoadError("There is no connection to Janus.")
        number = str(next(self._numbers))
        coming = self._answers[number] = asyncio.get_running_loop().create_future()
        if self._session:
            message["session_id"] = self._session
        try:
            await self._socket.send(json.dumps(message | {"transaction": number}))
            answer = await asyncio.wait_for(coming, ANSWER_TIMEOUT)
        finally:
            self._answers.pop(number, None)
        if answer.get("janus") == "error":
            raise LoadError(f"Janus refused a message: {answer.get('error', {}).get('reason', '')}")
        return answer

    async def _read(self, socket: ClientConnection) -> None:
        with suppress(WebSocketException, OSError):
            async for text in socket:
                message = json.loads(text)
                waiting = self._answers.get(str(message.get("transaction", "")))
                # An "ack" only says that the real answer will come as an event of the same transaction.
                if waiting is not None and not waiting.done() and message.get("janus") != "ack":
                    waiting.set_result(message)
