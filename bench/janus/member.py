"""A light member in a videoroom of Janus: one path to publish, one that receives all others."""

from __future__ import annotations

import asyncio
import time
from typing import Any, Final

from websockets.exceptions import WebSocketException

from bench.janus.api import JanusSession
from bench.loadbot.formats import section
from bench.loadbot.member import LoadError
from bench.loadbot.path import MediaPath
from bench.loadbot.plane import Plane
from bench.loadbot.sending import Sending
from rtc.sdp import SdpError, SessionDescription
from rtc.transport import Certificate

ROOM: Final = 4711
#: Seconds until all publishers must be there.
_PUBLISHERS_TIMEOUT: Final = 30.0


class JanusMember:
    """Its number is its display name, so that the others know whose streams they get."""

    def __init__(
        self,
        number: int,
        url: str,
        plane: Plane,
        certificate: Certificate,
        sending: Sending | None,
        publishers: int,
    ) -> None:
        self.number = number
        self.failure = ""
        self.join_seconds: float | None = None
        self.speakers: list[str | None] = []
        self.lowered = 0
        self.paths: list[MediaPath] = []
        self._url, self._plane, self._certificate = url, plane, certificate
        self._sending, self._publishers = sending, publishers
        self._session = JanusSession()

    async def join(self) -> None:
        """Publishes, waits for the other publishers and receives them. Raises LoadError."""
        began = time.monotonic()
        try:
            await self._session.open(self._url)
            handle = await self._session.attach()
            await self._open_room(handle)
            if self._sending is not None:
                await self._publish(handle, self._sending)
            feeds = await self._others(handle)
            if feeds:
                await self._subscribe(feeds)
        except (OSError, TimeoutError, WebSocketException, SdpError, KeyError) as error:
            raise LoadError(f"Member {self.number} could not join Janus: {error!r}.") from error
        self.join_seconds = time.monotonic() - began

    def begin(self) -> None:
        """Nothing changes when everybody is there."""

    async def stop_sending(self) -> None:
        for path in self.paths:
            await path.stop_sending()

    async def close(self) -> None:
        for path in self.paths:
            await path.close()
        await self._session.close()

    async def _open_room(self, handle: int) -> None:
        answer, _ = await self._session.ask(handle, {"request": "exists", "room": ROOM})
        if answer.get("exists"):
            return
        room = {
            "request": "create",
            "room": ROOM,
            "publishers": 100,
            "bitrate": 4_000_000,
            "audiocodec": "opus",
            "videocodec": "vp8",
            "audiolevel_ext": True,
        }
        try:
            await self._session.ask(handle, room)
        except LoadError as error:
            if "exists" not in str(error):  # another member was quicker
                raise

    async def _publish(self, handle: int, sending: Sending) -> None:
        join = {"request": "join", "ptype": "publisher", "room": ROOM, "display": str(self.number)}
        await self._session.ask(handle, join)
        path = MediaPath(self._plane, self._certificate, sending)
        self.paths.append(path)
        offer = SessionDescription(path.local_parameters("actpass"), sending.sections())
        _, sdp = await self._session.ask(handle, {"request": "publish"}, {"type": "offer", "sdp": str(offer)})
        answer = SessionDescription.parse(sdp)
        path.agree(answer.sections)
        remote = answer.transport
        await path.connect(remote, "server" if remote.setup == "active" else "client")

    async def _others(self, handle: int) -> dict[int, int]:
        """Feed -> number of the light member, of all publishers but ourselves, once all are there."""
        deadline = time.monotonic() + _PUBLISHERS_TIMEOUT
        while True:
            answer, _ = await self._session.ask(handle, {"request": "listparticipants", "room": ROOM})
            there = [p for p in answer["participants"] if p.get("publisher")]
            if len(there) >= self._publishers:
                return {p["id"]: int(p["display"]) for p in there if int(p["display"]) != self.number}
            if time.monotonic() > deadline:
                raise LoadError(f"Only {len(there)} of {self._publishers} publishers came to Janus.")
            await asyncio.sleep(0.2)

    async def _subscribe(self, feeds: dict[int, int]) -> None:
        handle = await self._session.attach()
        join: dict[str, Any] = {
            "request": "join",
            "ptype": "subscriber",
            "room": ROOM,
            "streams": [{"feed": feed} for feed in feeds],
        }
        answer, sdp = await self._session.ask(handle, join)
        offered = SessionDescription.parse(sdp)
        path = MediaPath(self._plane, self._certificate)
        self.paths.append(path)
        reply = SessionDescription(path.local_parameters("active"))
        senders = {stream["mid"]: feeds.get(stream.get("feed_id")) for stream in answer["streams"]}
        for theirs in offered.sections:
            reply.sections.append(section(theirs.kind, theirs.mid, "recvonly"))
            reply.sections[-1].codecs = theirs.codecs
            reply.sections[-1].extensions = theirs.extensions
            number = senders.get(theirs.mid)
            path.expect(theirs, None if number is None else frozenset((number,)))
        path.agree(reply.sections)
        await self._session.ask(handle, {"request": "start"}, {"type": "answer", "sdp": str(reply)})
        await path.connect(offered.transport)
