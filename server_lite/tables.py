"""Which streams of a room the forwarding plane has open, and whose they are. Pure."""

from __future__ import annotations

from rtc.errors import PacketError
from rtc.fanout import Fanout, Kind, Record
from rtc.rtp import RtpPacket
from server_lite.consumer import Consumer
from server_lite.layer import Layer
from server_lite.path import Path
from server_lite.producer import Producer


class Tables:
    """Sources by id, paths by member, layers by stream; kept in step with the plane."""

    def __init__(self, plane: Fanout) -> None:
        self.plane = plane
        self.producers: dict[str, Producer] = {}
        self.paths: dict[str, Path] = {}
        self.layers: dict[int, Layer] = {}  # by the plane's stream

    def open_stream(self, path: Path, layer: Layer) -> None:
        """Packets under the layer's SSRC are its own from now on; who used that SSRC before ends."""
        before = path.layers.get(layer.ssrc)
        if before is not None:
            self._close_stream(path, before)
        layer.stream = self.plane.open_stream(path.peer, layer.producer.stream_plan(layer))
        self.layers[layer.stream] = layer
        path.layers[layer.ssrc] = layer

    def close_streams(self, producer: Producer) -> None:
        """Nothing of the source is known any more; its receivers wait."""
        path = self.paths.get(producer.member)
        for layer in producer.layers:
            layer.waiting.clear()
            if layer.stream >= 0 and path is not None:
                self._close_stream(path, layer)
        for consumer in producer.consumers:
            consumer.aim(None)

    def close_consumers(self, path: Path) -> None:
        for consumer in path.consumers.values():
            self.detach(consumer)
            consumer.close()
        path.consumers.clear()
        path.by_ssrc.clear()

    def detach(self, consumer: Consumer) -> None:
        """The consumer's source is its source no more."""
        source, consumer.source = consumer.source, None
        if source is not None and consumer in source.consumers:
            source.consumers.remove(consumer)

    def adopt(self, member: str, record: Record, index: int, now: int) -> tuple[Layer, Record] | None:
        """Finds the source of an SSRC nobody named, by the mid and rid in its extensions (RFC 9143, RFC
        8852).

        None where it is nobody's; else its layer, and the packet's record anew.
        """
        path = self.paths.get(member)
        if path is None or record.kind != Kind.RTP:
            return None
        found = self._layer_named(path, self.plane.packet(index))
        if found is None:
            return None
        repair = record.payload_type in found.producer.plan.rtx_types
        if not found.adopt(record, repair=repair):
            return None
        if found.stream < 0:
            self.open_stream(path, found)
        else:
            self.plane.set_repair_ssrc(found.stream, found.rtx_ssrc)
        again = self.plane.adopt(index, found.stream, now)
        return (found, again) if again.stream == found.stream else None

    def _layer_named(self, path: Path, packet: bytes) -> Layer | None:
        try:
            extensions = RtpPacket.parse(packet).extensions
        except PacketError:
            return None
        ids = path.extensions
        mid = extensions.get(ids.mid) if ids.mid else None
        rid = extensions.get(ids.repaired_rid) if ids.repaired_rid else None
        if rid is None and ids.rid:
            rid = extensions.get(ids.rid)
        if mid is None:
            return None
        for producer in self.producers.values():
            if producer.member == path.member and producer.plan.mid.encode() == mid:
                return producer.layer_for((rid or b"").decode(errors="replace"))
        return None

    def _close_stream(self, path: Path, layer: Layer) -> None:
        self.plane.close_stream(layer.stream)
        del self.layers[layer.stream]
        path.layers.pop(layer.ssrc, None)
        layer.stream = -1
