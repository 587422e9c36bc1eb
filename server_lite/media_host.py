"""Where rooms' media is carried: in this process, or spread over workers (server_lite/workers.py)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from server_lite.config import Settings
from server_lite.ladder import Caps
from server_lite.load import LoadManager, Measures
from server_lite.load_sampler import LoadSampler
from server_lite.media_room import Events, MediaRoom
from server_lite.meeting import Media
from server_lite.peer import MediaPort


@dataclass(frozen=True, slots=True)
class PortCounts:
    """Datagrams of the media port since the start."""

    packets_in: int = 0
    packets_out: int = 0
    octets_in: int = 0
    octets_out: int = 0
    forwarded: int = 0  # packets of RTP sent to receivers
    dropped: Mapping[str, int] = field(default_factory=dict)  # by reason


class MediaHost(Protocol):
    """Makes the media of rooms."""

    @property
    def udp_port(self) -> int: ...

    @property
    def workers(self) -> int:
        """Processes that forward; 0 where this one does."""

    @property
    def new_rooms(self) -> bool:
        """Whether there is room for another meeting."""

    def open(self, room: str, events: Events) -> Media:
        """The media of a new room; `events` hears what happens in it."""

    def counts(self) -> PortCounts: ...

    def limit(self, caps: Caps, last_n: int | None) -> None:
        """What this process allows in the rooms whose media it carries."""

    async def close(self) -> None: ...


class LocalHost:
    """All rooms in this process."""

    workers = 0
    new_rooms = True  # the load manager of this process decides

    def __init__(self, port: MediaPort, settings: Settings) -> None:
        self.port, self._settings = port, settings
        self._rooms: dict[str, MediaRoom] = {}
        self._limits: tuple[Caps, int | None] | None = None

    @property
    def udp_port(self) -> int:
        return self.port.mux.port

    def open(self, room: str, events: Events) -> MediaRoom:
        media = MediaRoom(self.port, self._settings, events, on_closed=lambda: self._closed(room, media))
        self._rooms[room] = media
        if self._limits is not None:
            media.limit(*self._limits)
        return media

    def counts(self) -> PortCounts:
        mux = self.port.mux
        counted = mux.fanout.counters()
        return PortCounts(
            mux.packets_in,
            mux.packets_out,
            counted["received-octets"],
            counted["sent-octets"],
            counted["forwarded"],
            dict(mux.dropped),
        )

    def limit(self, caps: Caps, last_n: int | None) -> None:
        """What an overloaded process allows, in all rooms."""
        self._limits = caps, last_n
        for media in self._rooms.values():
            media.limit(caps, last_n)

    async def close(self) -> None:
        for media in list(self._rooms.values()):
            await media.close()
        await self.port.mux.close()

    def _closed(self, room: str, media: MediaRoom) -> None:
        if self._rooms.get(room) is media:
            del self._rooms[room]


def host_sampler(load: LoadManager, host: MediaHost) -> LoadSampler:
    """Measures this process, and leaves out pictures in its rooms while it has too much to do."""

    def traffic() -> tuple[int, int]:
        counts = host.counts()
        return counts.packets_in + counts.packets_out, counts.octets_in + counts.octets_out

    def apply(measures: Measures) -> None:
        host.limit(measures.limits.caps, measures.limits.last_n)

    return LoadSampler(load, traffic, apply)
