"""The signalling messages, once for both ends. `docs/protocol.md` tells their story."""

from rtc.signalling.base import (
    MAX_MESSAGE_BYTES,
    MAX_STREAMS,
    PROTOCOL_VERSIONS,
    Message,
    ProtocolError,
    Request,
)
from rtc.signalling.codec import dump_message, parse_client_message, parse_server_message

__all__ = [
    "MAX_MESSAGE_BYTES",
    "MAX_STREAMS",
    "PROTOCOL_VERSIONS",
    "Message",
    "ProtocolError",
    "Request",
    "dump_message",
    "parse_client_message",
    "parse_server_message",
]
