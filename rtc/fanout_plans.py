"""What both forwarding planes refuse before they take it: numbers that no packet can carry. Pure."""

from __future__ import annotations

from dataclasses import astuple
from typing import Final

from rtc.fanout import Codec, DestinationPlan, ExtensionIds, StreamPlan

#: One more than the largest: SSRC, payload type, clock rate (Hz) and group, bytes a second.
_SSRCS: Final = 1 << 32
_TYPES: Final = 128
_RATES: Final = 1 << 31
_PACES: Final = 1 << 63
_ADDRESS_BYTES: Final = 32
_MID_BYTES: Final = 255
_CODECS: Final = frozenset(Codec)


def check_address(address: bytes) -> None:
    """Raises ValueError unless it has 1 to 32 bytes."""
    if not 1 <= len(address) <= _ADDRESS_BYTES:
        raise ValueError("an address has 1 to 32 bytes")


def check_ids(ids: ExtensionIds) -> None:
    """Raises ValueError unless each is 0 to 255."""
    if not all(0 <= identity <= 255 for identity in astuple(ids)):
        raise ValueError("an extension's id is 0 to 255")


def check_pace(rate: int) -> None:
    """Raises ValueError for a rate below 0 or beyond 63 bits."""
    if not 0 <= rate < _PACES:
        raise ValueError("a rate is 0 or more bytes a second")


def check_ssrc(ssrc: int) -> None:
    """Raises ValueError for what is no SSRC."""
    if not 0 <= ssrc < _SSRCS:
        raise ValueError("an SSRC has 32 bits")


def check_stream(plan: StreamPlan) -> None:
    """Raises ValueError for what no stream can be."""
    check_ssrc(plan.ssrc)
    check_ssrc(plan.rtx_ssrc)
    if plan.ssrc == plan.rtx_ssrc:
        raise ValueError("a repair SSRC is another one")
    _check_clock(plan.clock_rate)
    if not -_RATES <= plan.group < _RATES:
        raise ValueError("a group has 32 bits")
    _check_types(*plan.codecs, *plan.rtx_types, *plan.rtx_types.values())
    _check_codecs(*plan.codecs.values())


def check_destination(plan: DestinationPlan) -> None:
    """Raises ValueError for what no destination can be."""
    check_ssrc(plan.ssrc)
    check_ssrc(plan.rtx_ssrc)
    _check_clock(plan.clock_rate)
    if len(plan.mid) > _MID_BYTES:
        raise ValueError("a mid has at most 255 bytes")
    _check_codecs(*plan.codecs)
    for types in plan.codecs.values():
        _check_types(*types)


def _check_clock(rate: int) -> None:
    if not 0 < rate < _RATES:
        raise ValueError("a clock rate is above 0 and has 31 bits")


def _check_types(*types: int) -> None:
    if not all(0 <= one < _TYPES for one in types):
        raise ValueError("a payload type is 0 to 127")


def _check_codecs(*codecs: int) -> None:
    if not _CODECS.issuperset(codecs):
        raise ValueError("the codec is none of rtc.fanout.Codec")
