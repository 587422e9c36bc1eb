"""The dependency descriptor of scalable video (AV1 RTP specification 1.0.0, appendix A).

A header extension that tells of each frame which decode targets need it, without a look at the payload. Its
structure of templates comes with key frames; other packets refer to it. It is at most 255 bytes long, so that
reading is bounded by 2,040 bits; the loops below stop at the format's own limits before that.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from rtc.errors import PacketError

NOT_PRESENT: Final = 0
DISCARDABLE: Final = 1
SWITCH: Final = 2
REQUIRED: Final = 3

MAX_TEMPLATES: Final = 64
MAX_SPATIAL: Final = 3
MAX_TEMPORAL: Final = 7


@dataclass(frozen=True, slots=True)
class Template:
    """A kind of frame: its layer, and what it is to each decode target (NOT_PRESENT..REQUIRED)."""

    spatial: int
    temporal: int
    indications: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Structure:
    """The templates in force from a key frame on.

    identity 0..63 is the number of the first template. targets[i]: the highest (spatial, temporal) that
    decode target i has.
    """

    identity: int
    templates: tuple[Template, ...]
    targets: tuple[tuple[int, int], ...]

    def best_target(self, spatial: int, temporal: int, active: int) -> int:
        """The active decode target with the highest layer within the limits: of equals the first, else -1.

        active: bit i stands for decode target i.
        """
        best = -1
        for index, layer in enumerate(self.targets):
            if (
                active >> index & 1
                and layer[0] <= spatial
                and layer[1] <= temporal
                and (best < 0 or layer > self.targets[best])
            ):
                best = index
        return best

    def is_part(self, target: int, whole: int) -> bool:
        """Whether who got all frames of decode target `whole` got all of `target`: not so in simulcast."""
        return all(
            template.indications[target] == NOT_PRESENT or template.indications[whole] != NOT_PRESENT
            for template in self.templates
        )

    @property
    def all_active(self) -> int:
        """The mask with every decode target in it."""
        return (1 << len(self.targets)) - 1


@dataclass(slots=True)
class Descriptor:
    """What one packet says of its frame: `structure` and `active` (bit i: decode target i) are those it is
    read with, `attached` if it brought the structure along."""

    start: bool
    end: bool
    frame_number: int
    spatial: int
    temporal: int
    indications: tuple[int, ...]
    structure: Structure
    active: int
    attached: bool


@dataclass(slots=True)
class _Bits:
    """Reads big-endian bits. Raises PacketError behind the end."""

    data: bytes
    position: int = 0
    _value: int = field(init=False)
    _size: int = field(init=False)

    def __post_init__(self) -> None:
        self._value = int.from_bytes(self.data, "big")
        self._size = 8 * len(self.data)

    def take(self, count: int) -> int:
        self.position += count
        if self.position > self._size:
            raise PacketError("dependency descriptor ends too soon")
        return self._value >> self._size - self.position & (1 << count) - 1

    def non_symmetric(self, bound: int) -> int:
        """A value below `bound` (AV1 RTP specification, section A.8.1: ns(n))."""
        width = bound.bit_length()
        short = (1 << width) - bound
        value = self.take(width - 1)
        return value if value < short else (value << 1) + self.take(1) - short


def read(value: bytes, structure: Structure | None, active: int = 0) -> Descriptor:
    """Reads the extension's value, as far as the frame's indications, with the structure and the active
    decode targets in force or those it brings.

    Raises PacketError when it ends too soon, breaks a limit of the format, brings a structure elsewhere than
    at the start of a frame, or refers to what is not known.
    """
    if len(value) < 3:
        raise PacketError("dependency descriptor is shorter than its fixed part")
    first = value[0]
    attached = custom = False
    bits = _Bits(value, 24)
    if len(value) > 3:
        attached, has_active, custom = bits.take(1) == 1, bits.take(1) == 1, bits.take(1) == 1
        bits.take(2)  # own frame differences and chains stand behind what is read here
        if attached:
            if first < 0x80:
                raise PacketError("dependency descriptor brings a structure in mid-frame")
            structure = _read_structure(bits)
            active = structure.all_active
        if has_active:
            if structure is None:
                raise PacketError("dependency descriptor refers to a structure that never came")
            active = bits.take(len(structure.targets))
    if structure is None:
        raise PacketError("dependency descriptor refers to a structure that never came")
    index = (first - structure.identity) & 0x3F
    if index >= len(structure.templates):
        raise PacketError("dependency descriptor refers to an unknown template")
    template = structure.templates[index]
    indications = template.indications
    if custom:
        indications = tuple(bits.take(2) for _ in indications)
    return Descriptor(
        first & 0x80 != 0,
        first & 0x40 != 0,
        value[1] << 8 | value[2],
        template.spatial,
        template.temporal,
        indications,
        structure,
        active,
        attached,
    )


def _read_structure(bits: _Bits) -> Structure:
    identity = bits.take(6)
    target_count = bits.take(5) + 1
    layers = _read_layers(bits)
    indications = [tuple(bits.take(2) for _ in range(target_count)) for _ in layers]
    for _ in layers:  # frame differences
        while bits.take(1):
            bits.take(4)
    chains = bits.non_symmetric(target_count + 1)
    if chains:
        for _ in range(target_count):
            bits.non_symmetric(chains)
        bits.take(4 * chains * len(layers))
    if bits.take(1):  # render resolutions
        bits.take(32 * (layers[-1][0] + 1))
    templates = tuple(Template(*layer, shown) for layer, shown in zip(layers, indications, strict=True))
    return Structure(identity, templates, tuple(_target_layer(templates, i) for i in range(target_count)))


def _read_layers(bits: _Bits) -> list[tuple[int, int]]:
    """(spatial, temporal) of each template."""
    layers = [(0, 0)]
    while (step := bits.take(2)) != 3:
        spatial, temporal = layers[-1]
        if step == 1:
            temporal += 1
        elif step == 2:
            spatial, temporal = spatial + 1, 0
        if len(layers) == MAX_TEMPLATES or spatial > MAX_SPATIAL or temporal > MAX_TEMPORAL:
            raise PacketError("dependency descriptor has more templates or layers than there can be")
        layers.append((spatial, temporal))
    return layers


def _target_layer(templates: tuple[Template, ...], target: int) -> tuple[int, int]:
    """The highest spatial and the highest temporal layer of the templates that are in a decode target."""
    spatial = temporal = 0
    for template in templates:
        if template.indications[target] != NOT_PRESENT:
            spatial, temporal = max(spatial, template.spatial), max(temporal, template.temporal)
    return spatial, temporal
