"""Where the newest picture of each member lies until the screen takes it."""

from __future__ import annotations

import threading

from client.media.picture import Picture
from client.media.slot import LatestSlot


class PictureBoard:
    """One latest-wins slot a member, made when somebody first asks. Safe from any thread."""

    def __init__(self) -> None:
        self.self_view: LatestSlot[Picture] = LatestSlot()
        self._slots: dict[str, LatestSlot[Picture]] = {}
        self._lock = threading.Lock()

    def slot(self, member_id: str) -> LatestSlot[Picture]:
        with self._lock:
            found = self._slots.get(member_id)
            if found is None:
                found = self._slots[member_id] = LatestSlot()
            return found

    def forget(self, member_id: str) -> None:
        """The member is gone; whoever still holds the slot keeps an empty one."""
        with self._lock:
            slot = self._slots.pop(member_id, None)
        if slot is not None:
            slot.on_put = None
            slot.take()
