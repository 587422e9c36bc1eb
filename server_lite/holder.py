"""Holds members and the room to what they may send; who waited goes on where there is room again. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from server_lite.caps import RoomCap

if TYPE_CHECKING:
    from server_lite.path import Path
    from server_lite.router import Router


class Holder:
    """Of one router. Times are microseconds."""

    def __init__(self, router: Router) -> None:
        self._router = router
        self._cap = RoomCap(router.settings.room_pictures)

    def hold(self, path: Path, now: int) -> None:
        """One member, ten times a second."""
        pauses = path.pauses
        if path.hold_to_cap(now):
            self._go_on(path, now)
        self._router.counters.member_pauses += path.pauses - pauses

    def hold_room(self, elapsed: float, now: int) -> None:
        """All together; `elapsed` seconds since the last time."""
        paths = self._router.paths.values()
        waiting = self._cap.measure({path.member: path.pictures_in() * 8 / elapsed for path in paths})
        for path in paths:
            waited, path.waits_for_room = path.waits_for_room, path.member in waiting
            self._router.counters.room_pauses += path.waits_for_room and not waited
            if waited and not path.waits_for_room:
                self._go_on(path, now)

    def _go_on(self, path: Path, now: int) -> None:
        """A member that sent too much is forwarded again, as after a mute."""
        for producer in self._router.producers.values():
            if producer.path is path and producer.kind == "video":
                for consumer in producer.consumers:
                    self._router.chooser.begin(consumer)
                self._router.upstream.ask_waiting(producer, now)
