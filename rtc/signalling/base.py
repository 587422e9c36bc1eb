"""What all signalling messages share: the base class, the limits, and how a refusal looks."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

#: Versions of the protocol that this program speaks, best first.
PROTOCOL_VERSIONS: tuple[int, ...] = (1,)

#: Bytes of one message as UTF-8 text. Raising it lets larger meetings negotiate in one offer and lets a
#: stranger make the server hold more.
MAX_MESSAGE_BYTES = 64 * 1024

#: m-sections of one offer, streams of one member.
MAX_STREAMS = 128

MessageId = Annotated[int, Field(ge=0, lt=2**31, description="Chosen by the sender; the answer repeats it.")]
Mid = Annotated[str, Field(min_length=1, max_length=16, pattern=r"^[A-Za-z0-9_-]+$")]
Identifier = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_-]+$")]


class Part(BaseModel):
    """A piece of a message: immutable, and refuses fields nobody knows."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Message(Part):
    """One signalling message; subclasses pin `type` to `family.name`."""

    type: str


class Request(Message):
    """A message that gets exactly one answer or one refusal with the same number."""

    id: MessageId


class ProtocolError(ValueError):
    """A message or an action is refused.

    `code` is stable and for programs, `sentence` is for people, `re` is the id of the request if known.
    """

    def __init__(self, code: str, sentence: str, re: int | None = None) -> None:
        super().__init__(f"{code}: {sentence}")
        self.code = code
        self.sentence = sentence
        self.re = re
