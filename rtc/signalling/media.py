"""The family `media`: what is sent, what is wanted, and how the path for it is agreed."""

from __future__ import annotations

from typing import Annotated, Literal

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
    """What the m-section `mid` shall carry to us; null keeps the section and shows nothing, `*` is whichever
    voices are loud and have no section of their own."""

    mid: Mid
    producer: Identifier | Literal["*"] | None


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


class View(Request):
    """What is shown of the producers that are received, and how large.

    `sizes` in pixels of height; 0: not shown just now, nothing of it is sent, while its section stays. A
    producer that is not named is sent as large as it is. `main` is the big picture, which comes first when
    the path does not take all.
    """

    type: Literal["media.view"] = "media.view"
    sizes: dict[Identifier, Annotated[int, Field(ge=0, le=8640)]] = Field(
        default_factory=dict, max_length=MAX_STREAMS
    )
    main: Identifier | None = None


class Viewed(Message):
    type: Literal["media.viewed"] = "media.viewed"
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


class Forwarded(Message):
    """How much of a producer that we receive is sent to us from now on, and why not all that was asked for.

    `reason`: wanted (all is sent), bandwidth (our path takes no more), load (the server has too much to do),
    last-n (others spoke later), hidden (we show nothing of it).
    """

    type: Literal["media.forwarded"] = "media.forwarded"
    producer: Identifier
    state: Literal["full", "lower", "paused"]
    reason: str


class Voice(Message):
    """Whose voice our section `mid` carries, where we asked for loud voices (`*`) in it."""

    type: Literal["media.voice"] = "media.voice"
    mid: Mid
    producer: Identifier | None


class Speaker(Message):
    """Who speaks now; null when nobody does."""

    type: Literal["media.speaker"] = "media.speaker"
    member: Identifier | None
