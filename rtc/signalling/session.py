"""The family `session`: coming in, who is here, going away."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from rtc.secret import Secret
from rtc.signalling.base import Identifier, Message, MessageId, Part, Request
from rtc.signalling.media import Producer

#: Longest name of a person, in characters after trimming.
MAX_NAME = 64


class Member(Part):
    """One person in a room as the server tells it to the others."""

    id: Identifier
    name: str = Field(max_length=MAX_NAME)
    microphone: bool = Field(description="Wants to be heard; false is muted.")
    camera: bool = Field(description="Wants to be seen.")
    connected: bool = Field(description="False while the server waits for a lost connection to come back.")
    producers: list[Producer] = Field(default_factory=list)


class Invitation(Part):
    """How to let somebody else in."""

    link: str
    code: str


class Hello(Request):
    """The first message on a connection: who, where, and with what right."""

    type: Literal["session.hello"] = "session.hello"
    protocol: list[Annotated[int, Field(ge=0, lt=2**31)]] = Field(min_length=1, max_length=16)
    client: str = Field(default="", max_length=100, description="Program and version, for logs.")
    room: Identifier | None = Field(default=None, description="Must be the room of the token if given.")
    token: Secret
    name: str = Field(max_length=1000, description="Trimmed by the server, which refuses over 64.")
    resume: Secret | None = Field(default=None, description="Key of a member whose connection was lost.")
    microphone: bool = True
    camera: bool = True


class Leave(Message):
    """The member goes; its place and resume key are gone at once."""

    type: Literal["session.leave"] = "session.leave"


class Welcome(Message):
    """Answer to hello."""

    type: Literal["session.welcome"] = "session.welcome"
    re: MessageId
    protocol: int = Field(description="The version both ends speak from now on.")
    room: Identifier
    title: str
    member: Identifier = Field(description="The id of the receiver of this message.")
    resume: Secret
    invitation: Invitation
    members: list[Member] = Field(description="Everybody here, the receiver too, in the order of joining.")


class Joined(Message):
    type: Literal["session.joined"] = "session.joined"
    member: Member


class Left(Message):
    type: Literal["session.left"] = "session.left"
    member: Identifier
    reason: Literal["left", "lost"]


class Changed(Message):
    """Something about a member changed; `member` replaces what was known."""

    type: Literal["session.changed"] = "session.changed"
    member: Member


class Refused(Message):
    """A request, or a message that could not be understood, was refused. Nothing was changed."""

    type: Literal["session.refused"] = "session.refused"
    re: MessageId | None = None
    code: str
    sentence: str


class Closing(Message):
    """The server is about to close the connection for good."""

    type: Literal["session.closing"] = "session.closing"
    code: str
    sentence: str
