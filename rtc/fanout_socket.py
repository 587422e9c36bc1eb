"""Datagrams in and out of a non-blocking UDP socket: many in one call where the system can (sendmmsg)."""

from __future__ import annotations

import ctypes
import errno
import socket
import struct
import sys
from array import array
from collections import deque
from itertools import islice
from typing import Any, Final

from rtc.fanout import BATCH, MAX_DATAGRAM
from rtc.fanout_outbox import SOCKADDR_SIZES, Burst

#: Messages of one sendmmsg. More save calls, and cost 100 bytes each.
_MESSAGES: Final = 64
#: Messages that are sent without segments after these were refused, until they are tried again. More spare
#: tries in vain where it never works; fewer are sooner done with a way that was narrow for a while.
_WITHOUT_SEGMENTS: Final = 1000
#: Addresses whose sockaddr is remembered; making one again costs 2 microseconds.
_REMEMBERED: Final = 4096
#: Bytes of the largest sockaddr (IPv6).
_NAME: Final = 28
#: A cmsghdr (its length, level, type) with the size of the segments, of linux/udp.h.
_SOL_UDP: Final = 17
_UDP_SEGMENT: Final = 103
_SEGMENTS: Final = struct.Struct("=QIIH6x")
#: How the system refuses segments.
_NO_SEGMENTS: Final = frozenset((errno.EIO, errno.EINVAL))
_TRY_AGAIN: Final = frozenset((errno.EAGAIN, errno.EWOULDBLOCK, errno.ENOBUFS, errno.EINTR))

Datagram = tuple[bytes, bytes]  # address, data


def is_sockaddr(address: bytes) -> bool:
    """Whether a socket can send there: a sockaddr_in or sockaddr_in6 of this system."""
    return len(address) in SOCKADDR_SIZES


def to_sockaddr(address: tuple[Any, ...]) -> bytes:
    """(host, port) or (host, port, flow, scope), as recvfrom gives it, as the system's sockaddr.

    Raises OSError when host is not numeric.
    """
    if len(address) == 2:
        return struct.pack(
            "=HH4s8x", socket.AF_INET, socket.htons(address[1]), socket.inet_pton(socket.AF_INET, address[0])
        )
    host, port, flow, scope = address
    packed = socket.inet_pton(socket.AF_INET6, host.partition("%")[0])
    return struct.pack("=HHI16sI", socket.AF_INET6, socket.htons(port), socket.htonl(flow), packed, scope)


def from_sockaddr(name: bytes) -> tuple[Any, ...]:
    """The other way. Raises ValueError for what is no sockaddr of 16 or 28 bytes."""
    if len(name) == 16:
        _, port, packed = struct.unpack("=HH4s8x", name)
        return socket.inet_ntop(socket.AF_INET, packed), socket.ntohs(port)
    if len(name) == _NAME:
        _, port, flow, packed, scope = struct.unpack("=HHI16sI", name)
        return socket.inet_ntop(socket.AF_INET6, packed), socket.ntohs(port), socket.ntohl(flow), scope
    raise ValueError("an address has 16 or 28 bytes")


class Sockets:
    """Receives from and sends through sockets that others own, by file descriptor."""

    def __init__(self) -> None:
        self._sockets: dict[int, socket.socket] = {}
        self._names: dict[tuple[Any, ...], bytes] = {}
        self._addresses: dict[bytes, tuple[Any, ...]] = {}
        self._messages = _Messages() if _has_sendmmsg() else None

    def receive(self, fd: int) -> list[Datagram]:
        """Up to BATCH datagrams; one that is too long comes cut to MAX_DATAGRAM + 1 bytes."""
        receive = self._socket(fd).recvfrom
        found: list[Datagram] = []
        for _ in range(BATCH):
            try:
                data, address = receive(MAX_DATAGRAM + 1)
            except (BlockingIOError, InterruptedError):
                break
            except OSError:  # the network's answer to something sent earlier
                continue
            name = self._names.get(address)
            if name is None:
                if len(self._names) >= _REMEMBERED:
                    self._names.clear()
                name = self._names[address] = to_sockaddr(address)
            found.append((name, data))
        return found

    def send(self, fd: int, bursts: deque[Burst]) -> tuple[int, int, int]:
        """Sends from the left of `bursts` until it is empty or the socket takes no more.

        Returns how many datagrams it took, how many bytes they were, and how many could not be sent at all.
        """
        if self._messages is not None:
            return self._messages.send(fd, bursts)
        send = self._socket(fd).sendto
        sent = octets = unreachable = 0
        while bursts:
            if bursts[0].count > 1:
                bursts.appendleft(bursts[0].split(1))
            one = bursts[0]
            try:
                octets += send(one.memory.view[one.start : one.end], self._address(one.address))
                sent += 1
            except OSError as error:
                if error.errno in _TRY_AGAIN:
                    break
                unreachable += 1
            bursts.popleft()
        return sent, octets, unreachable

    def close(self) -> None:
        """Lets go of the sockets; they stay open."""
        for held in self._sockets.values():
            held.detach()
        self._sockets.clear()

    def _address(self, name: bytes) -> tuple[Any, ...]:
        """As sendto takes it."""
        address = self._addresses.get(name)
        if address is None:
            if len(self._addresses) >= _REMEMBERED:
                self._addresses.clear()
            address = self._addresses[name] = from_sockaddr(name)
        return address

    def _socket(self, fd: int) -> socket.socket:
        held = self._sockets.get(fd)
        if held is None:
            held = self._sockets[fd] = socket.socket(fileno=fd)
        return held


