"""Two ends of one path over a real UDP port on loopback."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

from rtc.fanout import DROP, Record
from rtc.rtp import RtpPacket
from rtc.sdp import TransportParameters
from rtc.server_transport import ServerTransport
from rtc.transport import Certificate, ClientLink, PeerTransport
from rtc.udp_mux import MuxLink, UdpMux

PATIENCE = 10.0  # seconds, only a broken path takes that long
SERVER, CLIENT = Certificate(), Certificate()


def packet(number: int, size: int = 50) -> bytes:
    return RtpPacket(96, number & 0xFFFF, number * 90, 7, False, bytes(size)).serialize()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - sockets set no events
            await asyncio.sleep(0.005)


class ServerEnd(ServerTransport):
    """Sends packets of its own, as the plane does for destinations."""

    def send_rtp(self, data: bytes) -> None:
        self._link.mux.fanout.send_rtp(self.peer, data, self._link.mux.now())
        self._link.mux.wake()

    def send_rtcp(self, data: bytes) -> None:
        self._link.mux.fanout.send_rtcp(self.peer, data, self._link.mux.now())
        self._link.mux.wake()


class Pair:
    """Both ends with what arrived at each."""

    def __init__(self, mux: UdpMux, host: str) -> None:
        self.mux = mux
        self.link: MuxLink = mux.link()
        self.client_link = ClientLink()
        self.at_server: list[bytes] = []
        self.at_client: list[bytes] = []
        self.rtcp_at_server: list[bytes] = []
        self.rtcp_at_client: list[bytes] = []
        self.closed: list[str] = []
        self.server = ServerEnd(
            self.link,
            mux.candidates([host]),
            SERVER,
            on_media=self._media,
            on_rtcp=lambda data, now: self.rtcp_at_server.append(data),
            on_closed=lambda: self.closed.append("server"),
        )
        self.client = PeerTransport(
            self.client_link,
            CLIENT,
            on_rtp=lambda data, now: self.at_client.append(data),
            on_rtcp=lambda data, now: self.rtcp_at_client.append(data),
            on_closed=lambda: self.closed.append("client"),
        )
        self.told_server: TransportParameters = self.client.local_parameters("actpass")
        self.told_client: TransportParameters = self.server.local_parameters("passive")

    def _media(self, record: Record, index: int, now: int) -> int:
        self.at_server.append(self.mux.fanout.packet(index))
        return DROP

    async def connect(self) -> list[BaseException | None]:
        """Both at once; what each raised."""
        raised = await asyncio.gather(
            self.server.connect(self.told_server),
            self.client.connect(self.told_client, dtls_role="client"),
            return_exceptions=True,
        )
        return list(raised)

    async def close(self) -> None:
        await self.client.close()
        await self.server.close()


@contextlib.asynccontextmanager
async def pair(host: str = "127.0.0.1", *, connected: bool = True) -> AsyncIterator[Pair]:
    mux = await UdpMux.open(host, 0)
    both = Pair(mux, host)
    try:
        if connected:
            assert await both.connect() == [None, None]
        yield both
    finally:
        await both.close()
        await mux.close()
