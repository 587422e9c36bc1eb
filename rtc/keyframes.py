"""How often a sender is asked for a key frame."""

from __future__ import annotations

from typing import Final

#: Seconds between two requests. A key frame costs as much as 10 to 20 others: lower lets many people who come
#: at once overload the sender, higher makes each of them wait longer for a first picture.
MIN_INTERVAL: Final = 0.3

#: Seconds after which a request that no key frame answered is repeated (requests get lost too).
REPEAT_AFTER: Final = 1.0


class KeyframeThrottle:
    """Merges everybody's requests to one sender into few.

    Ask `request(now)` when somebody needs a key frame and send one when it says True; call `due(now)` now and
    then and send one when it says True; report key frames that pass with `key_frame_seen(now)`.
    """

    __slots__ = ("_min_interval", "_pending", "_repeat_after", "_sent", "_unanswered")

    def __init__(self, min_interval: float = MIN_INTERVAL, repeat_after: float = REPEAT_AFTER) -> None:
        self._min_interval: Final = min_interval
        self._repeat_after: Final = max(repeat_after, min_interval)
        self._sent: float | None = None
        self._pending = False
        self._unanswered = False

    @property
    def waiting(self) -> bool:
        """True while a request is kept back or not answered yet."""
        return self._pending or self._unanswered

    def request(self, now: float) -> bool:
        """True: ask the sender now. False: asked a moment ago; this wish is kept until `due` releases it or a
        key frame answers it.
        """
        if self._sent is None or now - self._sent >= self._min_interval:
            return self._send(now)
        self._pending = True
        return False

    def due(self, now: float) -> bool:
        """True: ask the sender now, for a wish that was kept back or a request that nobody answered."""
        if self._sent is None:
            return False
        elapsed = now - self._sent
        if (self._pending and elapsed >= self._min_interval) or (
            self._unanswered and elapsed >= self._repeat_after
        ):
            return self._send(now)
        return False

    def key_frame_seen(self, now: float) -> None:
        """A key frame came: every wish made so far is fulfilled."""
        self._pending = False
        self._unanswered = False

    def _send(self, now: float) -> bool:
        self._sent = now
        self._pending = False
        self._unanswered = True
        return True
