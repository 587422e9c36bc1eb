"""The header extensions of what goes to one destination, laid out once (RFC 8285; docs/fanout.md, step 4)."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from struct import Struct
from typing import Final

from rtc.fanout import ExtensionIds
from rtc.rtp import ONE_BYTE_PROFILE, TWO_BYTE_PROFILE

#: How header and block are written before a payload: `Struct.pack_into`, which takes the first two bytes,
#: sequence number, timestamp, SSRC, head of the block, transport-wide number and the rest of the block; that
#: head and that rest; and the bytes of all.
Prefix = tuple[Callable[..., None], bytes, bytes, int]


#: Bytes of the largest of them: the header, and all that stands in the block, mid above all.
PREFIX_BYTES: Final = 12 + 4 + 2 + 255 + 3 + 5 + 4 + 3


@lru_cache(maxsize=256)
def _struct(head: int, tail: int) -> Struct:
    return Struct(f"!BBHII{head}sH{tail}s")


def _head(identity: int, size: int, one_byte: bool) -> bytes:
    """What stands before a value; in a form that does not fit, something that is never sent."""
    return bytes(((identity << 4 | size - 1) & 0xFF,)) if one_byte else bytes((identity, size))


def _stamp(now: int) -> bytes:
    """Seconds in 6.18 fixed point."""
    return (now * 262144 // 1_000_000 & 0xFFFFFF).to_bytes(3, "big")


class _Form:
    """The one-byte or the two-byte form of mid, level, send time and transport-wide number."""

    __slots__ = ("_ids", "_layouts", "_mid", "_number", "_one_byte", "_stamp")

    def __init__(self, ids: ExtensionIds, mid: bytes, one_byte: bool) -> None:
        self._ids, self._one_byte = ids, one_byte
        self._mid = _head(ids.mid, len(mid), one_byte) + mid if ids.mid and mid else b""
        self._stamp = _head(ids.send_time, 3, one_byte) if ids.send_time else b""
        self._number = _head(ids.transport_wide, 2, one_byte) if ids.transport_wide else b""
        self._layouts: dict[int, tuple[bytes, bytes]] = {}  # by level: what comes before the times, and after

    def block(self, level: int, number: int, now: int) -> bytes:
        """Without a dependency descriptor."""
        layout = self._layouts.get(level)
        if layout is None:
            layout = self._layouts[level] = self._layout(level)
        head, tail = layout
        if self._stamp:
            head += self._stamp + _stamp(now)
        if self._number:
            head += self._number + number.to_bytes(2, "big")
        return head + tail

    def prefix(self, level: int, now: int) -> Prefix:
        """Without a dependency descriptor, with a transport-wide number."""
        head, tail = self._layout(level)
        if self._stamp:
            head += self._stamp + _stamp(now)
        head += self._number
        struct = _struct(len(head), len(tail))
        return struct.pack_into, head, tail, struct.size

    def described(self, level: int, number: int, now: int, descriptor: bytes) -> bytes:
        """With one at the end."""
        head, _ = self._layout(level)
        body = head[4:]
        if self._stamp:
            body += self._stamp + _stamp(now)
        if self._number:
            body += self._number + number.to_bytes(2, "big")
        body += _head(self._ids.dependency, len(descriptor), self._one_byte) + descriptor
        return self._header(len(body)) + body + bytes(-len(body) % 4)

    def _layout(self, level: int) -> tuple[bytes, bytes]:
        head = self._mid
        if level >= 0 and self._ids.level:
            head += _head(self._ids.level, 1, self._one_byte) + bytes((level,))
        size = len(head)
        if self._stamp:
            size += len(self._stamp) + 3
        if self._number:
            size += len(self._number) + 2
        return (self._header(size) + head, bytes(-size % 4)) if size else (b"", b"")

    def _header(self, size: int) -> bytes:
        profile = ONE_BYTE_PROFILE if self._one_byte else TWO_BYTE_PROFILE
        return profile.to_bytes(2, "big") + ((size + 3) // 4).to_bytes(2, "big")


class ExtensionWriter:
    """Writes the block for each packet. mid: at most 255 bytes, b"" for none; ids 0..255."""

    __slots__ = (
        "_describes_short",
        "_leveled",
        "_one",
        "_plain",
        "_timed",
        "_two",
        "describes",
        "numbered",
        "prefixes",
    )

    def __init__(self, ids: ExtensionIds, mid: bytes) -> None:
        one_byte = max(ids.send_time, ids.transport_wide, ids.mid if mid else 0) <= 14
        one_byte = one_byte and not (ids.mid and len(mid) > 16)
        self._one: Final = _Form(ids, mid, True)
        self._two: Final = _Form(ids, mid, False)
        self._plain: Final = self._one if one_byte else self._two  # without a level
        self._leveled: Final = self._plain if ids.level <= 14 else self._two
        self._describes_short: Final = ids.dependency <= 14
        #: Whether packets carry a transport-wide number, and descriptors.
        self.numbered: Final = ids.transport_wide != 0
        self._timed: Final = ids.send_time != 0
        #: By level, those in which no time stands.
        self.prefixes: Final[dict[int, Prefix]] = {}
        self.describes: Final = ids.dependency != 0

    def prefix(self, level: int, now: int) -> Prefix:
        """The same with the header before it, where packets are `numbered`, for those without descriptor."""
        prefix = (self._plain if level < 0 else self._leveled).prefix(level, now)
        if not self._timed:
            self.prefixes[level] = prefix
        return prefix

    def block(self, level: int, number: int, now: int, descriptor: bytes = b"") -> bytes:
        """The block with its header, b"" when nothing is in it.

        level: the byte to write, -1 for none; number: transport-wide; now in microseconds.
        """
        form = self._plain if level < 0 else self._leveled
        if not descriptor or not self.describes:
            return form.block(level, number, now)
        if not self._describes_short or len(descriptor) > 16:
            form = self._two
        return form.described(level, number, now, descriptor)
