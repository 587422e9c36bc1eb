"""Socket addresses as the system keeps them (sockaddr_in, sockaddr_in6), and as people read them."""

from __future__ import annotations

import socket
import sys
from struct import Struct
from typing import Final

Address = tuple[str, int]

_V4: Final = Struct("=H2s4s8x")
_V6: Final = Struct("=H2s4s16s4s")


def pack_address(host: str, port: int) -> bytes:
    """The bytes of an address; raises OSError for what is no address."""
    wire_port = port.to_bytes(2, "big")
    if ":" in host:
        raw = socket.inet_pton(socket.AF_INET6, host.partition("%")[0])
        return _V6.pack(socket.AF_INET6, wire_port, bytes(4), raw, bytes(4))
    return _V4.pack(socket.AF_INET, wire_port, socket.inet_pton(socket.AF_INET, host))


def unpack_address(raw: bytes) -> Address:
    """Host and port. An IPv4 peer of a socket for both families is shown as IPv4, as it knows itself."""
    if len(raw) == _V4.size:
        _, port, host = _V4.unpack(raw)
        return socket.inet_ntop(socket.AF_INET, host), int.from_bytes(port, "big")
    _, port, _, host, _ = _V6.unpack(raw)
    text = socket.inet_ntop(socket.AF_INET6, host)
    return (text.removeprefix("::ffff:") if "." in text else text), int.from_bytes(port, "big")


def bind(host: str, port: int, *, reuse_port: bool = False) -> socket.socket:
    """A UDP socket at `host`:`port` (0: any free port; "::" serves IPv4 too); raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_DGRAM)
    try:
        if host == "::":
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        if reuse_port:
            if sys.platform != "linux":
                raise OSError("several processes on one address need Linux")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind((host, port))
    except OSError:
        sock.close()
        raise
    return sock


def bind_in_range(host: str, ports: range) -> socket.socket:
    """At the first port of the range that is free; raises OSError where none is."""
    error: OSError | None = None
    for port in ports:
        try:
            return bind(host, port)
        except OSError as refused:
            error = refused
    raise error or OSError("the range of ports is empty")
