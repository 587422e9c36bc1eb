"""Whose camera is sent in a large room: that of the last N who spoke. Pure.

What receivers ask for by name (a pinned picture, the main one, shares) comes on top; each pays for it out of
its own budget. docs/layer-allocation.md tells how this meets the choice of layers.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from server_lite.ladder import Priority


class LastN:
    """The members of one room with a camera, the latest speaker first."""

    def __init__(self) -> None:
        self._order: dict[str, None] = {}  # members by when they spoke; those who never did by when they came
        self._spoke: set[str] = set()

    def came(self, member: str) -> None:
        """Has a camera now, and a place behind everybody who is there."""
        self._order.setdefault(member)

    def went(self, member: str) -> None:
        """Left, or has no camera any more."""
        self._order.pop(member, None)
        self._spoke.discard(member)

    def spoke(self, member: str) -> None:
        """Has the floor. Whoever is not here is ignored."""
        if member in self._order:
            self._spoke.add(member)
            del self._order[member]
            self._order = {member: None, **self._order}

    @property
    def order(self) -> tuple[str, ...]:
        """All of them, the latest speaker first."""
        return tuple(self._order)

    def chosen(self, n: int | None, without: Collection[str] = ()) -> frozenset[str]:
        """Whose pictures are sent to everybody. `n` None is no limit.

        `without`: cameras that are off; they take no place. Who is chosen stays so until n others spoke, left
        places aside, so people who take turns change nothing.
        """
        there: Iterable[str] = (member for member in self._order if member not in without)
        if n is None:
            return frozenset(there)
        return frozenset(member for member, _ in zip(there, range(max(n, 0)), strict=False))

    def places(self) -> dict[str, int]:
        """Of those who spoke: member -> place, 0 the latest. For `importance`."""
        spoke = (member for member in self._order if member in self._spoke)
        return {member: place for place, member in enumerate(spoke)}

    def dump(self) -> list[str]:
        return list(self._order)


def importance(place: int | None, *, screen: bool = False, main: bool = False) -> tuple[Priority, int]:
    """`priority` and `order` of a wish.

    `place` among those who spoke, None for who never did; `screen` for a share; `main` for what the receiver
    shows large or has pinned. Who spoke last counts as the speaker until somebody else does.
    """
    if screen or main:
        return (Priority.SHARE if screen else Priority.STAGE), 0
    if place is None:
        return Priority.REST, 0
    return (Priority.SPEAKER, 0) if place == 0 else (Priority.RECENT, place)


def lowest_of(*limits: int | None) -> int | None:
    """The strictest of several N: of the settings, of the load manager, of a receiver."""
    given = [limit for limit in limits if limit is not None]
    return min(given) if given else None
