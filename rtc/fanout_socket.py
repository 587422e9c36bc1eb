"""Datagrams in and out of a non-blocking UDP socket: many in one call where the system can (sendmmsg)."""

from __future__ import annotations

import ctypes
import errno
import socket
import struct
import sys
from array import array
from collections import deque
from typing import Any, Final

from rtc.fanout import BATCH, MAX_DATAGRAM

#: Datagrams of one sendmmsg. More save calls, and cost 1.5 KB each.
_MESSAGES: Final = 64
#: Addresses whose sockaddr is remembered; making one again costs 2 microseconds.
_REMEMBERED: Final = 4096
#: Bytes of the largest sockaddr (IPv6).
_NAME: Final = 28
_SIZES: Final = frozenset((16, _NAME))
_TRY_AGAIN: Final = frozenset((errno.EAGAIN, errno.EWOULDBLOCK, errno.ENOBUFS, errno.EINTR))

Datagram = tuple[bytes, bytes]  # address, data


def is_sockaddr(address: bytes) -> bool:
    """Whether a socket can send there: a sockaddr_in or sockaddr_in6 of this system."""
    return len(address) in _SIZES


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

    def send(self, fd: int, ready: deque[Datagram]) -> tuple[int, int, int]:
        """Sends from the left of `ready` until it is empty or the socket takes no more.

        Returns how many it took, how many bytes they were, and how many could not be sent at all.
        """
        if self._messages is not None:
            return self._messages.send(fd, ready)
        send = self._socket(fd).sendto
        sent = octets = unreachable = 0
        while ready:
            address, data = ready[0]
            try:
                send(data, from_sockaddr(address))
                sent += 1
                octets += len(data)
            except OSError as error:
                if error.errno in _TRY_AGAIN:
                    break
                unreachable += 1
            ready.popleft()
        return sent, octets, unreachable

    def close(self) -> None:
        """Lets go of the sockets; they stay open."""
        for held in self._sockets.values():
            held.detach()
        self._sockets.clear()

    def _socket(self, fd: int) -> socket.socket:
        held = self._sockets.get(fd)
        if held is None:
            held = self._sockets[fd] = socket.socket(fileno=fd)
        return held


def _has_sendmmsg() -> bool:
    """True where struct mmsghdr is laid out as `_Messages` does it: Linux with 64 bits, low byte first."""
    return sys.platform == "linux" and struct.calcsize("P") == 8 and sys.byteorder == "little"


class _Messages:
    """sendmmsg over one arena: slots for data and names whose addresses never change, so that a datagram
    costs two copies and two numbers. An mmsghdr is eight words: name, its size, iovec, its count, control,
    its size, flags, bytes sent."""

    def __init__(self) -> None:
        self._call: Any = ctypes.CDLL(None, use_errno=True).sendmmsg
        self._call.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int)
        self._slot: Final = 65536 // 32  # over MAX_DATAGRAM
        self._data = bytearray(self._slot * _MESSAGES)
        self._names = bytearray(32 * _MESSAGES)
        self._vectors = array("Q", bytes(16 * _MESSAGES))
        self._headers = array("Q", bytes(64 * _MESSAGES))
        # A ctypes view of each keeps it in its place.
        self._held = [
            (ctypes.c_char * len(memory)).from_buffer(memory) for memory in (self._data, self._names)
        ]
        data, names = (ctypes.addressof(view) for view in self._held)
        vectors, self._header = self._vectors.buffer_info()[0], self._headers.buffer_info()[0]
        for index in range(_MESSAGES):
            self._vectors[2 * index] = data + self._slot * index
            self._headers[8 * index] = names + 32 * index
            self._headers[8 * index + 2] = vectors + 16 * index
            self._headers[8 * index + 3] = 1

    def send(self, fd: int, ready: deque[Datagram]) -> tuple[int, int, int]:
        sent = octets = unreachable = 0
        while ready:
            count = self._fill(ready)
            done = self._call(fd, self._header, count, 0)
            if done < 0:
                if ctypes.get_errno() in _TRY_AGAIN:
                    break
                unreachable += 1
                ready.popleft()
                continue
            sent += done
            for _ in range(done):
                octets += len(ready.popleft()[1])
        return sent, octets, unreachable

    def _fill(self, ready: deque[Datagram]) -> int:
        slots, names, vectors, headers = self._data, self._names, self._vectors, self._headers
        slot, count = self._slot, 0
        for address, data in ready:
            size, place = len(data), slot * count
            slots[place : place + size] = data
            name = 32 * count
            names[name : name + len(address)] = address
            vectors[2 * count + 1] = size
            headers[8 * count + 1] = len(address)
            count += 1
            if count == _MESSAGES:
                break
        return count
