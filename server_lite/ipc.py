"""Messages between the server and its workers: pickled tuples with their length, over a socket pair.

Both ends are the same program of the same user; nothing from the network is unpickled.
"""

from __future__ import annotations

import asyncio
import pickle
import socket
import struct
from typing import Any, Final

_LENGTH: Final = struct.Struct("!I")
#: Bytes of one message. An offer has up to 62,000; more is a defect.
_MAX_BYTES: Final = 4 << 20


class Channel:
    """One end. `send` queues; `receive` gives the next message, or raises ConnectionError when the other end
    is gone."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def over(cls, sock: socket.socket) -> Channel:
        sock.setblocking(False)
        return cls(*await asyncio.open_connection(sock=sock))

    def send(self, *message: Any) -> None:
        if self._writer.is_closing():
            return
        data = pickle.dumps(message)
        self._writer.write(_LENGTH.pack(len(data)) + data)

    async def receive(self) -> tuple[Any, ...]:
        try:
            (size,) = _LENGTH.unpack(await self._reader.readexactly(_LENGTH.size))
            if size > _MAX_BYTES:
                raise ConnectionError("a message between processes is too long")
            message = pickle.loads(await self._reader.readexactly(size))
        except (asyncio.IncompleteReadError, OSError) as error:
            raise ConnectionError("the other process is gone") from error
        if not isinstance(message, tuple):
            raise ConnectionError("a message between processes is malformed")
        return message

    async def close(self) -> None:
        self._writer.close()
        try:
            await self._writer.wait_closed()
        except OSError:
            return
