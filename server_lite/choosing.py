"""Carries the allocation out: wishes from who shows what, choices into aims of the forwarding plane. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from server_lite.allocation import Choice
from server_lite.consumer import Consumer
from server_lite.ladder import NO_CAPS, Caps, Priority, Wish
from server_lite.last_n import LastN
from server_lite.loudest import LARGE_ROOM, VOICES
from server_lite.path import Path

if TYPE_CHECKING:
    from server_lite.producer import Producer
    from server_lite.router import Router

#: Microseconds between two choices for one receiver where nothing has changed but the estimate. Shorter reacts
#: sooner and costs CPU for each member; what somebody asks for is done at once.
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
        self.last_n = LastN()

    def limit(self, caps: Caps, last_n: int | None) -> None:
        """What an overloaded server allows at most."""
        if (caps, last_n) == (self._caps, self.last_n.limit):
            return
        self._caps, self.last_n.limit = caps, last_n
        for path in self._router.paths.values():
            path.due = True

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
        elif priority > Priority.STAGE and not self.last_n.includes(source.id):
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
        order = self.last_n.rank(source.id)
        return (Priority.REST, 0) if order is None else (Priority.RECENT, order)

    def _apply(self, consumer: Consumer, choice: Choice, now: int) -> None:
        source = consumer.source
        if source is None or source.paused or choice.reason == "source":
            return  # what is aimed at stays, so that its first key frame is not missed
        if choice.layer is None:
            consumer.aim(None)
            return
        layer = source.layers[choice.layer]
        if consumer.aim(layer, choice.spatial, choice.temporal):
            self._router.ask_key_frame(layer, now)

    def _tell(self, path: Path, choices: Mapping[str, Choice]) -> None:
        states = {
            producer: (choice.state, choice.reason)
            for producer, choice in choices.items()
            if choice.reason not in ("source", "muted")
        }
        changed = {p: state for p, state in states.items() if path.states.get(p, ("full", "")) != state}
        path.states = states
        if changed and self._told is not None:
            self._told(path.member, changed)
