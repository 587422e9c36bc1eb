"""Carries the allocation out: wishes from who shows what, choices into aims of the forwarding plane. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from server_lite.allocation import Choice
from server_lite.consumer import Consumer
from server_lite.ladder import NO_CAPS, Caps, Priority, Wish
from server_lite.last_n import LastN, lowest_of
from server_lite.loudest import LARGE_ROOM, VOICES
from server_lite.path import Path

if TYPE_CHECKING:
    from server_lite.producer import Producer
    from server_lite.router import Router

#: Microseconds between two choices for one receiver where nothing has changed but the estimate. Shorter
#: reacts sooner and costs CPU for each member; what somebody asks for is done at once.
CHOOSE_US: Final = 200_000
#: Height in pixels taken for a picture whose receiver does not say how large it is shown.
UNSAID_HEIGHT: Final = 4320
#: bit/s of RTP set aside for each voice that a receiver hears: Opus at 32 kbit/s with headers and RED.
VOICE_RATE: Final = 60_000

#: (state, reason) by producer.
States = Mapping[str, tuple[str, str]]


class Chooser:
    """Decides what each receiver gets. `told(member, states)` hears what has changed for its pictures."""

    def __init__(self, router: Router, told: Callable[[str, States], None] | None) -> None:
        self._router = router
        self._told = told
        self._caps = NO_CAPS
        self._last_n = LastN()
        self._limit: int | None = None
        self._chosen: frozenset[str] = frozenset()  # members whose cameras are sent to everybody
        self._places: dict[str, int] = {}

    def limit(self, caps: Caps, last_n: int | None) -> None:
        """What an overloaded server allows at most."""
        if (caps, last_n) != (self._caps, self._limit):
            self._caps, self._limit = caps, last_n
            self.choose_last_n()
            self._all_due()

    def camera_came(self, member: str) -> None:
        self._last_n.came(member)
        self.choose_last_n()

    def camera_went(self, member: str) -> None:
        self._last_n.went(member)
        self.choose_last_n()

    def spoke(self, member: str | None) -> None:
        """Has the floor now."""
        if member is not None:
            self._last_n.spoke(member)
            self.choose_last_n()
        self._all_due()

    def choose_last_n(self) -> None:
        """Works out anew whose cameras are sent to everybody; those that are off take no place."""
        off = {p.member for p in self._router.producers.values() if p.paused and p.camera}
        settings = self._router.settings
        chosen = self._last_n.chosen(lowest_of(settings.last_n, self._limit), off)
        self._places = self._last_n.places()
        if chosen != self._chosen:
            self._chosen = chosen
            self._all_due()

    def begin(self, consumer: Consumer) -> None:
        """The consumer's source has just become its source, or began anew: nothing of before may be seen."""
        source = consumer.source
        ready = [layer for layer in source.ranked() if layer.stream >= 0] if source is not None else []
        path = self._router.paths.get(consumer.member)
        if source is None or path is None:
            return
        path.due = True
        hidden = source.kind == "video" and path.sizes.get(source.id) == 0
        consumer.aim(ready[0] if ready and not hidden else None, cut=True)

    def tick(self, path: Path, now: int) -> None:
        """Chooses anew where it is time."""
        path.downlink.tick(path.wanted, now)
        if path.due or now - path.chosen >= CHOOSE_US:
            self.choose(path, now)

    def choose(self, path: Path, now: int) -> None:
        """Works out what `path` gets and lets it flow."""
        path.due, path.chosen = False, now
        wishes = [
            self._wish(path, consumer, consumer.source, now)
            for consumer in path.consumers.values()
            if consumer.source is not None and consumer.source.kind == "video"
        ]
        voices = sum(1 for c in path.consumers.values() if c.plan.kind == "audio" and c.source is not None)
        sound = VOICE_RATE * (min(voices, VOICES) if voices > LARGE_ROOM else voices)
        allocation = path.allocator.allocate(
            path.downlink.budget, wishes, now / 1e6, audio=sound, caps=self._caps
        )
        path.wanted = allocation.wanted
        for wish in wishes:
            self._apply(path.consumers[wish.mid], allocation.choices[wish.mid], now)
        self._tell(path, {w.producer: allocation.choices[w.mid] for w in wishes})

    def _wish(self, path: Path, consumer: Consumer, source: Producer, now: int) -> Wish:
        priority, order = self._priority(path, source)
        held = ""
        if source.paused:
            held = "muted"
        elif priority > Priority.STAGE and source.member not in self._chosen:
            held = "last-n"
        return Wish(
            consumer.plan.mid,
            source.id,
            path.sizes.get(source.id, UNSAID_HEIGHT),
            priority,
            source.options(now),
            order,
            held,
        )

    def _priority(self, path: Path, source: Producer) -> tuple[Priority, int]:
        if source.share:
            return Priority.SHARE, 0
        if source.id == path.main:
            return Priority.STAGE, 0
        if source.member == self._router.speaker.current:
            return Priority.SPEAKER, 0
        place = self._places.get(source.member)
        return (Priority.REST, 0) if place is None else (Priority.RECENT, place)

    def _all_due(self) -> None:
        for path in self._router.paths.values():
            path.due = True

    def _apply(self, consumer: Consumer, choice: Choice, now: int) -> None:
        source = consumer.source
        if source is None or source.paused or choice.reason == "source":
            return  # what is aimed at stays, so that its first key frame is not missed
        if choice.layer is None:
            consumer.aim(None)
            return
        layer = source.layers[choice.layer]
        if consumer.aim(layer, choice.spatial, choice.temporal):
            self._router.upstream.ask_key_frame(layer, now)

    def _tell(self, path: Path, choices: Mapping[str, Choice]) -> None:
        states: dict[str, tuple[str, str]] = {
            producer: (choice.state, choice.reason)
            for producer, choice in choices.items()
            if choice.reason not in ("source", "muted")
        }
        changed = {p: state for p, state in states.items() if path.states.get(p, ("full", "")) != state}
        path.states = states
        if changed and self._told is not None:
            self._told(path.member, changed)
