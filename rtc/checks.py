"""Connectivity checks on the ICE-lite side (RFC 8445 section 7.3, RFC 8489): the cheapest questions first."""

from __future__ import annotations

import hmac
import socket
import struct
import zlib
from typing import Final, NamedTuple

from aioice import stun

from rtc.socket_address import Address

#: Attributes that are looked at in search of the user name, which peers put first.
_MOST_ATTRIBUTES: Final = 12
_USERNAME: Final = 0x0006
_INTEGRITY: Final = 0x0008
_XOR_MAPPED_ADDRESS: Final = 0x0020
_USE_CANDIDATE: Final = 0x0025
_FINGERPRINT: Final = 0x8028
_INTEGRITY_BYTES: Final = 20
_HEADER: Final = 20
_BINDING_REQUEST: Final = b"\x00\x01"
_BINDING_SUCCESS: Final = b"\x01\x01"
_COOKIE: Final = b"\x21\x12\xa4\x42"


class CheckError(Exception):
    """No check that can be used; the text is the reason it is counted under."""


def user_fragment(data: bytes) -> str:
    """Whom a request is for. Costs next to nothing, so that a flood does; raises CheckError."""
    if len(data) < _HEADER or data[4:8] != _COOKIE:
        raise CheckError("stun-malformed")
    if data[:2] != _BINDING_REQUEST:
        raise CheckError("stun-not-a-check")
    at = _HEADER
    for _ in range(_MOST_ATTRIBUTES):
        if at + 4 > len(data):
            break
        kind, size = data[at] << 8 | data[at + 1], data[at + 2] << 8 | data[at + 3]
        if kind == _USERNAME:
            if at + 4 + size > len(data):
                raise CheckError("stun-malformed")
            name = data[at + 4 : at + 4 + size].partition(b":")[0]
            try:
                return name.decode("ascii")
            except UnicodeDecodeError:
                raise CheckError("stun-not-authorised") from None
        at += 4 + size + (-size & 3)
    raise CheckError("stun-not-a-check")


def is_answer(data: bytes) -> bool:
    """Whether it is a success response to a check of ours; nothing of it is proven yet."""
    return len(data) >= _HEADER and data[:2] == _BINDING_SUCCESS and data[4:8] == _COOKIE


def transaction(data: bytes) -> bytes:
    """The number of the transaction, of what has a whole header."""
    return data[8:_HEADER]


def question(number: bytes, name: str, password: str, priority: int, tie_breaker: int) -> bytes:
    """A check of ours, the controlled end's: `number` is the transaction, `name` both user fragments, the
    peer's first, `password` the peer's."""
    request = stun.Message(stun.Method.BINDING, stun.Class.REQUEST, transaction_id=number)
    request.attributes["USERNAME"] = name
    request.attributes["PRIORITY"] = priority
    request.attributes["ICE-CONTROLLED"] = tie_breaker
    request.add_message_integrity(password.encode())
    return bytes(request)


class Check(NamedTuple):
    """A request or an answer that knows the password."""

    transaction: bytes
    nominates: bool  # the peer wants this address to be used from now on


def authentic(data: bytes, password: str) -> Check:
    """The request or answer, if it knows the password; raises CheckError. Attributes behind the proof count
    for nothing, but for a fingerprint (RFC 8489 section 14.7)."""
    size = len(data)
    if size < _HEADER or size != _HEADER + (data[2] << 8 | data[3]):
        raise CheckError("stun-malformed")
    proven = nominates = False
    at = _HEADER
    while at + 4 <= size:
        kind, length = data[at] << 8 | data[at + 1], data[at + 2] << 8 | data[at + 3]
        value = data[at + 4 : at + 4 + length]
        if len(value) != length:
            raise CheckError("stun-malformed")
        if kind == _FINGERPRINT:
            if value != _fingerprint(data[:at]):
                raise CheckError("stun-malformed")
        elif kind == _INTEGRITY and not proven:
            proof = _proof(data[:at], password)
            if not hmac.compare_digest(value, proof):
                raise CheckError("stun-not-authorised")
            proven = True
        elif kind == _USE_CANDIDATE and not proven:
            nominates = True
        at += 4 + length + (-length & 3)
    if not proven:
        raise CheckError("stun-not-authorised")
    return Check(data[8:_HEADER], nominates)


def success(request: Check, source: Address, password: str) -> bytes:
    """The answer, which tells the peer how we see it."""
    host, port = source[0], source[1]
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    address = socket.inet_pton(family, host.partition("%")[0])
    head = _COOKIE + request.transaction
    hidden = int.from_bytes(address, "big") ^ int.from_bytes(head[: len(address)], "big")
    value = struct.pack("!BBH", 0, 2 if len(address) == 16 else 1, port ^ 0x2112) + hidden.to_bytes(
        len(address), "big"
    )
    message = _BINDING_SUCCESS + b"\0\0" + head + struct.pack("!HH", _XOR_MAPPED_ADDRESS, len(value)) + value
    message += struct.pack("!HH", _INTEGRITY, _INTEGRITY_BYTES) + _proof(message, password)
    return _with_length(message, 8) + struct.pack("!HH", _FINGERPRINT, 4) + _fingerprint(message)


def _with_length(message: bytes, more: int) -> bytes:
    """The message as long as it says when `more` bytes will have followed."""
    return message[:2] + struct.pack("!H", len(message) - _HEADER + more) + message[4:]


def _proof(message: bytes, password: str) -> bytes:
    """MESSAGE-INTEGRITY of what precedes it (RFC 8489 section 14.5)."""
    return hmac.digest(password.encode(), _with_length(message, 4 + _INTEGRITY_BYTES), "sha1")


def _fingerprint(message: bytes) -> bytes:
    """FINGERPRINT of what precedes it (RFC 8489 section 14.7)."""
    return struct.pack("!I", zlib.crc32(_with_length(message, 8)) ^ 0x5354554E)
