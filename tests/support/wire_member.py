"""A member made of the wire alone: signalling messages and one encrypted path, nothing of the client.

For tests that must send what no client would, and as a bystander whose call must not suffer.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, Self

from websockets.asyncio.client import ClientConnection, connect

from rtc.header_extensions import AUDIO_LEVEL, MID, encode_audio_level, encode_mid
from rtc.invitation import Invitation
from rtc.rtp import RtpPacket
from rtc.sdp import Codec, MediaSection, SessionDescription
from rtc.transport import Certificate, ClientLink, PeerTransport

OPUS = Codec(111, "opus", 48000, 2, "minptime=10;useinbandfec=1")
VP8 = Codec(96, "VP8", 90000, 1, "", ("nack", "nack pli"))
RTX = Codec(97, "rtx", 90000, 1, "apt=96")
MID_ID, LEVEL_ID = 1, 2
#: An Opus packet of 20 ms of silence (CELT, fullband, mono).
SILENT_OPUS = b"\xf8\xff\xfe"
ANSWER_WITHIN = 15.0


class RefusedError(AssertionError):
    """The server refused a request."""

    def __init__(self, message: dict[str, Any]) -> None:
        super().__init__(str(message))
        self.code, self.sentence = message["code"], message["sentence"]


class WireMember:
    """`async with WireMember(link, name) as member`: in the room; media begins with `send_and_receive`."""

    def __init__(self, link: str, name: str) -> None:
        self.invitation = Invitation.parse(link)
        self.name = name
        self.welcome: dict[str, Any] = {}
        self.heard: list[dict[str, Any]] = []  # what the server said unasked
        self.rtp_received: Counter[int] = Counter()  # packets by SSRC
        self.transport: PeerTransport | None = None
        self.sent_datagrams: list[bytes] = []  # the last few, as they left, encrypted
        self.send_raw: Callable[[bytes], None] = lambda data: None  # a datagram from the path's own address
        self.socket: ClientConnection
        self._stack = AsyncExitStack()
        self._link: ClientLink | None = None
        self._reader: asyncio.Task[None] | None = None
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._numbers = iter(range(1, 1 << 30))
        self._sequence = random.randrange(1 << 15)
        self._ssrc = random.randrange(1, 1 << 32)

    async def __aenter__(self) -> Self:
        opening = connect(self.invitation.ws_url, max_size=1 << 20, open_timeout=20)
        self.socket = await self._stack.enter_async_context(opening)
        self._reader = asyncio.create_task(self._read())
        try:
            self.welcome = await self.request(self.hello())
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def hello(self) -> dict[str, Any]:
        return {
            "type": "session.hello",
            "protocol": [1],
            "client": "wire-member/0",
            "room": self.invitation.room,
            "token": self.invitation.token.reveal(),
            "name": self.name,
        }

    async def request(self, message: dict[str, Any]) -> dict[str, Any]:
        """Sends a request and returns its answer; raises RefusedError."""
        number = next(self._numbers)
        self._answers[number] = coming = asyncio.get_running_loop().create_future()
        await self.socket.send(json.dumps(message | {"id": number}))
        answer = await asyncio.wait_for(coming, ANSWER_WITHIN)
        if answer["type"] == "session.refused":
            raise RefusedError(answer)
        return answer

    async def send_and_receive(self, receive: list[str], kind: str = "audio") -> dict[str, Any]:
        """Opens the path: one own microphone in section 0, the producers of `receive` after it."""
        self._link = ClientLink()
        self.transport = PeerTransport(
            self._link, Certificate(), on_rtp=self._arrived, on_rtcp=lambda data, now: None
        )
        offer = SessionDescription(self.transport.local_parameters("active"))
        mine = self._section("audio", "0", "sendonly")
        mine.ssrcs, mine.cname, mine.stream_id = [self._ssrc], "wire", "wire"
        offer.sections.append(mine)
        for number, _ in enumerate(receive, 1):
            offer.sections.append(self._section(kind, str(number), "recvonly"))
        answer = await self.request(
            {
                "type": "media.offer",
                "sdp": str(offer),
                "send": [{"mid": "0", "source": "microphone"}],
                "receive": [{"mid": str(n), "producer": p} for n, p in enumerate(receive, 1)],
            }
        )
        remote = SessionDescription.parse(answer["sdp"]).transport
        await self.transport.connect(remote, dtls_role="client")
        self.send_raw = self._link.send

        def note_and_send(data: bytes) -> None:
            self.sent_datagrams = [*self.sent_datagrams[-199:], data]
            self.send_raw(data)

        self._link.send = note_and_send  # type: ignore[method-assign]
        return answer

    def speak(self) -> None:
        """One packet of 20 ms of sound."""
        assert self.transport is not None
        self._sequence += 1
        packet = RtpPacket(
            payload_type=OPUS.payload_type,
            sequence_number=self._sequence & 0xFFFF,
            timestamp=(self._sequence * 960) & 0xFFFFFFFF,
            ssrc=self._ssrc,
            marker=False,
            payload=self.sound(),
            extensions={MID_ID: encode_mid("0"), LEVEL_ID: encode_audio_level(False, 60)},
        )
        self.transport.send_rtp(packet.serialize())

    def sound(self) -> bytes:
        """The payload of the next packet."""
        return SILENT_OPUS

    @property
    def credentials(self) -> tuple[str, str]:
        """The user fragments of the path: the server's and ours."""
        assert self._link is not None
        return str(self._link._gatherer._connection.remote_username), self._link.ufrag

    @property
    def server_password(self) -> str:
        """What checks of the path are proven with; whoever overhears one does not learn it."""
        assert self._link is not None
        return str(self._link._gatherer._connection.remote_password)

    async def close(self) -> None:
        if self.transport is not None:
            await self.transport.close()
        await self._stack.aclose()
        if self._reader is not None:
            await self._reader

    @staticmethod
    def _section(kind: str, mid: str, direction: Any) -> MediaSection:
        codecs = [OPUS] if kind == "audio" else [VP8, RTX]
        extensions = {MID_ID: MID, LEVEL_ID: AUDIO_LEVEL}
        return MediaSection(kind, mid, direction, codecs=codecs, extensions=extensions)

    def _arrived(self, data: bytes, now: float) -> None:
        self.rtp_received[RtpPacket.parse(data).ssrc] += 1

    async def _read(self) -> None:
        async for text in self.socket:
            message = json.loads(text)
            waiting = self._answers.pop(message.get("re"), None)
            if waiting is not None and not waiting.done():
                waiting.set_result(message)
            else:
                self.heard.append(message)
