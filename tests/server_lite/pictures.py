"""Sources, wishes and a receiver for tests of the allocation."""

from __future__ import annotations

from itertools import pairwise

from server_lite.allocation import Allocation, Allocator, Choice
from server_lite.ladder import Caps, Layer, Priority, Wish


def simulcast(*sizes: tuple[int, int]) -> tuple[Layer, ...]:
    """Encodings of (height, bit/s) with three temporal layers each: 7.5, 15 and 30 pictures a second."""
    return tuple(
        Layer(encoding, 0, temporal, height, int(rate * part), fps)
        for encoding, (height, rate) in enumerate(sizes)
        for temporal, (part, fps) in enumerate([(0.5, 7.5), (0.7, 15.0), (1.0, 30.0)])
    )


CAMERA = simulcast((180, 150_000), (360, 500_000), (720, 1_700_000))
SHARE = simulcast((540, 200_000), (1080, 1_000_000))


def camera(mid: str, height: int = 180, priority: Priority = Priority.REST, order: int = 0) -> Wish:
    return Wish(mid, f"p-{mid}", height, priority, CAMERA, order)


def share(mid: str = "s", height: int = 1080) -> Wish:
    return Wish(mid, f"p-{mid}", height, Priority.SHARE, SHARE)


STAGE = camera("main", 720, Priority.STAGE)
TILES = [camera(f"t{n}") for n in range(4)]


def once(budget: float | None, wishes: list[Wish], audio: int = 0, caps: Caps | None = None) -> Allocation:
    return Allocator().allocate(budget, wishes, 0.0, audio=audio, caps=caps or Caps())


def chosen_layer(wish: Wish, choice: Choice) -> Layer | None:
    return next((x for x in wish.layers if choice.layer is not None and x[:3] == choice[:3]), None)


class Receiver:
    """Allocates twice a second for one receiver."""

    def __init__(self, wishes: list[Wish]) -> None:
        self.wishes, self.allocator, self.now = wishes, Allocator(), 0.0
        self.history: list[Allocation] = []

    def goes_on(self, seconds: float, *budgets: float) -> Allocation:
        """The estimates in turn, over and over."""
        for step in range(round(seconds * 2)):
            self.now += 0.5
            self.history.append(self.allocator.allocate(budgets[step % len(budgets)], self.wishes, self.now))
        return self.history[-1]

    def changes(self) -> int:
        """How often a choice became another one."""
        return sum(a.choices != b.choices for a, b in pairwise(self.history))
