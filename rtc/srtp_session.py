"""SRTP and SRTCP (RFC 3711, RFC 7714) through libsrtp, with one buffer for all packets of a session.

This is the one file that knows the inside of pylibsrtp: its binding (`_binding.ffi`, `_binding.lib`) and
`Session._srtp`. Its own `protect` takes no packet over 1,356 bytes and makes a new length for each.
tests/rtc/test_srtp_session.py pins what is used.
"""

from __future__ import annotations

from typing import Any, Final, Protocol

import pylibsrtp
from pylibsrtp._binding import ffi, lib

from rtc.fanout import MAX_DATAGRAM, MasterKey, Profile

#: Bytes that sealing can add: 16 of tag and 4 of SRTCP index; libsrtp may touch 128 more.
_ROOM: Final = MAX_DATAGRAM + 16 + 4 + 128

#: Bytes behind a packet that sealing in place may touch.
SEALING_ROOM: Final = 16 + 128

_PROFILES: Final = {
    Profile.AES_128_CM_SHA1_80: pylibsrtp.Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
    Profile.AES_128_GCM: pylibsrtp.Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
    Profile.AES_256_GCM: pylibsrtp.Policy.SRTP_PROFILE_AEAD_AES_256_GCM,
}


_protect: Final[Any] = lib.srtp_protect


class Memory:
    """Bytes that stay in their place, in which packets are put together, sealed and sent from."""

    __slots__ = ("base", "count", "data", "origin", "view")

    def __init__(self, size: int) -> None:
        self.data: Final = bytearray(size)
        #: To write through: costs a third of what the bytearray itself takes for a slice.
        self.view: Final = memoryview(self.data)
        self.base: Final[Any] = ffi.from_buffer("char[]", self.data)
        #: Where the size of what is sealed goes in and out.
        self.count: Final[Any] = ffi.new("int *")
        #: Its address.
        self.origin: Final = int(ffi.cast("uintptr_t", self.base))


class Session(Protocol):
    """One direction of a peer's media. Each call gives None for what cannot be opened or sealed."""

    def open_rtp(self, data: bytes) -> bytes | None: ...

    def open_rtcp(self, data: bytes) -> bytes | None: ...

    def seal_rtp(self, data: bytes) -> bytes | None: ...

    def seal_rtcp(self, data: bytes) -> bytes | None: ...

    def seal_at(self, memory: Memory, start: int, size: int) -> int:
        """Seals the RTP packet of `size` bytes that begins at `start`, in place, with SEALING_ROOM behind it;
        bytes of what it is then, 0 when it cannot be sealed."""
        ...


class SrtpSession:
    """One direction under one master key; any number of SSRCs, each with its own indexes and window.

    Raises ValueError when key or salt are not as long as the profile wants them.
    """

    __slots__ = ("_buffer", "_data", "_session", "_size", "_srtp", "_tag")

    def __init__(self, profile: Profile, key: MasterKey, *, inbound: bool) -> None:
        if len(key.key) != profile.key_bytes or len(key.salt) != profile.salt_bytes:
            raise ValueError("the key is not as long as the profile wants it")
        policy = pylibsrtp.Policy(
            key=key.key + key.salt,
            ssrc_type=pylibsrtp.Policy.SSRC_ANY_INBOUND if inbound else pylibsrtp.Policy.SSRC_ANY_OUTBOUND,
            srtp_profile=_PROFILES[profile],
        )
        self._session = pylibsrtp.Session(policy)  # frees libsrtp's state when it goes
        self._srtp: Any = self._session._srtp[0]
        self._data: Any = ffi.new("char[]", _ROOM)
        self._buffer: Any = ffi.buffer(self._data)
        self._size: Any = ffi.new("int *")
        self._tag: Final = profile.tag_bytes

    def open_rtp(self, data: bytes) -> bytes | None:
        return self._run(lib.srtp_unprotect, data)

    def open_rtcp(self, data: bytes) -> bytes | None:
        return self._run(lib.srtp_unprotect_rtcp, data)

    def seal_rtp(self, data: bytes) -> bytes | None:
        return self._run(lib.srtp_protect, data)

    def seal_rtcp(self, data: bytes) -> bytes | None:
        return self._run(lib.srtp_protect_rtcp, data)

    def seal_at(self, memory: Memory, start: int, size: int) -> int:
        if size > MAX_DATAGRAM:
            return 0
        count = memory.count
        count[0] = size
        if _protect(self._srtp, memory.base + start, count):
            return 0
        size += self._tag
        return size if size <= MAX_DATAGRAM else 0

    def _run(self, function: Any, data: bytes) -> bytes | None:
        count = len(data)
        if count > MAX_DATAGRAM:
            return None
        size = self._size
        self._buffer[0:count] = data
        size[0] = count
        if function(self._srtp, self._data, size):
            return None
        sealed: bytes = self._buffer[0 : size[0]]
        return sealed if len(sealed) <= MAX_DATAGRAM else None


class ClearSession:
    """Passes everything as it is: for tests in virtual time, never on a network."""

    __slots__ = ()

    def open_rtp(self, data: bytes) -> bytes | None:
        return data

    open_rtcp = seal_rtp = seal_rtcp = open_rtp

    def seal_at(self, memory: Memory, start: int, size: int) -> int:
        return size
