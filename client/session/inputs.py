"""What can happen to a session, and what is to be done about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rtc.invitation import Invitation
from rtc.signalling import Message, media

#: What a note is about: whoever put it is the one who takes it away.
Topic = Literal["video", "sound", "speaker", "studio", "server"]


@dataclass(frozen=True, slots=True)
class Join:
    """The person wants into a meeting, with a link or a code as it was pasted."""

    invitation: str
    name: str


@dataclass(frozen=True, slots=True)
class Leave:
    """The person wants out."""


@dataclass(frozen=True, slots=True)
class SetMicrophone:
    on: bool


@dataclass(frozen=True, slots=True)
class SetCamera:
    on: bool


@dataclass(frozen=True, slots=True)
class Opened:
    """The signalling connection is there."""


@dataclass(frozen=True, slots=True)
class Closed:
    """The signalling connection could not be made, or broke."""

    stranger: bool = False  # something answered that is no Hearth server


@dataclass(frozen=True, slots=True)
class Received:
    message: Message


@dataclass(frozen=True, slots=True)
class MediaUp:
    """Packets can be sent and received."""


@dataclass(frozen=True, slots=True)
class MediaDown:
    """The media path did not come up, or carries nothing any more."""

    reason: str = ""  # a sentence, where the server said why


@dataclass(frozen=True, slots=True)
class Noted:
    """Something to tell the person that does not end the call.

    A sentence stays until the same topic gets another one or an empty one; a `passing` one goes by itself.
    """

    sentence: str
    topic: Topic
    passing: bool = False


@dataclass(frozen=True, slots=True)
class Tick:
    """Time passed."""


Input = (
    Join | Leave | SetMicrophone | SetCamera | Opened | Closed | Received | MediaUp | MediaDown | Noted | Tick
)


@dataclass(frozen=True, slots=True)
class Connect:
    """Open the signalling connection. Comes only while there is none."""

    invitation: Invitation


@dataclass(frozen=True, slots=True)
class Disconnect:
    """Close the signalling connection."""


@dataclass(frozen=True, slots=True)
class SendHello:
    """Say hello; the runner adds the number."""

    invitation: Invitation
    name: str
    resume: bool
    microphone: bool
    camera: bool


@dataclass(frozen=True, slots=True)
class SendLeave:
    pass


@dataclass(frozen=True, slots=True)
class SendMute:
    source: media.Source
    muted: bool


@dataclass(frozen=True, slots=True)
class Receive:
    """Agree with the server on receiving exactly these producers. `fresh`: over a new path."""

    producers: tuple[media.Producer, ...]
    fresh: bool = False


@dataclass(frozen=True, slots=True)
class StopMedia:
    """Close the media path."""


Effect = Connect | Disconnect | SendHello | SendLeave | SendMute | Receive | StopMedia
