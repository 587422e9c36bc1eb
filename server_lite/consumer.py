"""One source that goes out to one member. Pure: the forwarding plane does what is decided here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rtc.fanout import DestinationPlan, Fanout
from server_lite.negotiation import ConsumerPlan

if TYPE_CHECKING:
    from server_lite.layer import Layer
    from server_lite.producer import Producer


class Consumer:
    """Sends one producer's packets to `member` in the section `plan.mid`."""

    __slots__ = ("aimed", "current", "destination", "member", "plan", "plane", "source", "spatial", "temporal")

    def __init__(self, member: str, plan: ConsumerPlan, plane: Fanout, peer: int) -> None:
        from server_lite.producer import CODECS

        self.member, self.plan, self.plane = member, plan, plane
        self.source: Producer | None = None
        self.aimed: Layer | None = None  # what it shall get
        self.current: Layer | None = None  # what it gets, as far as key frames have come
        self.spatial = self.temporal = 7
        self.destination = plane.open_destination(
            peer,
            DestinationPlan(
                ssrc=plan.ssrc,
                rtx_ssrc=plan.rtx_ssrc or 0,
                clock_rate=plan.clock_rate,
                video=plan.kind == "video",
                codecs={CODECS[name]: (pt, plan.rtx_types.get(pt, 0)) for name, pt in plan.codecs.items()},
                mid=plan.mid.encode(),
            ),
        )

    def takes(self, producer: Producer) -> bool:
        """Whether the receiver can read any codec of the producer."""
        return self.plan.kind == producer.kind and not producer.codec_names.isdisjoint(self.plan.codecs)

    def aim(self, layer: Layer | None, spatial: int = 7, temporal: int = 7, *, cut: bool = False) -> bool:
        """What shall flow; True if a key frame of `layer` is needed for it."""
        same = layer is self.aimed and (spatial, temporal) == (self.spatial, self.temporal)
        if same and not cut:
            return False
        if self.aimed is not None:
            self.aimed.waiting.discard(self)
        self.aimed, self.spatial, self.temporal = layer, spatial, temporal
        if layer is None or cut:
            self.current = None
        stream = -1 if layer is None else layer.stream
        self.plane.aim(self.destination, stream, spatial=spatial, temporal=temporal, cut=cut or layer is None)
        if layer is None or layer is self.current:
            return False
        if self.plan.kind == "audio":
            self.current = layer
            return False
        layer.waiting.add(self)
        return True

    def went_over(self) -> None:
        """The key frame of what was aimed at has passed."""
        self.current = self.aimed

    def close(self) -> None:
        if self.aimed is not None:
            self.aimed.waiting.discard(self)
        self.aimed = self.current = None
        self.plane.close_destination(self.destination)

    def dump(self) -> dict[str, object]:
        state = self.plane.destination_state(self.destination)
        return {
            "member": self.member,
            "mid": self.plan.mid,
            "source": self.source.id if self.source is not None else None,
            "packets": state.packets,
            "repairs": state.repairs,
            "layer": self.current.rid if self.current is not None else None,
            "temporal": self.temporal,
            "waits_for_key_frame": self.aimed is not None and self.aimed is not self.current,
        }
