"""The family `media`."""

from __future__ import annotations

from typing import Any

from rtc.signalling import Message, media
from server_lite import room as events
from server_lite.meeting import Meeting


async def offer(meeting: Meeting, member: str, message: media.Offer) -> Message:
    return await meeting.offer(member, message)


async def select(meeting: Meeting, member: str, message: media.Select) -> Message:
    meeting.select(member, message.receive)
    return media.Selected(re=message.id)


async def view(meeting: Meeting, member: str, message: media.View) -> Message:
    meeting.view(member, message.sizes, message.main)
    return media.Viewed(re=message.id)


async def mute(meeting: Meeting, member: str, message: media.Mute) -> Message:
    meeting.happened(events.Mute(member, message.source, message.muted))
    return media.Muted(re=message.id)


HANDLERS: dict[type[Message], Any] = {
    media.Offer: offer,
    media.Select: select,
    media.View: view,
    media.Mute: mute,
}
