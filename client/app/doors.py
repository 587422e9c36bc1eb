"""The doors of real meetings: the bundled server and servers elsewhere."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from urllib.parse import urlsplit

from client.bridge.entrance import DoorError
from client.services import meetings
from client.services.embedded import Announcement, EmbeddedServer, ServerError
from rtc.invitation import Invitation, InvitationError


class RealDoors:
    """Fits `client.bridge.entrance.Doors`."""

    def __init__(self, server: EmbeddedServer | None = None) -> None:
        self.server = server or EmbeddedServer()

    async def start_server(self) -> None:
        await self._announcement()

    async def open_room(self, title: str) -> str:
        """A new room on our own server, as a link for ourselves.

        We go in by way of this machine alone, so that our own meeting goes on when the network is pulled; the
        link for the others comes with the welcome.
        """
        server = await self._announcement()
        try:
            link = await meetings.open_room(server, title)
        except meetings.MeetingError as error:
            raise DoorError(str(error)) from error
        where = urlsplit(server.url)
        return replace(Invitation.parse(link), host=where.hostname or "127.0.0.1", port=server.port).link

    async def look(self, text: str) -> tuple[str, int]:
        try:
            info = await meetings.look_up(Invitation.parse(text))
        except (InvitationError, meetings.MeetingError) as error:
            raise DoorError(str(error)) from error
        return info.title, info.members

    async def _announcement(self) -> Announcement:
        try:
            return await asyncio.to_thread(self.server.start)
        except ServerError as error:
            raise DoorError(str(error)) from error


class GalleryDoors:
    """Doors that always open, for looking at the screen without a server."""

    def __init__(self, inside: int) -> None:
        self._inside = inside

    async def start_server(self) -> None:
        """Nothing to start."""

    async def open_room(self, title: str) -> str:
        return "http://192.168.1.20:8443/join/gallery#0123456789abcdef"

    async def look(self, text: str) -> tuple[str, int]:
        return "Team weekly", self._inside
