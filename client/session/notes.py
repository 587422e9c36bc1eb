"""What went wrong without ending the call, by topic, so that only what mends it takes it away. Pure."""

from __future__ import annotations

from dataclasses import dataclass

#: Seconds for which a note about something that is over already is shown. Shorter is missed while talking.
PASSING_S = 10.0


@dataclass(frozen=True, slots=True)
class _Note:
    sentence: str
    until: float  # monotonic seconds


class Notes:
    """At most one sentence a topic; the one that was put last is shown."""

    def __init__(self) -> None:
        self._notes: dict[str, _Note] = {}

    @property
    def sentence(self) -> str:
        """What is to be shown; empty when all is well."""
        return next(reversed(self._notes.values())).sentence if self._notes else ""

    def put(self, topic: str, sentence: str, until: float = float("inf")) -> None:
        """Replaces the note about `topic`; an empty sentence takes it away."""
        self._notes.pop(topic, None)
        if sentence:
            self._notes[topic] = _Note(sentence, until)

    def expire(self, now: float) -> None:
        """Takes away what has been shown long enough."""
        for topic in [t for t, note in self._notes.items() if now >= note.until]:
            del self._notes[topic]
