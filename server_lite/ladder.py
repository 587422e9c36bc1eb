"""What a picture could be forwarded as to one receiver. Pure; rates in bit/s, heights in pixels."""

from __future__ import annotations

from enum import IntEnum
from functools import lru_cache
from typing import Final, NamedTuple

#: A layer fits a tile up to this times its height. Higher sends more than is seen; lower shows a layer of 180
#: lines in a tile of 350, because one of 360 would be ten too many.
OVERSIZE: Final = 1.25
#: Pictures per second that a camera keeps above its lowest layer. Higher lowers the resolution sooner, lower
#: lets big pictures stutter. Shares do it the other way round.
CAMERA_FPS: Final = 20.0
#: Bits per pixel of a layer whose rate nobody has measured yet: 720p at 30 fps is then 1.7 Mbit/s.
BITS_PER_PIXEL: Final = 0.06
#: Pictures per second where a sender does not say.
_USUAL_FPS: Final = 30.0
#: Above every temporal layer there is.
ALL_TEMPORAL: Final = 7


class Priority(IntEnum):
    """Who comes first. Inside a class the lower `order` comes first, then the section's name."""

    SHARE = 0
    STAGE = 1  # the main picture, or pinned
    SPEAKER = 2
    RECENT = 3  # spoke before, the latest with the lowest order
    REST = 4


class Layer(NamedTuple):
    """One thing that a source can be forwarded as; the sub-layers by time are entries of their own."""

    encoding: int  # which of them (simulcast); 0 if there is one
    spatial: int  # up to which spatial layer inside the encoding (SVC); else 0
    temporal: int  # up to which temporal layer
    height: int
    bitrate: int  # of all up to this sub-layer, averaged over a second or more; 0 not known
    fps: float = 0.0  # 0 not known
    active: bool = True  # False: does not arrive


class Wish(NamedTuple):
    """What a receiver wants in one section. Hand in the very same `layers` while they did not change."""

    mid: str
    producer: str
    height: int  # at which it is shown; 0 hidden
    priority: Priority
    layers: tuple[Layer, ...]
    order: int = 0
    held: str = ""  # why it is not sent whatever the budget: "last-n"


class Caps(NamedTuple):
    """What the server allows at most, whatever a receiver could take. Shares keep their height."""

    max_height: int | None = None
    max_temporal: int = ALL_TEMPORAL


Rungs = tuple[tuple[int, Layer], ...]  # (bit/s, layer)
Shape = tuple[tuple[int, int, int, int], ...]


class Ladder(NamedTuple):
    """What comes into question for a wish, each dearer than the one before."""

    wish: Wish
    rungs: Rungs
    shape: Shape  # what comes into question at any rate
    capped: bool  # the server's caps took something away


NO_CAPS: Final = Caps()


def cost(layer: Layer) -> int:
    """bit/s that a layer takes, guessed from its size where it was not measured."""
    if layer.bitrate > 0:
        return layer.bitrate
    width = layer.height * 16 // 9
    return max(int(layer.height * width * (layer.fps or _USUAL_FPS) * BITS_PER_PIXEL), 1)


def ladder_of(wish: Wish, caps: Caps) -> Ladder:
    """Sorts out what is never sent: inactive, larger than shown, stuttering, dearer than something better."""
    heights = [layer.height for layer in wish.layers if layer.active]
    if wish.height <= 0 or wish.held or not heights:
        return Ladder(wish, (), (), False)
    # Of a source that has nothing small enough the lowest is sent all the same.
    room = wish.height * OVERSIZE
    top = max((height for height in heights if height <= room), default=min(heights))
    return Ladder(wish, *_rungs(wish.layers, top, wish.priority is Priority.SHARE, caps))


@lru_cache(maxsize=2048)  # many receivers show the same few sources at the same few sizes
def _rungs(layers: tuple[Layer, ...], top: int, share: bool, caps: Caps) -> tuple[Rungs, Shape, bool]:
    active = [layer for layer in layers if layer.active]
    lowest = min(layer.height for layer in active)
    fitting = [layer for layer in active if layer.height <= top]
    highest = top if share or caps.max_height is None else max(lowest, min(top, caps.max_height))
    allowed = [x for x in fitting if x.height <= highest and x.temporal <= caps.max_temporal]
    allowed = allowed or [min(fitting, key=fluency)]
    capped = len(allowed) < len(fitting)
    allowed = _pictures_first(allowed) if share else _rate_first(allowed, lowest)
    allowed.sort(key=fluency)
    rungs: list[tuple[int, Layer]] = []
    for layer in allowed:
        rate = cost(layer)
        while rungs and rungs[-1][0] >= rate:
            rungs.pop()
        rungs.append((rate, layer))
    return tuple(rungs), tuple(fluency(layer) for layer in allowed), capped


def _pictures_first(layers: list[Layer]) -> list[Layer]:
    """A share is to be read: fewer pictures a second at full size, before a smaller size."""
    top = max(layer.height for layer in layers)
    slowest: dict[tuple[int, int], int] = {}
    for layer in layers:
        key = layer.encoding, layer.spatial
        slowest[key] = min(layer.temporal, slowest.get(key, ALL_TEMPORAL))
    return [x for x in layers if x.height == top or slowest[x.encoding, x.spatial] == x.temporal]


def _rate_first(layers: list[Layer], lowest: int) -> list[Layer]:
    """A camera is to move: only its lowest layer may stutter."""
    fastest: dict[tuple[int, int], int] = {}
    for layer in layers:
        key = layer.encoding, layer.spatial
        fastest[key] = max(layer.temporal, fastest.get(key, 0))
    return [
        x
        for x in layers
        if x.height == lowest or x.fps >= CAMERA_FPS or fastest[x.encoding, x.spatial] == x.temporal
    ]


def fluency(layer: Layer) -> tuple[int, int, int, int]:
    """The order of a ladder: larger first of all, then more pictures a second."""
    return layer.height, layer.temporal, layer.encoding, layer.spatial