def _has_sendmmsg() -> bool:
    """True where struct mmsghdr is laid out as `_Messages` does it: Linux with 64 bits, low byte first."""
    return sys.platform == "linux" and struct.calcsize("P") == 8 and sys.byteorder == "little"


class _Messages:
    """sendmmsg of bursts from where they lie, each as one message where the system takes several datagrams of
    one size at once (UDP GSO). Names lie where they stay too, so that a message costs a few numbers. An
    mmsghdr is eight words: name, its size, iovec, its count, control, its size, flags, bytes sent."""

    def __init__(self) -> None:
        self._call: Any = ctypes.CDLL(None, use_errno=True).sendmmsg
        self._call.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int)
        self._names = bytearray(32 * _REMEMBERED)
        self._places: dict[bytes, int] = {}  # of names
        self._vectors = array("Q", bytes(16 * _MESSAGES))
        self._headers = array("Q", bytes(64 * _MESSAGES))
        # For each message the control message that tells the size of its segments.
        self._controls = array("H", _SEGMENTS.pack(18, _SOL_UDP, _UDP_SEGMENT, 0) * _MESSAGES)
        self._plain = 0  # messages that are sent without segments, before these are tried again
        # A ctypes view keeps it in its place; arrays are never resized here.
        self._held = (ctypes.c_char * len(self._names)).from_buffer(self._names)
        self._name = ctypes.addressof(self._held)
        self._header = self._headers.buffer_info()[0]
        vectors, controls = self._vectors.buffer_info()[0], self._controls.buffer_info()[0]
        self._control = [controls + _SEGMENTS.size * index for index in range(_MESSAGES)]
        for index in range(_MESSAGES):
            self._headers[8 * index + 2] = vectors + 16 * index
            self._headers[8 * index + 3] = 1

    def send(self, fd: int, bursts: deque[Burst]) -> tuple[int, int, int]:
        sent = octets = unreachable = 0
        while bursts:
            if self._plain:
                self._take_apart(bursts)
            done = self._call(fd, self._header, self._fill(bursts), 0)
            if done < 0:
                error, first = ctypes.get_errno(), bursts[0]
                if error in _NO_SEGMENTS and first.count > 1:
                    # Whether one alone goes tells if it is the segments or the way there.
                    bursts.appendleft(first.split(1))
                    done = self._call(fd, self._header, self._fill(bursts, 1), 0)
                    if done > 0:
                        self._plain = _WITHOUT_SEGMENTS
                    else:
                        error = ctypes.get_errno()
                        first.rejoin(bursts.popleft())
                if done < 0:
                    if error in _TRY_AGAIN:
                        break
                    unreachable += bursts.popleft().count
            for _ in range(done):
                burst = bursts.popleft()
                sent += burst.count
                octets += burst.end - burst.start
        return sent, octets, unreachable

    def _take_apart(self, bursts: deque[Burst]) -> None:
        """The next datagrams go one by one."""
        singles: list[Burst] = []
        while bursts and self._plain and len(singles) < _MESSAGES:
            singles.append(bursts[0].split(1) if bursts[0].count > 1 else bursts.popleft())
            self._plain -= 1
        bursts.extendleft(reversed(singles))

    def _fill(self, bursts: deque[Burst], most: int = _MESSAGES) -> int:
        """Lays out the first messages; how many."""
        places, vectors, headers = self._places, self._vectors, self._headers
        if len(places) + most > _REMEMBERED:
            places.clear()
        count = at = 0
        for burst in islice(bursts, most):
            address, start = burst.address, burst.start
            headers[at] = places.get(address) or self._place(address)
            headers[at + 1] = len(address)
            vectors[2 * count] = burst.memory.origin + start
            vectors[2 * count + 1] = burst.end - start
            if burst.count > 1:
                self._controls[_SEGMENTS.size // 2 * count + 8] = burst.size
                headers[at + 4], headers[at + 5] = self._control[count], _SEGMENTS.size
            elif headers[at + 5]:
                headers[at + 4] = headers[at + 5] = 0
            count += 1
            at += 8
        return count

    def _place(self, address: bytes) -> int:
        """Where the name lies from now on."""
        start = 32 * len(self._places)
        self._names[start : start + len(address)] = address
        place = self._places[address] = self._name + start
        return place
