"""The family `session`, after the hello."""

from __future__ import annotations

from typing import Any

from rtc.signalling import Message, ProtocolError, session
from server_lite import room as events
from server_lite.meeting import Meeting


async def hello(meeting: Meeting, member: str, message: session.Hello) -> Message | None:
    raise ProtocolError("hello-twice", "You are in the meeting already.", message.id)


async def leave(meeting: Meeting, member: str, message: session.Leave) -> Message | None:
    meeting.happened(events.Leave(member))
    return None


HANDLERS: dict[type[Message], Any] = {session.Hello: hello, session.Leave: leave}
