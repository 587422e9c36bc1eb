"""Connectivity checks on the ICE-lite side (RFC 8445 section 7.3, RFC 8489): the cheapest questions first."""

from __future__ import annotations

import struct
from typing import Final

from aioice import stun

from rtc.socket_address import Address

#: Attributes that are looked at in search of the user name, which peers put first.
_MOST_ATTRIBUTES: Final = 12
_USERNAME: Final = 0x0006
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


def authentic(data: bytes, password: str) -> stun.Message:
    """The request or answer, if it knows the password; raises CheckError."""
    try:
        request = stun.parse_message(data)
    except (ValueError, LookupError, TypeError, struct.error):
        raise CheckError("stun-malformed") from None
    if "MESSAGE-INTEGRITY" not in request.attributes or not request.check_message_integrity(
        password.encode()
    ):
        raise CheckError("stun-not-authorised")
    return request


def nominates(request: stun.Message) -> bool:
    """Whether the peer wants this address to be used from now on."""
    return "USE-CANDIDATE" in request.attributes


def success(request: stun.Message, source: Address, password: str) -> bytes:
    """The answer, which tells the peer how we see it."""
    response = stun.Message(
        message_method=stun.Method.BINDING,
        message_class=stun.Class.RESPONSE,
        transaction_id=request.transaction_id,
    )
    response.attributes["XOR-MAPPED-ADDRESS"] = source
    response.add_message_integrity(password.encode())  # adds FINGERPRINT too
    return bytes(response)
