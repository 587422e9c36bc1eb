"""What is asked of senders: missing packets again, and key frames for those who wait. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from server_lite import rtcp_out
from server_lite.layer import Layer

if TYPE_CHECKING:
    from server_lite.path import Path
    from server_lite.producer import Producer
    from server_lite.router import Router

#: Microseconds between two looks at what observers need. Shorter lets a recording go on sooner.
_TAPS_US: Final = 100_000


class Upstream:
    """Merges what receivers need into few requests to each sender."""

    def __init__(self, router: Router, hurry: Callable[[], None] | None = None) -> None:
        self._router, self._hurry = router, hurry
        self._gaps: set[Layer] = set()  # packets of these are missing
        self._asking: set[Layer] = set()  # key frames of these are wanted
        self._tapped = 0

    @property
    def waits(self) -> bool:
        """Whether anything is to be repeated if it does not come."""
        return bool(self._gaps or self._asking)

    def gap(self, layer: Layer) -> None:
        """Packets of the layer are missing."""
        self._soon()
        self._gaps.add(layer)

    def forget(self, layer: Layer) -> None:
        self._gaps.discard(layer)
        self._asking.discard(layer)

    def tick(self, now: int) -> None:
        """Repeats what was not answered."""
        seconds = now / 1e6
        for layer in [gap for gap in self._gaps if not self._repair(gap, seconds, now)]:
            self._gaps.discard(layer)
        for layer in list(self._asking):
            wanted = layer.waiting or layer.key_frames.waiting
            if not wanted or layer.stream < 0:
                self._asking.discard(layer)
            # A muted source has no pictures to give, and without receivers nobody waits for one.
            elif self._is_seen(layer.producer) and layer.key_frames.due(seconds):
                self._key_frame_request(layer, now)
        if now - self._tapped >= _TAPS_US:
            self._tapped = now
            for producer in self._router.producers.values():
                self._ask_for_taps(producer, now)

    def ask_key_frame(self, layer: Layer, now: int, *, patient: bool = False) -> None:
        """Somebody needs a key frame of this layer; few requests reach the sender. `patient`: it is for a
        better picture than there is."""
        if layer.producer.kind != "video" or layer.producer.paused or layer.stream < 0:
            return
        self._soon()
        self._asking.add(layer)
        if layer.key_frames.request(now / 1e6, patient=patient):
            self._key_frame_request(layer, now)

    def ask_waiting(self, producer: Producer, now: int) -> None:
        """Key frames of the layers that somebody waits for."""
        for layer in producer.layers:
            if layer.waiting:
                self.ask_key_frame(layer, now)

    def _soon(self) -> None:
        if self._hurry is not None and not self.waits:
            self._hurry()

    @staticmethod
    def _is_seen(producer: Producer) -> bool:
        return bool(producer.consumers or producer.taps) and not producer.paused

    def _ask_for_taps(self, producer: Producer, now: int) -> None:
        if producer.taps and producer.kind == "video":
            best = producer.ranked()[-1]
            if any(tap.wants_key_frame_of(best, now) for tap in producer.taps):
                self.ask_key_frame(best, now)

    def _key_frame_request(self, layer: Layer, now: int) -> None:
        self._router.counters.key_frames_asked += 1
        for other in layer.producer.layers:
            if other is not layer:
                other.key_frames.other_asked(now / 1e6)
        self._send(layer.producer.path, rtcp_out.key_frame_request(layer.ssrc), now)

    def _repair(self, layer: Layer, seconds: float, now: int) -> bool:
        """Asks for what is missing; False if there is nothing more to ask for."""
        if layer.nacks is None or layer.stream < 0:
            return False
        if self._is_seen(layer.producer):
            missing = layer.nacks.due(seconds)
            if missing:
                self._router.counters.nacks_sent += len(missing)
                self._send(layer.producer.path, rtcp_out.nack(layer.ssrc, missing), now)
        return bool(layer.nacks.missing)

    def _send(self, path: Path, packet: bytes, now: int) -> None:
        self._router.counters.packets_out += 1
        self._router.plane.send_rtcp(path.peer, packet, now)
