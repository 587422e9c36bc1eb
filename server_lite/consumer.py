"""One source that goes out to one member. Pure: the forwarding plane does what is decided here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rtc.fanout import HISTORY_PACKETS, Codec, DestinationPlan, Fanout
from server_lite.negotiation import ConsumerPlan
from server_lite.repairs import Repairs

if TYPE_CHECKING:
    from server_lite.layer import Layer
    from server_lite.producer import Producer
#: How each codec's payloads are read, by the upper-case name in an offer.
CODECS: Final = {
    "OPUS": Codec.OPAQUE,
    "RED": Codec.RED,
    "VP8": Codec.VP8,
    "H264": Codec.H264,
    "VP9": Codec.VP9,
    "AV1": Codec.AV1,
}
#: Microseconds for which packets before a cut are still asked for, at most. Longer mistakes a number that
#: comes round for one of these; shorter sends them again for nothing, to a path that has become narrow.
FORGOTTEN_US: Final = 3_000_000


class Consumer:
    """Sends one producer's packets to `member` in the section `plan.mid`."""

    __slots__ = (
        "_codecs",
        "_given_up",
        "aimed",
        "current",
        "destination",
        "member",
        "plan",
        "plane",
        "repairs",
        "source",
        "spatial",
        "temporal",
    )

    def __init__(self, member: str, plan: ConsumerPlan, plane: Fanout, peer: int) -> None:
        self.member, self.plan, self.plane = member, plan, plane
        self.source: Producer | None = None
        self.aimed: Layer | None = None  # what it shall get
        self.current: Layer | None = None  # what it gets, as far as key frames have come
        self.spatial = self.temporal = 7
        self.repairs = Repairs()
        self._given_up = 0, -FORGOTTEN_US  # the last number before the last cut, and when that was
        self._codecs = frozenset(CODECS[name] for name in plan.codecs)
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

    def reads(self, codec: int) -> bool:
        """Whether the receiver can read packets of `codec`."""
        return codec in self._codecs

    def aim(self, layer: Layer | None, spatial: int = 7, temporal: int = 7, *, cut: bool = False) -> bool:
        """What shall flow; True if a key frame of `layer` is needed for it."""
        same = layer is self.aimed and (spatial, temporal) == (self.spatial, self.temporal)
        if same and not cut:
            return False
        resized = layer is not None and layer is self.current and self._needs_key_frame(layer, spatial)
        if self.aimed is not None:
            self.aimed.waiting.discard(self)
        self.aimed, self.spatial, self.temporal = layer, spatial, temporal
        if layer is None or cut:
            self.current = None
        stream = -1 if layer is None else layer.stream
        self.plane.aim(self.destination, stream, spatial=spatial, temporal=temporal, cut=cut or layer is None)
        if layer is None or (layer is self.current and not resized):
            return False
        if self.plan.kind == "audio":
            self.current = layer
            return False
        layer.waiting.add(self)
        return True

    def _needs_key_frame(self, layer: Layer, spatial: int) -> bool:
        """Whether another spatial layer of the stream that flows begins at a key frame only: any higher one,
        and a lower one where the higher one does without it (K-SVC, simulcast in one stream). Which of them
        need each other is told by the dependency descriptor, and read by the plane alone."""
        now, then = min(self.spatial, layer.top_spatial), min(spatial, layer.top_spatial)
        return then > now or (then < now and layer.described)

    def give_up(self, layer: Layer, spatial: int, temporal: int, now: int) -> bool:
        """As `aim`, where the path cannot carry what flows: it ends at once, and what is missing of it is not
        sent again, since the key frame of `layer` makes it needless."""
        self._given_up = self.plane.destination_state(self.destination).last_sequence, now
        return self.aim(layer, spatial, temporal, cut=True)

    def stop(self, now: int) -> None:
        """Nothing shall flow, and nothing of what flowed is sent again."""
        if self.aimed is not None:
            self._given_up = self.plane.destination_state(self.destination).last_sequence, now
            self.aim(None)

    def worth_repairing(self, lost: tuple[int, ...], now: int) -> tuple[int, ...]:
        """Those numbers of `lost` that were sent and that the receiver has any use for."""
        state = self.plane.destination_state(self.destination)
        newest, count = state.last_sequence, min(state.packets, HISTORY_PACKETS)
        sent = tuple(number for number in lost if (newest - number) & 0xFFFF < count)
        last, since = self._given_up
        if now - since >= FORGOTTEN_US:
            return sent
        return tuple(number for number in sent if 0 < (number - last) & 0xFFFF < 0x8000)

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
