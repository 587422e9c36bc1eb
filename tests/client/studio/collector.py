"""Collects what a studio says, and waits for it without polling."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar

from client.studio import StudioEvent

E = TypeVar("E")
#: Real seconds to wait: a new process on a busy machine takes its time.
PATIENCE = 30.0


class Collector:
    """`events` in order; callable as a studio's `on_event`."""

    def __init__(self) -> None:
        self.events: list[StudioEvent] = []
        self._condition = threading.Condition()

    def __call__(self, event: StudioEvent) -> None:
        with self._condition:
            self.events.append(event)
            self._condition.notify_all()

    def of(self, kind: type[E]) -> list[E]:
        """All events of one kind so far."""
        with self._condition:
            return [event for event in self.events if isinstance(event, kind)]

    def wait(
        self, kind: type[E], count: int = 1, where: Callable[[Any], bool] = lambda event: True
    ) -> list[E]:
        """At least `count` events of a kind that satisfy `where`; fails after PATIENCE."""

        def enough() -> bool:
            return len(matching()) >= count

        def matching() -> list[E]:
            return [event for event in self.events if isinstance(event, kind) and where(event)]

        with self._condition:
            assert self._condition.wait_for(enough, PATIENCE), f"{kind.__name__} did not come {count} times"
            return matching()

    def forget(self) -> None:
        """Start over."""
        with self._condition:
            self.events.clear()
