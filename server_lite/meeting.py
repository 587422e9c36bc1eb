"""A room at work: carries out what `Room` and `Router` decide, over connections and media paths."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable
from typing import Protocol

from rtc.rtp import is_rtcp
from rtc.signalling import Message, ProtocolError, media
from server_lite import room as events
from server_lite.negotiation import Plan, agreed_sources
from server_lite.peer import MediaPort, Peer
from server_lite.room import Event, Room
from server_lite.router import Router, Send

log = logging.getLogger(__name__)

#: Seconds between ticks of the router: how late a repair or a key frame may be asked for. Lower costs CPU
#: even in quiet rooms.
TICK_S = 0.02


class Connection(Protocol):
    """The signalling connection of one member."""

    def tell(self, message: Message) -> None: ...

    def close(self, code: str, sentence: str) -> None: ...


class Meeting:
    """One room with its media."""

    def __init__(self, room: Room, router: Router, port: MediaPort) -> None:
        self.room, self.router = room, router
        self._port = port
        self._peers: dict[str, Peer] = {}
        self._connections: dict[str, Connection] = {}
        self._wanted: dict[str, dict[str, str | None]] = {}  # member -> mid -> producer
        self._plans: dict[str, Plan] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._ticker: asyncio.Task[None] | None = None
        self._speaker: str | None = None
        self.undecryptable = 0  # packets of members who left

    def join(self, event: events.Join, connection: Connection) -> str:
        """Lets somebody in; returns the member's id. Raises ProtocolError."""
        now = time.monotonic()
        effects = self.room.handle(event, now)
        admitted = next(e for e in effects if isinstance(e, events.Admitted))
        old = self._connections.get(admitted.member)
        self._connections[admitted.member] = connection
        if old is not None:
            old.close("replaced", "You joined again from elsewhere.")
        if admitted.member not in self._peers:
            self._peers[admitted.member] = self._new_peer(admitted.member)
        if self._ticker is None:
            self._ticker = asyncio.get_running_loop().create_task(self._tick())
        self._carry_out(effects, now)
        return admitted.member

    def happened(self, event: Event) -> None:
        """Anything but a join. Raises ProtocolError where the room refuses it."""
        now = time.monotonic()
        self._carry_out(self.room.handle(event, now), now)

    def connection_lost(self, member: str, connection: Connection) -> None:
        """The signalling connection broke, unless another one has taken over already."""
        if self._connections.get(member) is connection:
            del self._connections[member]
            self.happened(events.ConnectionLost(member))

    def offer(self, member: str, offer: media.Offer) -> media.Answer:
        """Answers an offer and starts what it agrees on. Raises ProtocolError; then nothing was changed."""
        peer = self._peers[member]
        acceptance = peer.accept(offer)
        plan = acceptance.plan
        now = time.monotonic()
        try:
            sources = agreed_sources(plan, {s.mid: s.source for s in offer.send})
            effects = self.room.handle(events.Publish(member, sources), now)
        except ProtocolError:
            peer.abandon(acceptance)
            raise
        published = next(e for e in effects if isinstance(e, events.Published))
        peer.commit(acceptance)
        self._plans[member] = plan
        self._wanted[member] = {r.mid: r.producer for r in offer.receive}
        for ended in published.ended:  # first: what begins may use the same SSRC
            self.router.remove_producer(ended)
        for producer in plan.producers:
            self.router.add_producer(
                published.producers[producer.mid], member, producer, restarted=acceptance.fresh
            )
        self._carry_out(effects, now)
        if peer.connected:
            self._start_receiving(member)
        else:
            self.router.set_consumers(member, ())
        return media.Answer(re=offer.id, sdp=str(plan.answer), producers=published.producers)

    def select(self, member: str, wanted: Iterable[media.Receiving]) -> None:
        """Other producers into sections that exist. Raises ProtocolError for a section that does not."""
        sections = self._wanted.get(member, {})
        items = list(wanted)
        for item in items:
            if item.mid not in sections:
                raise ProtocolError("section-unknown", f"There is no receiving section {item.mid!r}.")
        for item in items:
            sections[item.mid] = item.producer
        if self._peers[member].connected:
            self._show(member)

    def dump(self) -> dict[str, object]:
        return {**self.room.dump(), "media": self.router.dump()}

    def connected_members(self) -> int:
        return len(self._connections)

    def dropped(self) -> int:
        return self.undecryptable + sum(p.dropped for p in self._peers.values())

    async def close(self, code: str, sentence: str) -> None:
        for connection in list(self._connections.values()):
            connection.close(code, sentence)
        if self._ticker is not None:
            self._ticker.cancel()
            await asyncio.gather(self._ticker, return_exceptions=True)
            self._ticker = None
        await asyncio.gather(*(p.close() for p in self._peers.values()), *self._closing)
        self._peers.clear()

    def _new_peer(self, member: str) -> Peer:
        def on_packet(packet: bytes, now: float) -> None:
            self._deliver(self.router.handle_packet(member, packet, now))

        return Peer(
            self._port,
            on_packet,
            on_connected=lambda: self._start_receiving(member),
            on_disconnected=lambda: self.router.set_consumers(member, ()),
        )

    def _carry_out(self, effects: Iterable[events.Effect], now: float) -> None:
        for effect in effects:
            match effect:
                case events.Tell():
                    connection = self._connections.get(effect.to)
                    if connection is not None:
                        connection.tell(effect.message)
                case events.PauseProducer():
                    self._deliver(self.router.pause(effect.producer, effect.paused, now))
                case events.Gone():
                    self._remove(effect.member)

    def _remove(self, member: str) -> None:
        self.router.remove_member(member)
        self._wanted.pop(member, None)
        self._plans.pop(member, None)
        connection = self._connections.pop(member, None)
        if connection is not None:
            connection.close("left", "You left the meeting.")
        peer = self._peers.pop(member, None)
        if peer is not None:
            self.undecryptable += peer.dropped
            task = asyncio.get_running_loop().create_task(peer.close())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    def _start_receiving(self, member: str) -> None:
        # Not before the path is up: a key frame sent into the void would be missed.
        plan = self._plans.get(member)
        if plan is not None:
            self.router.set_consumers(member, plan.consumers)
            self._show(member)

    def _show(self, member: str) -> None:
        now = time.monotonic()
        for mid, producer in self._wanted.get(member, {}).items():
            self._deliver(self.router.show(member, mid, producer, now))

    def _deliver(self, sends: list[Send]) -> None:
        peers = self._peers
        for send in sends:
            peer = peers.get(send.member)
            if peer is not None:
                peer.send(send.packet, is_rtcp(send.packet))

    def _time_passed(self, now: float) -> None:
        self._deliver(self.router.tick(now))
        self.happened(events.Tick())
        if self.router.speaker.current != self._speaker:
            self._speaker = self.router.speaker.current
            self.happened(events.SpeakerChanged(self._speaker))

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            try:
                self._time_passed(time.monotonic())
            except Exception:  # else lost members would stay for ever and nothing be repaired any more
                log.exception("a tick of the meeting failed")
            if not self._peers and not len(self.room):
                self._ticker = None
                return
