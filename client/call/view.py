"""What is shown of the others, and how large, as the server is told of it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rtc.signalling import MAX_STREAMS, media

#: Heights in pixels that the server is asked for; a tile is rounded up to the next. More steps would tell
#: of every drag at the window's edge, and senders have no more than three layers.
STEPS = (180, 360, 720, 1080, 2160, 4320)


def rounded(height: float) -> int:
    """The step for a picture of `height` pixels; 0 for one that is not shown."""
    if height <= 0:
        return 0
    return next((step for step in STEPS if height <= step), STEPS[-1])


class View:
    """Compares what is shown with what the server knows of it.

    A server that does not know the message is asked no more until `forget`, which is right after every new
    connection and every new path: it forgets with them.
    """

    def __init__(self) -> None:
        self._sizes: Mapping[str, int] = {}  # by member
        self._main: str | None = None
        self._told = _NOTHING
        self._unknown = False

    def show(self, heights: Mapping[str, float], main: str | None = None) -> None:
        """Pixels of height by member, 0 for tiles that cannot be seen; `main` is who has the big one."""
        self._sizes = {member: rounded(height) for member, height in heights.items()}
        self._main = main

    def forget(self) -> None:
        """The server knows nothing of what it was told."""
        self._told, self._unknown = _NOTHING, False

    def refused(self, code: str) -> None:
        """It did not take what it was told last."""
        self._told, self._unknown = _NOTHING, True if code == "message-unknown" else self._unknown

    def rank(self, producer: media.Producer) -> int:
        """How much its picture is wanted, the lower the more: a share or the big tile, shown, not known yet,
        hidden."""
        if producer.member == self._main or producer.source == "screen":
            return 0
        size = self._sizes.get(producer.member)
        return 2 if size is None else 1 if size else 3

    def news(self, producers: Iterable[media.Producer]) -> tuple[dict[str, int], str | None] | None:
        """(height by producer, the main producer) that the server has to be told; None if it knows. Then that
        counts as told."""
        pictures = [p for p in producers if p.kind == "video"][:MAX_STREAMS]
        # Who has just come gets a tile in a moment, and none that is larger than those of the others.
        newcomer = min((size for size in self._sizes.values() if size), default=None)
        sizes = {p.id: self._sizes.get(p.member, newcomer) for p in pictures}
        known = {producer: size for producer, size in sizes.items() if size is not None}
        main = next((p.id for p in pictures if p.member == self._main), None)
        if self._unknown or (known, main) == self._told:
            return None
        self._told = known, main
        return self._told


_NOTHING: tuple[dict[str, int], str | None] = ({}, None)
