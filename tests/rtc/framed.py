"""A client whose network lets TCP through and nothing else."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from rtc import checks
from rtc.mux_link import MuxLink
from rtc.sdp import Candidate, TransportParameters
from tests.rtc.checking import answer, binding, check


def frame(data: bytes) -> bytes:
    """With its length before it (RFC 4571)."""
    return len(data).to_bytes(2, "big") + data


class Framed:
    """One connection, frame by frame."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def to(cls, host: str, port: int) -> Framed:
        return cls(*await asyncio.open_connection(host, port))

    @property
    def own_address(self) -> tuple[str, int]:
        host, port = self.writer.get_extra_info("sockname")[:2]
        return host, port

    def send(self, *datagrams: bytes) -> None:
        self.writer.write(b"".join(map(frame, datagrams)))

    async def next(self) -> bytes:
        """The next datagram; raises EOFError or ConnectionError when the other end has hung up."""
        size = int.from_bytes(await self.reader.readexactly(2), "big")
        return await self.reader.readexactly(size)

    async def check(self, link: MuxLink) -> bytes:
        """Proves itself; the answer."""
        self.send(check(link))
        return await self.next()

    async def ended(self) -> bool:
        """True when the other end has hung up, whatever came before."""
        with contextlib.suppress(ConnectionError):
            while await self.reader.read(65536):
                pass
        return True

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()


class FramedLink:
    """Carries a PeerTransport over a candidate of TCP: what ClientLink does over UDP."""

    role, state = "controlling", "completed"

    def __init__(self) -> None:
        self.ufrag, self.password = "client", "p" * 24
        self.connection: Framed | None = None
        self._media: Callable[[bytes], None] | None = None
        self._others: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._reading: asyncio.Task[None] | None = None

    def candidates(self) -> list[Candidate]:
        return []

    async def establish(self, remote: TransportParameters) -> FramedLink:
        there = next(c for c in remote.candidates if c.tcp_type == "passive")
        connection = self.connection = await Framed.to(there.host, there.port)
        connection.send(binding(f"{remote.ufrag}:{self.ufrag}", remote.password, nominate=True))
        heard = await connection.next()
        if not checks.is_answer(heard):  # the server asks back as soon as it knows our password
            connection.send(answer(heard, self.password))
            await connection.next()
        self._reading = asyncio.create_task(self._read(connection))
        return self

    def take_media(self, sink: Callable[[bytes], None]) -> None:
        self._media = sink

    def send(self, data: bytes) -> None:
        if self.connection is not None:
            self.connection.send(data)

    async def _send(self, data: bytes) -> None:
        self.send(data)

    async def _recv(self) -> bytes:
        data = await self._others.get()
        if data is None:
            raise ConnectionError("the server has hung up")
        return data

    async def close(self) -> None:
        if self.connection is not None:
            await self.connection.close()
        if self._reading is not None:
            await self._reading

    async def _read(self, connection: Framed) -> None:
        try:
            while True:
                data = await connection.next()
                if 128 <= data[0] < 192 and self._media is not None:
                    self._media(data)
                else:
                    self._others.put_nowait(data)
        except (EOFError, ConnectionError):
            self._others.put_nowait(None)
