"""Which packets of a layered picture one destination gets (docs/fanout.md, step 3). Pure."""

from __future__ import annotations

from typing import Final

from rtc.dependency_descriptor import NOT_PRESENT, SWITCH, Descriptor, Structure
from rtc.fanout import Codec, Flag
from rtc.packet_reader import Packet

_FRAME_START: Final = int(Flag.FRAME_START)
_FRAME_END: Final = int(Flag.FRAME_END)
_KEY_START: Final = int(Flag.KEY_START)
_SWITCH_UP: Final = int(Flag.SWITCH_UP)


class LayerFilter:
    """The limits that were asked for, and those in force; spatial and temporal 0..7."""

    __slots__ = ("_structure", "_target", "spatial", "temporal", "want_spatial", "want_temporal")

    def __init__(self) -> None:
        self.want_spatial = self.want_temporal = 7
        self.spatial = self.temporal = 7
        self._structure: Structure | None = None  # that of the decode target in force
        self._target = -1

    def aim(self, spatial: int, temporal: int) -> None:
        """Takes the limits, in force from where a decoder can follow."""
        self.want_spatial, self.want_temporal = spatial, temporal

    def begin(self) -> None:
        """Another source begins: what is asked for is in force."""
        self.spatial, self.temporal = self.want_spatial, self.want_temporal
        self._structure = None

    def passes(self, packet: Packet) -> bool:
        """Whether the packet is forwarded; moves what is in force."""
        if packet.codec < Codec.VP8:
            return True
        if packet.descriptor is not None:
            return self._passes_described(packet.descriptor, packet.flags)
        flags = packet.flags
        if flags & _FRAME_START:
            want, key = self.want_temporal, flags & _KEY_START
            if (
                want < self.temporal
                or key
                or (want > self.temporal and flags & _SWITCH_UP and packet.temporal <= want)
            ):
                self.temporal = want
            if key or (self.want_spatial < self.spatial and packet.spatial == 0):
                self.spatial = self.want_spatial
        return packet.temporal <= self.temporal and packet.spatial <= self.spatial

    def passes_all(self, temporal: int, spatial: int) -> bool:
        """Whether packets without descriptor up to those layers all pass and change nothing."""
        return (
            self.temporal == self.want_temporal >= temporal and self.spatial == self.want_spatial >= spatial
        )

    def _passes_described(self, descriptor: Descriptor, flags: int) -> bool:
        structure = descriptor.structure
        if structure is not self._structure:
            self._structure = structure
            self._target = structure.best_target(self.want_spatial, self.want_temporal, descriptor.active)
        elif flags & _FRAME_START:
            wanted = structure.best_target(self.want_spatial, self.want_temporal, descriptor.active)
            if wanted != self._target and (flags & _KEY_START or self._can_change(descriptor, wanted)):
                self._target = wanted
        return self._target >= 0 and descriptor.indications[self._target] != NOT_PRESENT

    def _can_change(self, descriptor: Descriptor, wanted: int) -> bool:
        """Whether a decoder that got the target in force so far can go on with `wanted` from this frame on,
        which is not a key frame's."""
        if wanted < 0:
            return True
        if self._target < 0:
            return False
        structure = descriptor.structure
        now, then = structure.targets[self._target], structure.targets[wanted]
        if then > now:
            # A frame of a higher spatial layer refers to earlier ones of it, that the receiver lacks.
            return then[0] == now[0] and descriptor.indications[wanted] == SWITCH
        return structure.is_part(wanted, self._target)

    def ends_picture(self, packet: Packet) -> bool:
        """Whether the marker is set on a packet that passed and lacks it: nothing of this picture follows."""
        if packet.codec < Codec.VP8 or not packet.flags & _FRAME_END:
            return False
        if packet.descriptor is not None:
            return packet.spatial == packet.descriptor.structure.targets[self._target][0]
        return packet.spatial == self.spatial
