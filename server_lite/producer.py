"""One source that comes in, in one or several layers. Pure."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from rtc.fanout import Record, StreamPlan
from server_lite.consumer import CODECS, Consumer
from server_lite.ladder import Layer as Option
from server_lite.layer import Layer
from server_lite.negotiation import ProducerPlan
from server_lite.observers import Tap

if TYPE_CHECKING:
    from server_lite.path import Path

log = logging.getLogger(__name__)

#: Heights taken for the layers of a picture, highest first, until key frames tell. Only their order matters.
_GUESSED_HEIGHTS: Final = (720, 360, 180)


class Producer:
    """A source of one member. `plan` says how its packets look; `layers` are in the order of the offer."""

    def __init__(
        self, producer_id: str, path: Path, plan: ProducerPlan, group: int, *, share: bool = False
    ) -> None:
        self.id, self.path, self.plan = producer_id, path, plan
        self.member = path.member
        self.group, self.share = group, share
        self.is_sound = plan.kind == "audio"
        self.codec_names = frozenset(plan.codecs.values())
        self.paused = False
        self.held_back = False  # others are louder: nothing of it is forwarded just now
        self.consumers: list[Consumer] = []
        self.taps: list[Tap] = []
        #: All that it could be forwarded as; the same object as long as nothing has changed.
        self.options: tuple[Option, ...] = ()
        self.layers = [
            Layer(self, i, layer.rid, layer.ssrc or 0, layer.rtx_ssrc or 0, plan.kind == "video")
            for i, layer in enumerate(plan.layers)
        ]

    @property
    def kind(self) -> str:
        return self.plan.kind

    @property
    def camera(self) -> bool:
        return self.kind == "video" and not self.share

    @property
    def packets(self) -> int:
        return sum(layer.packets for layer in self.layers)

    def stream_plan(self, layer: Layer) -> StreamPlan:
        """What the forwarding plane is told of a layer whose SSRC is known."""
        return StreamPlan(
            ssrc=layer.ssrc,
            clock_rate=self.plan.clock_rate,
            video=self.kind == "video",
            codecs={pt: CODECS[name] for pt, name in self.plan.codecs.items()},
            rtx_types=self.plan.rtx_types,
            rtx_ssrc=layer.rtx_ssrc,
            group=self.group,
        )

    def layer_for(self, rid: str) -> Layer | None:
        return next((layer for layer in self.layers if layer.rid == rid), None)

    def ranked(self) -> list[Layer]:
        """The layers from small to large, as far as is known: browsers name them in any order."""
        return sorted(self.layers, key=lambda layer: (layer.height or 0, layer.rate, layer.index))

    def refresh(self, now: int) -> bool:
        """Looks anew at what it could be forwarded as; whether that has changed."""
        found = tuple(
            option
            for layer in self.layers
            if layer.stream >= 0
            for option in layer.options(self.height_of(layer), active=layer.active(now))
        )
        if found == self.options:
            return False
        self.options = found
        return True

    def height_of(self, layer: Layer) -> int:
        """Pixels; guessed from the rank where no key frame has told."""
        if layer.height:
            return layer.height
        rank = len(self.layers) - 1 - self.ranked().index(layer)
        return _GUESSED_HEIGHTS[min(rank, len(_GUESSED_HEIGHTS) - 1)]

    def let_see(self, data: bytes, record: Record, layer: Layer, now: int) -> None:
        """Taps see a packet as it came; one that fails is taken off, and nobody else notices."""
        for tap in list(self.taps):
            try:
                tap.packet(data, record, layer, now)
            except Exception:
                log.exception("an observer failed and is taken off")
                self.taps.remove(tap)

    def dump(self) -> dict[str, object]:
        return {
            "id": self.id,
            "member": self.member,
            "kind": self.kind,
            "paused": self.paused,
            "packets": self.packets,
            "consumers": len(self.consumers),
            "layers": [layer.dump() for layer in self.layers],
        }
