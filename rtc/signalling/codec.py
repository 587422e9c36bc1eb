"""Text to message and back, for both directions. The cost of any input is bounded by its size limit."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError
from pydantic_core import from_json

from rtc.signalling import media, session
from rtc.signalling.base import MAX_MESSAGE_BYTES, Message, ProtocolError

ClientMessage = Annotated[
    session.Hello | session.Leave | media.Offer | media.Select | media.View | media.Mute,
    Field(discriminator="type"),
]
ServerMessage = Annotated[
    session.Welcome
    | session.Joined
    | session.Left
    | session.Changed
    | session.Refused
    | session.Closing
    | media.Answer
    | media.Selected
    | media.Viewed
    | media.Muted
    | media.Forwarded
    | media.Voice
    | media.Produced
    | media.Unproduced
    | media.Speaker,
    Field(discriminator="type"),
]

_CLIENT: TypeAdapter[Any] = TypeAdapter(ClientMessage)
_SERVER: TypeAdapter[Any] = TypeAdapter(ServerMessage)


def parse_client_message(text: str | bytes) -> Message:
    """What a client sent to the server; raises ProtocolError with code and sentence."""
    return _parse(text, _CLIENT)


def parse_server_message(text: str | bytes) -> Message:
    """What a server sent to a client; raises ProtocolError with code and sentence."""
    return _parse(text, _SERVER)


def dump_message(message: Message) -> str:
    """The JSON text that goes over the wire."""
    return message.model_dump_json()


def _parse(text: str | bytes, adapter: TypeAdapter[Any]) -> Message:
    data = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
    if len(data) > MAX_MESSAGE_BYTES:
        raise ProtocolError(
            "message-too-large", f"The message has {len(data)} bytes; at most {MAX_MESSAGE_BYTES} are taken."
        )
    try:
        value = from_json(data, allow_inf_nan=False)
    except ValueError:
        raise ProtocolError("message-malformed", "The message is not JSON.") from None
    if not isinstance(value, dict) or not isinstance(value.get("type"), str):
        raise ProtocolError("message-malformed", 'The message is not a JSON object with a "type".')
    number = value.get("id")
    re = number if type(number) is int and 0 <= number < 2**31 else None
    try:
        message: Message = adapter.validate_python(value)
    except ValidationError as error:
        raise _as_protocol_error(error, str(value["type"]), re) from None
    return message


def _as_protocol_error(error: ValidationError, kind: str, re: int | None) -> ProtocolError:
    first = error.errors(include_input=False, include_url=False, include_context=False)[0]
    if first["type"] == "union_tag_invalid":
        return ProtocolError("message-unknown", f"There is no message {kind[:40]!r} here.", re)
    # The first part of the location is the tag of the union.
    where = ".".join(str(part) for part in first["loc"][1:]) or "message"
    return ProtocolError("message-invalid", f"{kind[:40]}: {where[:60]}: {first['msg'][:120]}.", re)
