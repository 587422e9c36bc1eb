"""A room at work: carries out what `Room` decides, over connections and the room's media."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from rtc.signalling import Message, ProtocolError, media
from server_lite import room as events
from server_lite.media_room import Accepted, Agreement, Events, MediaSnapshot
from server_lite.negotiation import agreed_sources
from server_lite.room import Event, Room

log = logging.getLogger(__name__)

#: Seconds until lost members are looked for again where a look failed. Longer keeps dead tiles on the screen.
AGAIN_S = 0.1


class Connection(Protocol):
    """The signalling connection of one member."""

    def tell(self, message: Message) -> None: ...

    def close(self, code: str, sentence: str) -> None: ...


class Media(Protocol):
    """A room's media, in this process or in another (MediaRoom tells what each does)."""

    async def accept(self, member: str, offer: media.Offer) -> Accepted: ...

    async def commit(self, member: str, agreement: Agreement) -> str: ...

    def abandon(self, member: str) -> None: ...

    def select(self, member: str, wanted: Mapping[str, str | None]) -> None: ...

    def view(self, member: str, sizes: Mapping[str, int], main: str | None) -> None: ...

    def pause(self, producer: str, paused: bool) -> None: ...

    def remove(self, member: str) -> None: ...

    def snapshot(self) -> MediaSnapshot: ...

    def dump(self) -> dict[str, object]: ...

    async def close(self) -> None: ...


class Meeting:
    """One room with its media. `open_media(meeting)` makes the media, which tells `meeting` what happens."""

    def __init__(self, room: Room, open_media: Callable[[Events], Media]) -> None:
        self.room = room
        self.media = open_media(self)
        self._connections: dict[str, Connection] = {}
        self._sections: dict[str, set[str]] = {}  # member -> mids in which it receives
        self._timer: asyncio.TimerHandle | None = None  # for the next who has been lost for too long

    def join(self, event: events.Join, connection: Connection) -> str:
        """Lets somebody in; returns the member's id. Raises ProtocolError."""
        now = time.monotonic()
        effects = self.room.handle(event, now)
        admitted = next(e for e in effects if isinstance(e, events.Admitted))
        old = self._connections.get(admitted.member)
        self._connections[admitted.member] = connection
        if old is not None:
            old.close("replaced", "You joined again from elsewhere.")
        self._carry_out(effects)
        return admitted.member

    def happened(self, event: Event) -> None:
        """Anything but a join. Raises ProtocolError where the room refuses it."""
        self._carry_out(self.room.handle(event, time.monotonic()))
        self._await_lost()

    def connection_lost(self, member: str, connection: Connection) -> None:
        """The signalling connection broke, unless another one has taken over already."""
        if self._connections.get(member) is connection:
            del self._connections[member]
            self.happened(events.ConnectionLost(member))

    async def offer(self, member: str, offer: media.Offer) -> media.Answer:
        """Answers an offer and starts what it agrees on. Raises ProtocolError; then nothing was changed."""
        accepted = await self.media.accept(member, offer)
        if member not in self.room:
            self.media.remove(member)
            raise ProtocolError("left", "You left the meeting.", offer.id)
        try:
            sources = agreed_sources(accepted.producers, {s.mid: s.source for s in offer.send})
            effects = self.room.handle(events.Publish(member, sources), time.monotonic())
        except ProtocolError:
            self.media.abandon(member)
            raise
        published = next(e for e in effects if isinstance(e, events.Published))
        wanted = {r.mid: r.producer for r in offer.receive}
        self._sections[member] = set(wanted)
        agreement = Agreement(published.producers, dict(sources), tuple(published.ended), wanted)
        sdp = await self.media.commit(member, agreement)
        self._carry_out(effects)
        return media.Answer(re=offer.id, sdp=sdp, producers=published.producers)

    def select(self, member: str, wanted: Iterable[media.Receiving]) -> None:
        """Other producers into sections that exist. Raises ProtocolError for a section that does not."""
        sections = self._sections.get(member, set())
        items = {item.mid: item.producer for item in wanted}
        for mid in items:
            if mid not in sections:
                raise ProtocolError("section-unknown", f"There is no receiving section {mid!r}.")
        self.media.select(member, items)

    def view(self, member: str, sizes: Mapping[str, int], main: str | None) -> None:
        """What the member shows, and how large."""
        self.media.view(member, sizes, main)

    def speaker_changed(self, member: str | None) -> None:
        self.happened(events.SpeakerChanged(member))

    def states_changed(self, member: str, states: Mapping[str, tuple[str, str]]) -> None:
        """Tells a member which of its pictures are lowered or paused, and why."""
        connection = self._connections.get(member)
        if connection is None:
            return
        for producer, (state, reason) in states.items():
            connection.tell(
                media.Forwarded.model_validate({"producer": producer, "state": state, "reason": reason})
            )

    def voices_changed(self, member: str, voices: Mapping[str, str | None]) -> None:
        """Tells a member whose voice its sections carry."""
        connection = self._connections.get(member)
        if connection is not None:
            for mid, producer in voices.items():
                connection.tell(media.Voice(mid=mid, producer=producer))

    def dump(self) -> dict[str, object]:
        return {**self.room.dump(), "media": self.media.dump()}

    def connected_members(self) -> int:
        return len(self._connections)

    async def close(self, code: str, sentence: str) -> None:
        for connection in list(self._connections.values()):
            connection.close(code, sentence)
        if self._timer is not None:
            self._timer.cancel()
        await self.media.close()

    def _carry_out(self, effects: Iterable[events.Effect]) -> None:
        for effect in effects:
            match effect:
                case events.Tell():
                    connection = self._connections.get(effect.to)
                    if connection is not None:
                        connection.tell(effect.message)
                case events.PauseProducer():
                    self.media.pause(effect.producer, effect.paused)
                case events.Gone():
                    self._remove(effect.member)

    def _remove(self, member: str) -> None:
        self.media.remove(member)
        self._sections.pop(member, None)
        connection = self._connections.pop(member, None)
        if connection is not None:
            connection.close("left", "You left the meeting.")

    def _await_lost(self, *, again: bool = False) -> None:
        """Looks when the place of the next lost member ends; `again`: the last look failed."""
        due = self.room.next_overdue
        if self._timer is None and due is not None:
            wait = AGAIN_S if again else max(due - time.monotonic(), 0.001)
            self._timer = asyncio.get_running_loop().call_later(wait, self._look_for_lost)

    def _look_for_lost(self) -> None:
        self._timer = None
        try:
            self.happened(events.Tick())
        except Exception:  # else lost members would stay for ever
            log.exception("a look for lost members failed")
            self._await_lost(again=True)
