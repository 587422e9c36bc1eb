"""Whose camera is sent in a large room: that of the last N who spoke. Pure.

What receivers ask for by name (a pinned picture, the main one, shares) comes on top; each pays for it out of
its own budget. docs/layer-allocation.md tells how this meets the choice of layers.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable


class LastN:
    """The members of one room with a camera, the latest speaker first."""

    def __init__(self) -> None:
        self._order: dict[str, None] = {}  # members by when they spoke; those who never did by when they came

    def came(self, member: str) -> None:
        """Has a camera now, and a place behind everybody who is there."""
        self._order.setdefault(member)

    def went(self, member: str) -> None:
        """Left, or has no camera any more."""
        self._order.pop(member, None)

    def spoke(self, member: str) -> None:
        """Has the floor. Whoever is not here is ignored."""
        if member in self._order:
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
        """Member -> place, 0 the latest speaker: the `order` of its wishes."""
        return {member: place for place, member in enumerate(self._order)}

    def dump(self) -> list[str]:
        return list(self._order)


def lowest_of(*limits: int | None) -> int | None:
    """The strictest of several N: of the settings, of the load manager, of a receiver."""
    given = [limit for limit in limits if limit is not None]
    return min(given) if given else None
