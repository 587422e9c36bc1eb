"""The studio process: commands come in through a pipe, events go out; it ends when the pipe does."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection

from client.media.picture import Picture
from client.studio.core import StudioCore
from client.studio.messages import Stop, StudioEvent
from client.studio.picture_ring import PictureRing
from rtc import collector

#: Seconds after which a studio that cannot end (a hanging driver) is ended hard.
LAST_RESORT = 1.5


@dataclass(frozen=True, slots=True)
class SelfViewReady:
    """A picture lies in the ring."""


def main(connection: Connection, ring_name: str) -> None:
    """Run until `Stop` comes or the parent is gone."""
    with suppress(ValueError):  # not the main thread
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's business
    try:
        ring = PictureRing.attach(ring_name)
    except FileNotFoundError:
        return  # the parent is gone already
    outlet = _Outlet(connection, ring)
    core = StudioCore(outlet.emit, outlet.show)
    collector.settle()
    try:
        while True:
            try:
                command = connection.recv()
            except (EOFError, OSError):
                break  # the parent is gone
            if isinstance(command, Stop):
                break
            core.handle(command)
    finally:
        last_resort = threading.Timer(LAST_RESORT, os._exit, (1,))
        last_resort.daemon = True
        last_resort.start()
        outlet.mute()
        core.close()
        ring.close()
        connection.close()
        last_resort.cancel()


class _Outlet:
    """The way out, shared by all threads of the studio."""

    def __init__(self, connection: Connection, ring: PictureRing) -> None:
        self._connection = connection
        self._ring = ring
        self._lock = threading.Lock()
        self._muted = False

    def emit(self, event: StudioEvent | SelfViewReady) -> None:
        """Send an event; a parent that is gone is noticed by the main loop."""
        with self._lock:
            if self._muted:
                return
            try:
                self._connection.send(event)
            except (OSError, ValueError):
                self._muted = True

    def show(self, picture: Picture) -> None:
        """Lay the picture into the ring and say so."""
        self._ring.write(picture)
        self.emit(SelfViewReady())

    def mute(self) -> None:
        """Send nothing more. Does not wait for a send that hangs in a full pipe."""
        self._muted = True
