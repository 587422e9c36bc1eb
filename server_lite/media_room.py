"""The media of one room at work: its members' paths, and the router that joins them.

Runs where the media port is: in the server's process, or in a worker's (server_lite/workers.py). What is
asked of it, and what it tells, is plain data, so that both are the same to the meeting.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from rtc.signalling import ProtocolError, media
from server_lite.config import Settings
from server_lite.ladder import Caps
from server_lite.observers import Counters
from server_lite.peer import Acceptance, MediaPort, Peer
from server_lite.router import Router

log = logging.getLogger(__name__)

#: Seconds between ticks of the router while something is missing, while a path is being tried out, and
#: otherwise: how late a repair or a key frame may be asked for, an estimate be looked at, and somebody be
#: noticed who speaks. Lower costs CPU, the last one even in quiet rooms.
TICK_S, TRYING_TICK_S, QUIET_TICK_S = 0.02, 0.05, 0.1


@dataclass(frozen=True, slots=True)
class Accepted:
    """An offer that can be agreed to: what it would send, (mid, kind) each."""

    producers: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Agreement:
    """What the room made of an accepted offer: the ids of what it sends, and what is wanted."""

    producers: Mapping[str, str]  # mid -> id
    sources: Mapping[str, media.Source]  # mid -> source
    ended: tuple[str, ...]  # producers that are no more
    wanted: Mapping[str, str | None]  # receiving mid -> producer


@dataclass(frozen=True, slots=True)
class MediaSnapshot:
    """Counts of one room's media."""

    counters: Counters = field(default_factory=Counters)


class Events(Protocol):
    """What a room's media tells."""

    def speaker_changed(self, member: str | None) -> None: ...

    def states_changed(self, member: str, states: Mapping[str, tuple[str, str]]) -> None:
        """Pictures that are lowered or paused for a receiver: producer -> (state, reason)."""

    def voices_changed(self, member: str, voices: Mapping[str, str | None]) -> None:
        """Whose voice a receiver's sections carry from now on: mid -> producer."""


class MediaRoom:
    """The media of one room over `port`; `events` hears what happens, `on_closed` once when it has ended."""

    def __init__(
        self, port: MediaPort, settings: Settings, events: Events, on_closed: Callable[[], None]
    ) -> None:
        self.router = Router(
            port.mux.fanout, settings, events.states_changed, events.voices_changed, self._hurry
        )
        self._port, self._events, self._on_closed = port, events, on_closed
        self._peers: dict[str, Peer] = {}
        self._wanted: dict[str, dict[str, str | None]] = {}  # member -> mid -> producer
        self._accepted: dict[str, Acceptance] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._speaker: str | None = None

    # What is asked of it.

    async def accept(self, member: str, offer: media.Offer) -> Accepted:
        """Works out the answer to `offer`; nothing is changed until `commit`. Raises ProtocolError."""
        peer = self._peers.get(member)
        if peer is None:
            peer = self._peers[member] = self._new_peer(member)
        self.abandon(member)
        acceptance = self._accepted[member] = peer.accept(offer)
        return Accepted(tuple((p.mid, p.kind) for p in acceptance.plan.producers))

    def abandon(self, member: str) -> None:
        """The accepted offer was refused for another reason."""
        acceptance = self._accepted.pop(member, None)
        if acceptance is not None:
            self._peers[member].abandon(acceptance)

    async def commit(self, member: str, agreement: Agreement) -> str:
        """From now on this is how media flows; returns the answer's SDP. Raises ProtocolError."""
        acceptance, peer = self._accepted.pop(member, None), self._peers.get(member)
        if acceptance is None or peer is None:  # the member went away in between
            raise ProtocolError("left", "You left the meeting.")
        plan = acceptance.plan
        self._wanted[member] = dict(agreement.wanted)
        for ended in agreement.ended:  # first: what begins may use the same SSRC
            self.router.remove_producer(ended)
        self.router.set_path(member, acceptance.transport.peer, plan.extensions)
        peer.commit(acceptance)
        for producer in plan.producers:
            self.router.add_producer(
                agreement.producers[producer.mid],
                member,
                producer,
                restarted=acceptance.fresh,
                share=agreement.sources[producer.mid] == "screen",
            )
        if peer.connected:
            self._start_receiving(member)
        else:
            self.router.set_consumers(member, ())
        self._hurry()
        self._port.mux.wake()
        return str(plan.answer)

    def select(self, member: str, wanted: Mapping[str, str | None]) -> None:
        """Other producers into sections that exist."""
        self._wanted.setdefault(member, {}).update(wanted)
        peer = self._peers.get(member)
        if peer is not None and peer.connected:
            self._show(member)

    def view(self, member: str, sizes: Mapping[str, int], main: str | None) -> None:
        """What the member shows, and how large."""
        self.router.view(member, sizes, main, self._port.mux.now())
        self._port.mux.wake()

    def pause(self, producer: str, paused: bool) -> None:
        self.router.pause(producer, paused, self._port.mux.now())
        self._port.mux.wake()

    def remove(self, member: str) -> None:
        """The member is gone, with all that it sent and received."""
        self.router.remove_member(member)
        self._wanted.pop(member, None)
        self._accepted.pop(member, None)
        peer = self._peers.pop(member, None)
        if peer is not None:
            task = self._loop.create_task(peer.close())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    def limit(self, caps: Caps, last_n: int | None) -> None:
        """What an overloaded server allows."""
        self.router.limit(caps, last_n)

    def snapshot(self) -> MediaSnapshot:
        return MediaSnapshot(self.router.counters)

    def dump(self) -> dict[str, object]:
        return self.router.dump()

    async def close(self) -> None:
        for member in list(self._peers):
            self.remove(member)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        await asyncio.gather(*self._closing, return_exceptions=True)
        self._on_closed()

    # How it works.

    def _new_peer(self, member: str) -> Peer:
        return Peer(
            self._port,
            partial(self.router.handle_packet, member),
            partial(self.router.handle_rtcp, member),
            partial(self.router.handle_feedback, member),
            on_connected=lambda: self._start_receiving(member),
            on_disconnected=lambda: self.router.drop_path(member),
        )

    def _start_receiving(self, member: str) -> None:
        # Not before the path is up: a key frame sent into the void would be missed.
        peer = self._peers.get(member)
        if peer is not None and peer.plan is not None:
            self.router.set_consumers(member, peer.plan.consumers)
            self._show(member)

    def _show(self, member: str) -> None:
        now = self._port.mux.now()
        for mid, producer in self._wanted.get(member, {}).items():
            self.router.show(member, mid, producer, now)
        self._port.mux.wake()

    def _hurry(self) -> None:
        """Something is to be done soon: the next tick is not later than this."""
        if self._timer is not None and self._timer.when() - self._loop.time() <= TICK_S:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(TICK_S, self._tick)

    def _tick(self) -> None:
        self._timer = None
        if not self._peers:
            return
        router = self.router
        trying = True
        try:
            trying = router.tick(self._port.mux.now())
            self._port.mux.flush()
            if router.speaker.current != self._speaker:
                self._speaker = router.speaker.current
                self._events.speaker_changed(self._speaker)
        except Exception:  # else nothing would be repaired any more
            log.exception("a tick of the room's media failed")
        wait = TICK_S if router.upstream.waits else TRYING_TICK_S if trying else QUIET_TICK_S
        if self._timer is None:
            self._timer = self._loop.call_later(wait, self._tick)
