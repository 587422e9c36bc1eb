"""One encrypted path of a light member: what it sends, and an observer for each stream that comes."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from typing import Any, Final

from bench.loadbot.delays import Delays
from bench.loadbot.observer import Findings, StreamObserver
from bench.loadbot.sending import OPUS, VP8, Sending
from rtc.errors import PacketError
from rtc.rtcp import ReceiverReport, parse_compound
from rtc.sdp import TransportParameters
from rtc.transport import Certificate, ClientLink, PeerTransport

#: Streams of one path that are watched; more are counted as strangers.
_MAX_STREAMS: Final = 256
_REPORT_INTERVAL: Final = 1.0
_BLOCKS_PER_REPORT: Final = 31  # RFC 3550 section 6.4.1: a count of five bits


class MediaPath:
    """`connect`, then packets are watched; `publish` begins to send."""

    def __init__(self, certificate: Certificate, sending: Sending | None = None) -> None:
        self.sending = sending
        self.delays = Delays()
        self.observers: dict[int, StreamObserver] = {}
        self.strangers = 0
        self.transport = PeerTransport(
            ClientLink(), certificate, on_rtp=self._rtp, on_rtcp=self._rtcp, on_closed=self._closed
        )
        self.broken = False
        self._rtcp_ssrc = random.randrange(1, 1 << 32)
        self._tasks: list[asyncio.Task[None]] = []

    async def connect(self, remote: TransportParameters, dtls_role: str = "client") -> None:
        """Raises ConnectionError, whose text names the step."""
        await self.transport.connect(remote, dtls_role=dtls_role)
        self._tasks.append(asyncio.create_task(self._report()))
        if self.sending is not None:
            self._tasks.append(asyncio.create_task(self.sending.run(self.transport)))

    def expect(self, ssrc: int, kind: Any, sender: int | None) -> None:
        """Says who sends this stream; its packets may have begun to come before this was known."""
        self._observer(ssrc, kind).sender = sender

    async def stop_sending(self) -> None:
        """Sends nothing more; still watches."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task

    async def close(self) -> None:
        await self.stop_sending()
        await self.transport.close()

    def findings(self) -> Findings:
        total = Findings()
        for observer in self.observers.values():
            total.add(observer.findings)
        return total

    @property
    def packets(self) -> int:
        """Packets of all streams so far."""
        return sum(observer.packets for observer in self.observers.values())

    def _observer(self, ssrc: int, kind: Any) -> StreamObserver:
        observer = self.observers.get(ssrc)
        if observer is None:
            observer = self.observers[ssrc] = StreamObserver(kind, self.delays)
        return observer

    def _rtp(self, data: bytes, now: float) -> None:
        observer = self.observers.get(int.from_bytes(data[8:12], "big"))
        if observer is None:
            payload_type = data[1] & 0x7F if len(data) >= 12 else -1
            if payload_type not in (OPUS.payload_type, VP8.payload_type) or (
                len(self.observers) >= _MAX_STREAMS
            ):
                self.strangers += 1
                return
            kind = "audio" if payload_type == OPUS.payload_type else "video"
            observer = self._observer(int.from_bytes(data[8:12], "big"), kind)
        observer.packet(data, now)

    def _rtcp(self, data: bytes, now: float) -> None:
        if self.sending is not None:
            with suppress(PacketError):
                self.sending.handle_rtcp(parse_compound(data), self.transport, now)

    def _closed(self) -> None:
        self.broken = True

    async def _report(self) -> None:
        """Receiver reports each second, as any member sends them."""
        await asyncio.sleep(random.random() * _REPORT_INTERVAL)
        while True:
            blocks = [b for ssrc, o in self.observers.items() if (b := o.report_block(ssrc)) is not None]
            for begin in range(0, len(blocks), _BLOCKS_PER_REPORT):
                report = ReceiverReport(self._rtcp_ssrc, tuple(blocks[begin : begin + _BLOCKS_PER_REPORT]))
                self.transport.send_rtcp(report.serialize())
            await asyncio.sleep(_REPORT_INTERVAL)
