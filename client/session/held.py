"""Pictures that the server does not send just now, and why. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from rtc.signalling import media, session

#: What a tile says instead of a picture, by the reason in media.forwarded.
WORDS = {
    "bandwidth": "Paused: your network is too slow for this picture",
    "load": "Paused: the server is busy",
    "last-n": "Shown when speaking",
}
#: For reasons that this version does not know.
PAUSED = "Paused"
#: Reasons that are no news to the person: it is shown nowhere, or nobody sends it.
_SILENT = ("hidden", "wanted")


class HeldPictures:
    """What was told of the producers that are here."""

    def __init__(self) -> None:
        self._words: dict[str, str] = {}  # by producer

    def told(self, message: media.Forwarded, members: Iterable[session.Member]) -> None:
        """The server said what it sends of a producer from now on; one that nobody has is ignored."""
        here = {p.id for member in members for p in member.producers}
        self._words = {producer: words for producer, words in self._words.items() if producer in here}
        if message.state == "paused" and message.reason not in _SILENT and message.producer in here:
            self._words[message.producer] = WORDS.get(message.reason, PAUSED)
        else:
            self._words.pop(message.producer, None)

    def forget(self) -> None:
        """On a new path everything is told anew."""
        self._words.clear()

    def words(self, member: session.Member) -> str:
        """Why no picture of `member` comes; empty while one does."""
        return next((self._words[p.id] for p in member.producers if p.id in self._words), "")
