"""Carries the allocation out: wishes from who shows what, choices into aims of the forwarding plane. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from server_lite.allocation import Choice
from server_lite.consumer import Consumer
from server_lite.ladder import NO_CAPS, Caps, Priority, Wish
from server_lite.last_n import LastN, lowest_of
from server_lite.loudest import LARGE_ROOM, VOICES
from server_lite.path import EARLY_US, ESTIMATE_US, Path

if TYPE_CHECKING:
    from server_lite.producer import Producer
    from server_lite.router import Router

#: Microseconds between two choices for one receiver where nothing has changed but the estimate. Shorter
#: reacts sooner and costs CPU for each member; what somebody asks for is done at once.
CHOOSE_US: Final = 200_000
#: Height in pixels taken for a picture whose receiver does not say how large it is shown.
UNSAID_HEIGHT: Final = 4320
#: A budget above this part of what is used needs no second look while nothing is wanting.
AMPLE: Final = 1.2
#: A path that gets more than its budget by this factor cannot wait for the key frame of a lower layer: what
#: is too much ends at once, since it would keep that key frame from arriving. Higher loses more, lower lets
#: pictures stand for a moment that would have gone on.
BEARABLE: Final = 1.3
#: The same of a path that has become much narrower at once, and the part of its budget that is spent at
#: first, though not less than HASTE_FLOOR bit/s of it: what comes through meanwhile still counts what came
#: before. A lower part shows less than the path carries for a second or two, a higher one goes down in two
#: steps, with a key frame from the sender for each. A lower floor pauses the smallest picture, which would
#: have passed.
COLLAPSED: Final = 1.5
HASTE: Final = 0.5
HASTE_FLOOR: Final = 300_000
#: While nothing is to be added (Downlink.holds), the budget is what is used by this factor: less than it
#: takes to get more (allocation.MARGIN), and more than what a measured rate changes by in a moment.
STEADY: Final = 1.14
#: bit/s of RTP set aside for each voice that a receiver hears: Opus at 32 kbit/s with headers and RED.
VOICE_RATE: Final = 60_000

#: What a receiver takes for granted of a picture of which it was told nothing.
ALL_WELL: Final = ("full", "wanted")
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
        path.due, path.allocation = True, None
        hidden = source.kind == "video" and path.sizes.get(source.id) == 0
        consumer.aim(ready[0] if ready and not hidden else None, cut=True)

    def tick(self, path: Path, now: int) -> None:
        """Chooses anew where something has changed, or the path is what limits."""
        if now - path.looked < ESTIMATE_US - EARLY_US:
            return
        path.looked = now
        path.downlink.tick(path.wanted, now, doubted=path.allocator.doubts(now / 1e6))
        if path.due:
            self.choose(path, now)
        elif path.downlink.budget < path.used or (
            now - path.chosen >= CHOOSE_US
            and (path.used < path.wanted or path.downlink.budget < path.used * AMPLE)
        ):
            self._allocate(path, now)

    def choose(self, path: Path, now: int) -> None:
        """Works out what `path` wants and gets, and lets it flow."""
        path.due = False
        path.wishes = tuple(
            self._wish(path, consumer, consumer.source)
            for consumer in path.consumers.values()
            if consumer.source is not None and consumer.source.kind == "video"
        )
        voices = sum(1 for c in path.consumers.values() if c.plan.kind == "audio" and c.source is not None)
        path.sound = VOICE_RATE * (min(voices, VOICES) if voices > LARGE_ROOM else voices)
        self._allocate(path, now)

    def _allocate(self, path: Path, now: int) -> None:
        path.chosen = now
        budget = path.downlink.budget
        if path.downlink.holds(now) and path.allocation is not None:
            budget = min(budget, path.used * STEADY)
        excess = max(path.used, path.flowing) / path.downlink.budget
        if excess > COLLAPSED and path.downlink.agreed:
            budget = max(budget * HASTE, min(budget, HASTE_FLOOR))
        allocation = path.allocator.allocate(
            budget, path.wishes, now / 1e6, audio=path.sound, caps=self._caps
        )
        path.wanted, path.used = allocation.wanted, allocation.used
        if allocation is path.allocation:
            return
        path.allocation = allocation
        for wish in path.wishes:
            choice = allocation.choices[wish.mid]
            self._apply(path.consumers[wish.mid], choice, now, too_much=excess > BEARABLE)
        self._tell(path, {w.producer: allocation.choices[w.mid] for w in path.wishes})

    def _wish(self, path: Path, consumer: Consumer, source: Producer) -> Wish:
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
            source.options,
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

    def _apply(self, consumer: Consumer, choice: Choice, now: int, *, too_much: bool) -> None:
        source = consumer.source
        if source is None or source.paused or choice.reason == "source":
            return  # what is aimed at stays, so that its first key frame is not missed
        if choice.layer is None:
            consumer.stop(now)
            return
        layer, flows = source.layers[choice.layer], consumer.current
        if too_much and flows is not None and flows is not layer and flows.rate > layer.rate:
            needed = consumer.give_up(layer, choice.spatial, choice.temporal, now)
        else:
            needed = consumer.aim(layer, choice.spatial, choice.temporal)
        if needed:
            better = consumer.current is not None and consumer.current.rate < layer.rate
            self._router.upstream.ask_key_frame(layer, now, patient=better)

    def _tell(self, path: Path, choices: Mapping[str, Choice]) -> None:
        states: dict[str, tuple[str, str]] = {
            producer: (choice.state, choice.reason)
            for producer, choice in choices.items()
            if choice.reason not in ("source", "muted")
        }
        changed = {p: state for p, state in states.items() if path.states.get(p, ALL_WELL) != state}
        path.states = states
        if changed and self._told is not None:
            self._told(path.member, changed)
