"""The frame structures that light members send: which frame needs which, and how codecs say so.

Three temporal layers (L1T3): of each four pictures the first is of layer 0, the third of 1, the others of 2.
With three spatial layers in one stream (L3T3) every picture has a frame of each, which needs the one below.
"""

from __future__ import annotations

import itertools
from functools import lru_cache
from typing import Final, NamedTuple

from rtc.dependency_descriptor import DISCARDABLE, NOT_PRESENT, REQUIRED, SWITCH
from rtc.vp8 import Vp8Descriptor

TEMPORAL: Final = 3
#: By place in the group of four: temporal layer, pictures back to the one that is needed, whether a receiver
#: of lower layers can go up here.
_GROUP: Final = ((0, 4, False), (2, 1, True), (1, 2, True), (2, 1, False))
#: Template of each place in the group, after that of key frames.
_TEMPLATE: Final = (1, 3, 2, 3)
_TEMPLATES: Final = 4  # of each spatial layer


class Place(NamedTuple):
    """What a frame is: its layers, the numbers back to what it needs, and whether it begins anew."""

    temporal: int
    references: tuple[int, ...]
    key: bool
    sync: bool
    template: int


@lru_cache(maxsize=64)
def place(since_key: int, spatial: int = 0, layers: int = 1, temporal: bool = True) -> Place:
    """The frame of spatial layer `spatial` of `layers`, `since_key` pictures (modulo 4, but 0 only for the
    key picture itself) after the last key picture. Frames are numbered picture by picture, lowest first."""
    below = (1,) if spatial else ()
    if since_key == 0:
        return Place(0, below, not spatial, False, spatial * _TEMPLATES)
    if not temporal:
        return Place(0, (layers, *below), False, False, spatial * _TEMPLATES + 1)
    at = since_key % 4
    layer, back, sync = _GROUP[at]
    return Place(layer, (back * layers, *below), False, sync, spatial * _TEMPLATES + _TEMPLATE[at])


def temporal_of(since_key: int) -> int:
    """The temporal layer of the picture so many after a key picture."""
    return _GROUP[since_key % 4][0]


def vp8_head(picture_id: int, tl0: int, where: Place, *, first: bool, temporal: bool) -> bytes:
    """The payload descriptor (RFC 7741)."""
    descriptor = Vp8Descriptor(first, 0, picture_id)
    if temporal:
        descriptor.tl0picidx, descriptor.tid, descriptor.layer_sync = tl0, where.temporal, where.sync
        descriptor.non_reference = where.temporal == TEMPORAL - 1 and not where.sync
    return descriptor.serialize()


def vp9_head(
    picture_id: int, tl0: int, where: Place, spatial: int, *, key: bool, first: bool, last: bool
) -> bytes:
    """The payload descriptor of the non-flexible mode (RFC 9628 section 4.2); `key`: of a key picture."""
    flags = 0x80 | 0x20 | (0 if key else 0x40) | (0x08 if first else 0) | (0x04 if last else 0)
    layers = where.temporal << 5 | (0x10 if where.sync else 0) | spatial << 1 | (1 if spatial else 0)
    return bytes((flags, 0x80 | picture_id >> 8 & 0x7F, picture_id & 0xFF, layers, tl0 & 0xFF))


def av1_head(*, key: bool, first: bool, last: bool) -> bytes:
    """The aggregation header (AV1 RTP specification, section 4.4): one element, cut where packets end."""
    cut = (0 if first else 0x80) | (0 if last else 0x40)
    return bytes((cut | 0x10 | (0x08 if key and first else 0),))


def descriptor(
    template: int, frame_number: int, layers: int, *, first: bool, last: bool, structure: bool
) -> bytes:
    """The dependency descriptor of one packet (AV1 RTP specification, appendix A)."""
    head = bytes((first << 7 | last << 6 | template, frame_number >> 8 & 0xFF, frame_number & 0xFF))
    return head + _structure(layers) if structure else head


@lru_cache(maxsize=4)
def _structure(layers: int) -> bytes:
    """The extended part with the templates, whole bytes."""
    bits = "10000" + f"{0:06b}" + f"{layers * TEMPORAL - 1:05b}"
    kinds = [(s, t, key) for s in range(layers) for t, key in ((0, True), (0, False), (1, False), (2, False))]
    for before, after in itertools.pairwise(kinds):
        bits += "10" if after[0] > before[0] else "01" if after[1] > before[1] else "00"
    bits += "11"
    for kind in kinds:
        bits += "".join(
            f"{_indication(*kind, target, top):02b}" for target in range(layers) for top in range(TEMPORAL)
        )
    for spatial, temporal, key in kinds:
        back = () if key else ((4, 2, 1)[temporal] * layers,)
        for difference in (*back, *((1,) if spatial else ())):
            bits += f"1{difference - 1:04b}"
        bits += "0"
    bits += _no_chains(layers * TEMPORAL + 1) + "0"
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


def _indication(spatial: int, temporal: int, key: bool, target: int, top: int) -> int:
    """What such a frame is to the decode target with layers up to `target` and `top`."""
    if spatial > target or temporal > top:
        return NOT_PRESENT
    if spatial < target:
        return SWITCH if key else REQUIRED
    return DISCARDABLE if temporal and temporal == top else SWITCH


def _no_chains(bound: int) -> str:
    """0 as a number below `bound` (section A.8.1: ns(n))."""
    return "0" * (bound.bit_length() - 1)
