"""Writes dependency descriptors (AV1 RTP specification, appendix A), for tests."""

from __future__ import annotations

from dataclasses import dataclass, field

LETTERS = {"-": 0, "D": 1, "S": 2, "R": 3}


@dataclass
class BitWriter:
    value: int = 0
    count: int = 0

    def put(self, value: int, width: int) -> None:
        assert 0 <= value < 1 << width
        self.value = self.value << width | value
        self.count += width

    def put_non_symmetric(self, value: int, bound: int) -> None:
        width = bound.bit_length()
        short = (1 << width) - bound
        if value < short:
            self.put(value, width - 1)
        else:
            self.put(value + short, width)

    def bytes(self) -> bytes:
        padding = -self.count % 8
        return (self.value << padding).to_bytes((self.count + padding) // 8, "big")


@dataclass
class Shape:
    """A structure to write: templates as (spatial, temporal, letters of indications, differences, chains)."""

    templates: list[tuple[int, int, str, tuple[int, ...], tuple[int, ...]]]
    protected_by: tuple[int, ...] = ()  # chain of each decode target
    chains: int = 0
    resolutions: list[tuple[int, int]] = field(default_factory=list)
    identity: int = 0

    @property
    def targets(self) -> int:
        return len(self.templates[0][2])


def write_structure(bits: BitWriter, shape: Shape) -> None:
    bits.put(shape.identity, 6)
    bits.put(shape.targets - 1, 5)
    before = shape.templates[0]
    for template in shape.templates[1:]:
        if template[:2] == before[:2]:
            bits.put(0, 2)
        elif template[:2] == (before[0], before[1] + 1):
            bits.put(1, 2)
        else:
            assert template[:2] == (before[0] + 1, 0)
            bits.put(2, 2)
        before = template
    bits.put(3, 2)
    for template in shape.templates:
        for letter in template[2]:
            bits.put(LETTERS[letter], 2)
    for template in shape.templates:
        for difference in template[3]:
            bits.put(1, 1)
            bits.put(difference - 1, 4)
        bits.put(0, 1)
    bits.put_non_symmetric(shape.chains, shape.targets + 1)
    if shape.chains:
        for chain in shape.protected_by:
            bits.put_non_symmetric(chain, shape.chains)
        for template in shape.templates:
            for difference in template[4]:
                bits.put(difference, 4)
    bits.put(1 if shape.resolutions else 0, 1)
    for width, height in shape.resolutions:
        bits.put(width - 1, 16)
        bits.put(height - 1, 16)


def write_descriptor(
    shape: Shape,
    template: int,
    frame_number: int,
    *,
    start: bool = True,
    end: bool = True,
    attach: bool = False,
    active: int | None = None,
    indications: str | None = None,
    differences: tuple[int, ...] | None = None,
    chains: tuple[int, ...] | None = None,
) -> bytes:
    """The extension's value; `template` is an index into the shape's, active a mask of decode targets."""
    bits = BitWriter()
    bits.put(start, 1)
    bits.put(end, 1)
    bits.put((template + shape.identity) & 0x3F, 6)
    bits.put(frame_number, 16)
    if not (attach or active is not None or indications or differences is not None or chains):
        return bits.bytes()
    for present in (attach, active is not None, bool(indications), differences is not None, bool(chains)):
        bits.put(present, 1)
    if attach:
        write_structure(bits, shape)
    if active is not None:
        bits.put(active, shape.targets)
    for letter in indications or "":
        bits.put(LETTERS[letter], 2)
    if differences is not None:
        for difference in differences:
            width = 1 if difference <= 16 else 2 if difference <= 256 else 3
            bits.put(width, 2)
            bits.put(difference - 1, 4 * width)
        bits.put(0, 2)
    for difference in chains or ():
        bits.put(difference, 8)
    return bits.bytes()


#: One spatial layer, three temporal ones (the specification's L1T3).
L1T3 = Shape(
    [
        (0, 0, "SSS", (), (0,)),
        (0, 0, "SSS", (4,), (4,)),
        (0, 1, "-DS", (2,), (2,)),
        (0, 2, "--D", (1,), (1,)),
        (0, 2, "--D", (1,), (3,)),
    ],
    (0, 0, 0),
    1,
    [(640, 360)],
)

#: Three spatial layers that refer to each other, with three temporal ones each; key and delta templates.
L3T3 = Shape(
    [
        (0, 0, "SSSSSSSSS", (), (0, 0, 0)),
        (0, 0, "SSSRRRRRR", (12,), (12, 11, 10)),
        (0, 1, "-DS-RR-RR", (6,), (6, 5, 4)),
        (0, 2, "--D--R--R", (3,), (3, 2, 1)),
        (1, 0, "---SSSSSS", (1,), (1, 1, 1)),
        (1, 0, "---SSSRRR", (12, 1), (1, 1, 1)),
        (1, 1, "----DS-RR", (6, 1), (7, 6, 5)),
        (1, 2, "-----D--R", (3, 1), (4, 3, 2)),
        (2, 0, "------SSS", (1,), (2, 1, 1)),
        (2, 0, "------SSS", (12, 1), (2, 1, 1)),
        (2, 1, "-------DS", (6, 1), (8, 7, 6)),
        (2, 2, "--------D", (3, 1), (5, 4, 3)),
    ],
    (0, 0, 0, 1, 1, 1, 2, 2, 2),
    3,
    [(320, 180), (640, 360), (1280, 720)],
    identity=60,
)

#: Three spatial layers that know nothing of each other (simulcast in one stream), three temporal ones each.
S3T3 = Shape(
    [
        (0, 0, "SSS------", (), (0, 0, 0)),
        (0, 0, "SSS------", (12,), (12, 0, 0)),
        (0, 1, "-DS------", (6,), (6, 0, 0)),
        (0, 2, "--D------", (3,), (3, 0, 0)),
        (1, 0, "---SSS---", (), (1, 1, 0)),
        (1, 0, "---SSS---", (12,), (1, 12, 0)),
        (1, 1, "----DS---", (6,), (7, 6, 0)),
        (1, 2, "-----D---", (3,), (4, 3, 0)),
        (2, 0, "------SSS", (), (2, 1, 1)),
        (2, 0, "------SSS", (12,), (2, 1, 12)),
        (2, 1, "-------DS", (6,), (8, 7, 6)),
        (2, 2, "--------D", (3,), (5, 4, 3)),
    ],
    (0, 0, 0, 1, 1, 1, 2, 2, 2),
    3,
    [(320, 180), (640, 360), (1280, 720)],
    identity=7,
)
