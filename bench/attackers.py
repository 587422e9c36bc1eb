"""Who attacks, for the bench and for tests: strangers who send datagrams, and members who misbehave.

Members are light members of the load bot with one habit changed; all else they do as they should, so that the
server has no other reason to be rid of them.
"""

from __future__ import annotations

import os
import random
import socket
import struct
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any, Final

from aioice import stun

from bench.loadbot.path import MediaPath
from bench.loadbot.plane import Way
from rtc.rtcp import GenericNack, PictureLossIndication
from rtc.socket_address import unpack_address

#: Numbers that one request names: what a server may still have of some seconds of pictures.
NACKED: Final = 400
#: Seconds between two requests of a member that has lost everything, always.
NACK_INTERVAL: Final = 0.02
#: Seconds between reports that lie, and requests for key frames.
LIE_INTERVAL: Final = 0.02
PLI_INTERVAL: Final = 0.005


class Strangers:
    """Sockets at many addresses of the loopback, all of them towards one server. A context."""

    def __init__(self, port: int, count: int = 50, host: str = "127.0.0.1") -> None:
        self._sockets: list[socket.socket] = []
        self._next = 0
        for number in range(count):
            sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self._sockets.append(sock)
            sock.bind((f"127.1.{number // 200}.{1 + number % 200}", 0))
            sock.connect((host, port))
            sock.setblocking(False)

    def __enter__(self) -> Strangers:
        return self

    def __exit__(self, *error: object) -> None:
        for sock in self._sockets:
            sock.close()

    def send(self, data: bytes) -> None:
        """From the next address in turn."""
        self._next = (self._next + 1) % len(self._sockets)
        try:
            self._sockets[self._next].send(data)
        except OSError:  # its buffer is full: the network would lose it too
            return

    def answers(self) -> list[bytes]:
        """All that came to any of them since the last time."""
        found = []
        for sock in self._sockets:
            try:
                while True:
                    found.append(sock.recv(2048))
            except OSError:
                continue
        return found


def binding(username: str, password: str, *, nominate: bool = True) -> bytes:
    """A connectivity check as a member sends it, with its proof."""
    request = stun.Message(stun.Method.BINDING, stun.Class.REQUEST, transaction_id=os.urandom(12))
    request.attributes["USERNAME"] = username
    request.attributes["PRIORITY"] = 1853824767
    if nominate:
        request.attributes["USE-CANDIDATE"] = None
    request.add_message_integrity(password.encode())
    return bytes(request)


def forged_media(seed: int) -> Iterator[bytes]:
    """What looks like SRTP, SRTCP and DTLS of somebody, and is noise; without end."""
    noise = random.Random(seed)
    heads = (b"\x80\x60", b"\x90\xe0", b"\x80\xc8", b"\x81\xcd", b"\x16\xfe\xfd", b"\x17\xfe\xfd")
    while True:
        yield noise.choice(heads) + noise.randbytes(noise.randrange(20, 1200))


def lying_reports(own: int, other: int) -> list[bytes]:
    """RTCP whose lengths and counts promise what is not there, each a datagram of its own (RFC 3550 6.4)."""
    sources = struct.pack("!II", own, other)

    def packet(count: int, kind: int, words: int, body: bytes) -> bytes:
        return struct.pack("!BBH", 0x80 | count, kind, words) + body

    return [
        packet(31, 201, 7, sources + bytes(20)),  # 31 blocks, one is there
        packet(1, 201, 0xFFFF, sources + bytes(20)),  # longer than the datagram by far
        packet(31, 200, 6, sources + bytes(16)),
        packet(0, 200, 1, sources[:4]),  # a sender report without its report
        packet(1, 205, 1, sources[:4]),  # a request for repair of nobody
        packet(15, 205, 3, sources + bytes(4)),  # feedback for each packet that ends within its head
        packet(
            15, 205, 5, sources + struct.pack("!HHI", 0, 0xFFFF, 0) + bytes(4)
        ),  # 65,535 packets in two bytes
        packet(
            15, 205, 5, sources + struct.pack("!HHI", 0, 8, 0) + b"\x3f\xff\x3f\xff"
        ),  # too many in each run
        packet(15, 206, 4, sources + b"REMB" + b"\xff\xff\xff\xff"),  # 255 streams, none is there
        packet(4, 206, 3, sources + bytes(4)),  # half a request for a key frame
        packet(31, 203, 1, sources[:4]),  # 31 say goodbye
        packet(31, 202, 2, sources[:4] + b"\x01\xff\x00\x00"),  # a name of 255 bytes
        packet(0, 201, 1, sources[:4]) + b"\x80\xc9\xff",  # and half a header behind
        b"\xa0" + packet(0, 201, 2, sources)[1:-1] + b"\xff",  # padding of 255 bytes
    ]


