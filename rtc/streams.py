"""The pure ends of a stream, for clients, load bots and tests: bytes and time in, bytes and frames out."""

from __future__ import annotations

from rtc.receive_stream import ReceiveCounters, ReceiveStream
from rtc.send_stream import SendCounters, SendReaction, SendStream

__all__ = ["ReceiveCounters", "ReceiveStream", "SendCounters", "SendReaction", "SendStream"]
