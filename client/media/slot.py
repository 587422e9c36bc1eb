"""A slot for the latest value: a producer never waits, a value not fetched in time is dropped and counted."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class LatestSlot(Generic[T]):
    """Hand-over of pictures between two threads where only the newest counts.

    `put` replaces what lies in the slot. `on_put` is called in the thread of the putter after each put and
    must be quick (set an event, post to a loop). All methods may be called from any thread.
    """

    def __init__(self, on_put: Callable[[], None] | None = None) -> None:
        self.on_put = on_put
        self._condition = threading.Condition()
        self._value: T | None = None
        self._dropped = 0
        self._put_count = 0

    @property
    def dropped(self) -> int:
        """How many values were replaced before anybody took them."""
        return self._dropped

    @property
    def put_count(self) -> int:
        """How many values were put, taken or not."""
        return self._put_count

    def put(self, value: T) -> None:
        """Lay `value` into the slot; one that still lies there is dropped and counted."""
        with self._condition:
            if self._value is not None:
                self._dropped += 1
            self._value = value
            self._put_count += 1
            self._condition.notify()
        on_put = self.on_put
        if on_put is not None:
            on_put()

    def take(self) -> T | None:
        """The latest value, and the slot is empty afterwards; None if nothing new came."""
        with self._condition:
            value, self._value = self._value, None
            return value

    def wait(self, timeout: float) -> T | None:
        """Like `take`, but waits up to `timeout` seconds for a value."""
        with self._condition:
            if self._value is None:
                self._condition.wait(timeout)
            value, self._value = self._value, None
            return value

    def wake(self) -> None:
        """Let a waiting thread return at once, without a value if there is none."""
        with self._condition:
            self._condition.notify_all()

    def peek(self) -> T | None:
        """The latest value, which stays in the slot."""
        return self._value

    def clear(self) -> None:
        """Forget the value without counting it as dropped."""
        with self._condition:
            self._value = None