class BadPath(MediaPath):
    """As any member's while not `attacking`; `requests` counts what it sent or left out since then."""

    attacking = True
    requests = 0
    interval = 0.02  # seconds between two misdeeds

    def _repair(self, now: float) -> float | None:
        if not self.attacking:
            return super()._repair(now)
        if self._stopped:
            return None
        self.misbehave()
        return now + self.interval

    def misbehave(self) -> None:
        """Once."""

    def videos(self) -> list[tuple[int, int]]:
        """SSRC and stream of the plane of the pictures that it gets."""
        return [(ssrc, i.stream) for ssrc, i in self._incoming.items() if i.observer.kind == "video"]


class ForgetfulPath(BadPath):
    """Asks again for all that it ever got, all the time; `asked` counts the numbers."""

    interval = NACK_INTERVAL
    asked = 0

    def misbehave(self) -> None:
        for ssrc, stream in self.videos():
            newest = self._fanout.stream_statistics(stream).highest_sequence
            lost = tuple((newest - back) & 0xFFFF for back in range(NACKED, 0, -1))
            self.send_rtcp(GenericNack(self._ssrc, ssrc, lost).serialize())
            self.requests += 1
            self.asked += len(lost)


class ImpatientPath(BadPath):
    """Asks for a key frame all the time."""

    interval = PLI_INTERVAL

    def misbehave(self) -> None:
        for ssrc, _ in self.videos():
            self.send_rtcp(PictureLossIndication(self._ssrc, ssrc).serialize())
            self.requests += 1


class LyingPath(BadPath):
    """Sends reports whose lengths lie, with its own good keys."""

    interval = LIE_INTERVAL

    def misbehave(self) -> None:
        lies = lying_reports(self._ssrc, next(iter(self._incoming), 0))
        self.send_rtcp(lies[self.requests % len(lies)])
        self.requests += 1


class SilentPath(BadPath):
    """Never tells what came: no report, no feedback, no request for anything."""

    interval = 0.1

    def _feed_back(self, now: float) -> float | None:
        return now + self.interval if self.attacking else super()._feed_back(now)

    def _report(self, now: float) -> float | None:
        return now + self.interval if self.attacking else super()._report(now)


class RecordedPath(MediaPath):
    """A victim: somebody on its way keeps what it sends."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.recorded: deque[bytes] = deque(maxlen=200)  # SRTP

    def _send_sealed(self, way: Way, now: int) -> None:
        self._fanout.flush(-1, now)
        for _, data in self._fanout.take():
            self.recorded.append(data)
            self.send_raw(data)

    def send_raw(self, data: bytes) -> None:
        """From the member's own address, as somebody would who forges it."""
        if self._way is not None and self._way.remote:
            with suppress(OSError):  # its buffer is full: the network would lose it too
                self._way.socket.sendto(data, unpack_address(self._way.remote))

    def check(self, password: str = "") -> bytes:
        """A connectivity check of this member's, or one with a wrong password."""
        remote = self._ice._remote
        return binding(f"{remote.ufrag}:{self._ice.ufrag}", password or remote.password)


#: name -> the path of the member that misbehaves so
PATHS: Final[dict[str, type[BadPath]]] = {
    "nacks-everything": ForgetfulPath,
    "asks-for-key-frames": ImpatientPath,
    "lying-rtcp": LyingPath,
    "never-acknowledges": SilentPath,
}


def media_of(datagrams: Sequence[bytes]) -> list[bytes]:
    """Those that are SRTP or SRTCP."""
    return [data for data in datagrams if data and 128 <= data[0] < 192]
