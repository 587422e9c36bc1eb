"""The family `media`: what is sent, what is wanted, and how the path for it is agreed."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from rtc.signalling.base import MAX_STREAMS, Identifier, Message, MessageId, Mid, Part, Request

Source = Literal["camera", "microphone", "screen"]
Kind = Literal["audio", "video"]


class Producer(Part):
    """One source of one member, as others may receive it."""

    id: Identifier
    member: Identifier
    kind: Kind
    source: Source


class Sending(Part):
    """What the m-section `mid` of an offer carries."""

    mid: Mid
    source: Source


class Receiving(Part):
    """What the m-section `mid` shall carry to us; null keeps the section and shows nothing."""

    mid: Mid
    producer: Identifier | None


class Offer(Request):
    """An SDP offer (RFC 3264, bundled, one stream a section).

    The same ice-ufrag again changes the streams of the path there is; a new one starts a new path.
    """

    type: Literal["media.offer"] = "media.offer"
    sdp: str = Field(max_length=62_000)
    send: list[Sending] = Field(default_factory=list, max_length=8)
    receive: list[Receiving] = Field(default_factory=list, max_length=MAX_STREAMS)


class Answer(Message):
    type: Literal["media.answer"] = "media.answer"
    re: MessageId
    sdp: str
    producers: dict[Mid, Identifier] = Field(description="Ids given to what the offer sends, by section.")


class Select(Request):
    """Other producers into sections that were agreed already; no SDP needed."""

    type: Literal["media.select"] = "media.select"
    receive: list[Receiving] = Field(max_length=MAX_STREAMS)


class Selected(Message):
    type: Literal["media.selected"] = "media.selected"
    re: MessageId


class Mute(Request):
    """Stop or resume a source; while it is muted the server drops its packets."""

    type: Literal["media.mute"] = "media.mute"
    source: Source
    muted: bool


class Muted(Message):
    type: Literal["media.muted"] = "media.muted"
    re: MessageId


class Produced(Message):
    type: Literal["media.produced"] = "media.produced"
    producer: Producer


class Unproduced(Message):
    type: Literal["media.unproduced"] = "media.unproduced"
    producer: Identifier


class Speaker(Message):
    """Who speaks now; null when nobody does."""

    type: Literal["media.speaker"] = "media.speaker"
    member: Identifier | None
