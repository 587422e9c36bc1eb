"""Connectivity checks as a peer sends them."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable

from aioice import stun

from rtc import checks
from rtc.fanout import DROP, Record
from rtc.fanout_open import native_reason
from rtc.mux_link import MuxLink

#: The planes that are here.
PLANES = ["python"] if native_reason() else ["native", "python"]


def binding(username: str | None, password: str | None, *, nominate: bool = False) -> bytes:
    """A binding request; with its proof if there is a password."""
    request = stun.Message(stun.Method.BINDING, stun.Class.REQUEST, transaction_id=b"t" * 12)
    if username is not None:
        request.attributes["USERNAME"] = username
    if nominate:
        request.attributes["USE-CANDIDATE"] = None
    if password is not None:
        request.add_message_integrity(password.encode())
    return bytes(request)


def check(link: MuxLink, *, nominate: bool = True) -> bytes:
    """A valid one for `link`."""
    return binding(f"{link.ufrag}:me", link.password, nominate=nominate)


def answer(data: bytes, password: str) -> bytes:
    """What a peer whose password that is says to a check of ours."""
    return checks.success(checks.authentic(data, password), ("192.0.2.9", 9), password)


def noting(numbers: list[int]) -> Callable[[Record, int, int], int]:
    """A media sink that notes sequence numbers and forwards nothing."""

    def sink(record: Record, index: int, now: int) -> int:
        numbers.append(record.sequence)
        return DROP

    return sink


def loops() -> list[object]:
    """Loop factories: asyncio's own and uvloop's where there is one."""
    if sys.platform == "win32":
        return [asyncio.new_event_loop]
    import uvloop

    return [asyncio.new_event_loop, uvloop.new_event_loop]
