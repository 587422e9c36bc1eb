"""How often a sender is asked for a key frame."""

from __future__ import annotations

from math import inf
from typing import Final

#: Seconds between two requests. A key frame costs as much as 10 to 20 others: lower lets many people who come
#: at once overload the sender, higher makes each of them wait longer for a first picture.
MIN_INTERVAL: Final = 0.3

#: Seconds after which a request that no key frame answered is repeated (requests get lost too).
REPEAT_AFTER: Final = 1.0

#: Browsers pass over a request that comes within 0.3 s of one that they followed, for whatever layer. Such a
#: one is repeated so many seconds behind the one before, and at least so many behind itself. Shorter is
#: passed over too, or asks again for a key frame that is on its way; longer leaves a picture standing.
DEAF_FOR: Final = 0.35
ANSWERED_WITHIN: Final = 0.15

#: Seconds behind the last request, for whatever layer, for which somebody waits who has a picture and could
#: have a better one. A browser answers with key frames of all layers, and leaves out the next pictures of all
#: of them to make up for it: lower freezes the picture of everybody, higher is later sharp.
CALM: Final = 1.0


class KeyframeThrottle:
    """Merges everybody's requests to one sender, for one layer, into few.

    Ask `request(now)` when somebody needs a key frame and send one when it says True; call `due(now)` now and
    then and send one when it says True; report key frames that pass with `key_frame_seen(now)`, and requests
    for other layers of the same picture with `other_asked(now)`.
    """

    __slots__ = ("_due", "_min_interval", "_other", "_repeat_after", "_sent")

    def __init__(self, min_interval: float = MIN_INTERVAL, repeat_after: float = REPEAT_AFTER) -> None:
        self._min_interval: Final = min_interval
        self._repeat_after: Final = max(repeat_after, min_interval)
        self._sent = self._other = -inf
        self._due: float | None = None  # a wish was kept back until then, or nobody answered

    @property
    def waiting(self) -> bool:
        """True while a request is kept back or not answered yet."""
        return self._due is not None

    def request(self, now: float, *, patient: bool = False) -> bool:
        """True: ask the sender now. False: asked a moment ago; this wish is kept until `due` releases it or a
        key frame answers it. `patient`: who asks has a picture, and wants a better one.
        """
        earliest = self._sent + self._min_interval
        if patient:
            earliest = max(earliest, self._sent + CALM, self._other + CALM)
        if now >= earliest:
            return self._send(now)
        self._due = earliest if self._due is None else min(self._due, earliest)
        return False

    def due(self, now: float) -> bool:
        """True: ask the sender now, for a wish that was kept back or a request that nobody answered."""
        return self._due is not None and now >= self._due and self._send(now)

    def other_asked(self, now: float) -> None:
        """The sender was asked for a key frame of another layer."""
        self._other = now

    def key_frame_seen(self, now: float) -> None:
        """A key frame came: every wish made so far is fulfilled."""
        self._due = None

    def _send(self, now: float) -> bool:
        self._sent, self._due = now, now + self._repeat_after
        if now < self._other + DEAF_FOR:
            self._due = min(self._due, max(self._other + DEAF_FOR, now + ANSWERED_WITHIN))
        return True
