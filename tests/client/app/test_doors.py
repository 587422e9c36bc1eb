"""The way into one's own meeting, with the real bundled server."""

from __future__ import annotations

import asyncio

import pytest

from client.app.doors import RealDoors
from client.bridge.entrance import DoorError
from rtc.invitation import Invitation


async def test_we_go_into_our_own_meeting_by_way_of_this_machine_alone() -> None:
    doors = RealDoors()
    try:
        link = await doors.open_room("Weekly")
        invitation = Invitation.parse(link)
        assert invitation.host == "127.0.0.1"
        assert await doors.look(link) == ("Weekly", 0)
        stranger = Invitation(invitation.host, invitation.port, Invitation.parse(link).token, "elsewhere")
        with pytest.raises(DoorError, match="not valid"):
            await doors.look(stranger.link)
    finally:
        await asyncio.to_thread(doors.server.stop)
