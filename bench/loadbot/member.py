"""One light member of a Hearth meeting: its control connection, and the path that follows it."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, TypeVar

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from bench.loadbot.formats import section
from bench.loadbot.path import MediaPath
from bench.loadbot.scenarios import Scenario
from bench.loadbot.sending import SOUND_MID
from rtc.invitation import Invitation
from rtc.sdp import SdpError, SessionDescription
from rtc.signalling import MAX_STREAMS, Message, Request, dump_message, parse_server_message
from rtc.signalling import media as media_messages
from rtc.signalling import session as session_messages
from server_lite.voices import VOICE

#: Seconds for an answer, and to let changes gather before they are offered.
ANSWER_TIMEOUT: Final = 30.0
_GATHER: Final = 0.1
_MESSAGE_BYTES: Final = 1 << 20
_NAME: Final = "load-"

Answer = TypeVar("Answer", bound=Message)


class LoadError(RuntimeError):
    """A light member could not do its part; the text is a sentence."""


@dataclass(slots=True)
class _Slot:
    """One receiving section. `producer` is None when what it carried has ended, VOICE for loud voices."""

    mid: str
    kind: str
    producer: str | None
    member: str
    ssrc: int = 0


class HearthMember:
    """`join`, then it receives whatever the others send until `close`."""

    def __init__(
        self,
        number: int,
        invitation: Invitation,
        path: MediaPath,
        scenario: Scenario,
        publishers: int,
    ):
        self.number = number
        self.path = path
        self.failure = ""
        self.join_seconds: float | None = None
        self.speakers: list[str | None] = []  # names, as they were announced
        self.lowered = 0  # pictures of which the server said that it leaves something out
        self._invitation, self._scenario, self._publishers = invitation, scenario, publishers
        self._sending = path.sending
        self._id = ""
        self._numbers: dict[str, int] = {}  # member id -> number of the light member
        self._slots = [_Slot(str(place + 2), "audio", VOICE, "") for place in range(scenario.voice_sections)]
        self._agreed = -1  # how many slots the last answer covered
        self._main: str | None = None  # the member that is shown large
        self._viewed: object = None
        self._socket: ClientConnection | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._answers: dict[int, asyncio.Future[Message]] = {}
        self._requests = iter(range(1, 1 << 31))
        self._changed = asyncio.Event()

    @property
    def paths(self) -> list[MediaPath]:
        return [self.path]

    async def join(self) -> None:
        """Comes in and opens the path. Raises LoadError."""
        began = time.monotonic()
        try:
            self._socket = await connect(
                self._invitation.ws_url, max_size=_MESSAGE_BYTES, open_timeout=ANSWER_TIMEOUT
            )
            self._tasks.append(asyncio.create_task(self._read(self._socket)))
            welcome = await self._ask(self._hello(), session_messages.Welcome)
            self._id = welcome.member
            for member in welcome.members:
                self._meet(member)
            await self._negotiate()
        except (OSError, TimeoutError, WebSocketException, SdpError) as error:
            raise LoadError(
                f"Member {self.number} could not join: {error or type(error).__name__}."
            ) from error
        self.join_seconds = time.monotonic() - began
        self._tasks.append(asyncio.create_task(self._follow()))

    def begin(self) -> None:
        """Everybody is there: from now on only those who talk may be heard in the sections for loud
        voices."""
        talking = self._scenario.talking(self._publishers)
        for slot in self._slots:
            if slot.producer == VOICE and slot.ssrc in self.path.observers:
                self.path.observers[slot.ssrc].only(talking)

    async def stop_sending(self) -> None:
        await self.path.stop_sending()

    async def close(self) -> None:
        await self.path.close()
        if self._socket is not None:
            await self._socket.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _hello(self) -> session_messages.Hello:
        return session_messages.Hello(
            id=next(self._requests),
            protocol=[1],
            client="hearth-loadbot",
            room=self._invitation.room,
            token=self._invitation.token,
            name=f"{_NAME}{self.number}",
            microphone=self._sending is not None,
            camera=self._sending is not None and self._sending.video,
        )

    async def _ask(self, request: Request, kind: type[Answer]) -> Answer:
        if self._socket is None:
            raise LoadError(f"Member {self.number} is not connected.")
        coming = self._answers[request.id] = asyncio.get_running_loop().create_future()
        try:
            await self._socket.send(dump_message(request))
            answer = await asyncio.wait_for(coming, ANSWER_TIMEOUT)
        finally:
            self._answers.pop(request.id, None)
        if isinstance(answer, session_messages.Refused):
            raise LoadError(f"The server refused member {self.number}: {answer.sentence} ({answer.code})")
        if not isinstance(answer, kind):
            raise LoadError(f"The server gave member {self.number} another answer than it asked for.")
        return answer

    async def _read(self, socket: ClientConnection) -> None:
        with suppress(WebSocketException, OSError):
            async for text in socket:
                message = parse_server_message(text)
                waiting = self._answers.get(getattr(message, "re", None) or 0)
                if waiting is not None and not waiting.done():
                    waiting.set_result(message)
                else:
                    self._heard(message)
        for waiting in self._answers.values():
            if not waiting.done():
                waiting.set_exception(ConnectionError("the control connection has ended"))

    def _heard(self, message: Message) -> None:
        match message:
            case session_messages.Joined(member=member) | session_messages.Changed(member=member):
                self._meet(member)
            case media_messages.Produced(producer=producer):
                self._show(producer)
            case media_messages.Unproduced(producer=ended):
                for slot in self._slots:
                    if slot.producer == ended:
                        slot.producer = None
            case media_messages.Speaker(member=speaker):
                number = self._numbers.get(speaker) if speaker is not None else None
                self.speakers.append(None if number is None else f"{_NAME}{number}")
                if speaker is not None:
                    self._main = speaker
                    self._changed.set()
            case media_messages.Forwarded(state=state, reason=reason):
                self.lowered += state != "full" and reason == "load"
            case session_messages.Closing(sentence=sentence):
                self.failure = self.failure or sentence

    def _meet(self, member: session_messages.Member) -> None:
        if member.name.startswith(_NAME) and member.name[len(_NAME) :].isdigit():
            self._numbers[member.id] = int(member.name[len(_NAME) :])
        for producer in member.producers:
            self._show(producer)

    def _show(self, producer: media_messages.Producer) -> None:
        """Wants the producer; the next offer has a section for it, as long as an offer may grow."""
        if producer.member == self._id or any(slot.producer == producer.id for slot in self._slots):
            return
        if producer.kind == "audio" and self._scenario.voice_sections:
            return
        number = self._numbers.get(producer.member, 0)
        if producer.kind == "video" and number >= self._scenario.shown(self._publishers):
            return
        if len(self._slots) < MAX_STREAMS - 2:
            mid = str(len(self._slots) + 2)
            self._slots.append(_Slot(mid, producer.kind, producer.id, producer.member))
            self._changed.set()

    async def _follow(self) -> None:
        """Offers anew whenever there is more to receive, and says what is shown how large."""
        try:
            while True:
                await self._changed.wait()
                await asyncio.sleep(_GATHER)
                self._changed.clear()
                if len(self._slots) > self._agreed:
                    await self._negotiate()
                await self._view()
        except (LoadError, OSError, TimeoutError, WebSocketException, SdpError) as error:
            self.failure = str(error) or f"Member {self.number} got no answer in time."

    async def _view(self) -> None:
        """The speaker large, or until one is named the first member; the others small."""
        if self._scenario.sizes is None:
            return
        large, small = self._scenario.sizes
        pictures = {
            slot.producer: slot.member for slot in self._slots if slot.kind == "video" and slot.producer
        }
        main = self._main
        if main not in pictures.values():
            main = next((m for m in pictures.values() if self._numbers.get(m) == 0), None)
        sizes = {producer: large if member == main else small for producer, member in pictures.items()}
        big = next((producer for producer, member in pictures.items() if member == main), None)
        if sizes and (sizes, big) != self._viewed:
            self._viewed = (sizes, big)
            request = media_messages.View(id=next(self._requests), sizes=sizes, main=big)
            await self._ask(request, media_messages.Viewed)

    async def _negotiate(self) -> None:
        slots = list(self._slots)
        offer = SessionDescription(self.path.local_parameters("active"))
        offer.sections = [] if self._sending is None else self._sending.sections()
        sources: list[media_messages.Sending] = []
        for made in offer.sections:
            source: media_messages.Source = "microphone" if made.mid == SOUND_MID else "camera"
            sources.append(media_messages.Sending(mid=made.mid, source=source))
        offer.sections += [section(slot.kind, slot.mid, "recvonly") for slot in slots]
        if not offer.sections:
            return  # nothing to say yet: an offer has at least one section
        request = media_messages.Offer(
            id=next(self._requests),
            sdp=str(offer),
            send=sources,
            receive=[media_messages.Receiving(mid=slot.mid, producer=slot.producer) for slot in slots],
        )
        answer = await self._ask(request, media_messages.Answer)
        description = SessionDescription.parse(answer.sdp)
        self.path.agree(description.sections)
        for slot in slots:
            agreed = description.section(slot.mid)
            if agreed is not None and agreed.ssrcs:
                slot.ssrc = agreed.ssrcs[0]
                self.path.expect(agreed, self._senders(slot))
        first, self._agreed = self._agreed < 0, len(slots)
        if first:
            await self.path.connect(description.transport)

    def _senders(self, slot: _Slot) -> frozenset[int] | None:
        if slot.producer == VOICE:
            return frozenset(range(self._publishers))
        number = self._numbers.get(slot.member)
        return None if number is None else frozenset((number,))
