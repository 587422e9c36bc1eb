"""What is done about each message, by family. A new family is a new module and one line here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from rtc.signalling import Message
from server_lite.handlers import media, session
from server_lite.meeting import Meeting

#: Takes the meeting, the member and the message; returns the answer if there is one; raises ProtocolError.
Handler = Callable[[Meeting, str, Message], Awaitable[Message | None]]

HANDLERS: dict[type[Message], Handler] = {**session.HANDLERS, **media.HANDLERS}
