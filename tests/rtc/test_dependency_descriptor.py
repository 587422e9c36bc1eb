from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtc.dependency_descriptor import DISCARDABLE, NOT_PRESENT, SWITCH, Descriptor, Structure, read
from rtc.errors import PacketError
from tests.rtc.dependency_bits import L1T3, L3T3, LETTERS, S3T3, Shape, write_descriptor
from tests.rtc.strategies import mutated, u16

SHAPES = (L1T3, L3T3, S3T3)


def structure(shape: Shape) -> Structure:
    return read(write_descriptor(shape, 0, 0, attach=True), None).structure


@st.composite
def shapes(draw: st.DrawFn) -> Shape:
    """Any structure that the format can hold."""
    targets = draw(st.integers(1, 32))
    chains = draw(st.integers(0, targets))
    differences = st.lists(st.integers(1, 16), max_size=4).map(tuple)
    layers = [(0, 0)]
    for step in draw(st.lists(st.sampled_from((0, 0, 1, 2)), max_size=12)):
        spatial, temporal = layers[-1]
        layer = (
            (spatial, temporal) if step == 0 else (spatial, temporal + 1) if step == 1 else (spatial + 1, 0)
        )
        if layer[0] <= 3 and layer[1] <= 7:
            layers.append(layer)
    templates = [
        (
            *layer,
            draw(st.text("-DSR", min_size=targets, max_size=targets)),
            draw(differences),
            tuple(draw(st.lists(st.integers(0, 15), min_size=chains, max_size=chains))),
        )
        for layer in layers
    ]
    return Shape(
        templates,
        tuple(draw(st.integers(0, chains - 1)) for _ in range(targets)) if chains else (),
        chains,
        [(100, 65536)] * (layers[-1][0] + 1) if draw(st.booleans()) else [],
        draw(st.integers(0, 63)),
    )


@st.composite
def descriptors(draw: st.DrawFn) -> bytes:
    return write_descriptor(draw(shapes()), 0, draw(u16), attach=True)


@given(shapes(), u16, st.booleans(), st.booleans(), st.data())
def test_what_is_written_is_read(
    shape: Shape, frame: int, end: bool, narrowed: bool, data: st.DataObject
) -> None:
    active = data.draw(st.integers(0, (1 << shape.targets) - 1)) if narrowed else None
    template = data.draw(st.integers(0, len(shape.templates) - 1))
    custom = data.draw(st.none() | st.text("-DSR", min_size=shape.targets, max_size=shape.targets))
    value = write_descriptor(
        shape, template, frame, end=end, attach=True, active=active, indications=custom, differences=(3, 300)
    )
    found = read(value, None)
    spatial, temporal, letters = shape.templates[template][:3]
    assert found == Descriptor(
        True,
        end,
        frame,
        spatial,
        temporal,
        tuple(LETTERS[letter] for letter in custom or letters),
        found.structure,
        (1 << shape.targets) - 1 if active is None else active,
        True,
    )
    assert found.structure.identity == shape.identity
    assert [(one.spatial, one.temporal, one.indications) for one in found.structure.templates] == [
        (one[0], one[1], tuple(LETTERS[letter] for letter in one[2])) for one in shape.templates
    ]


@given(st.binary(max_size=255), st.sampled_from((None, *SHAPES)))
def test_bytes_that_mean_nothing_are_refused_or_read(value: bytes, shape: Shape | None) -> None:
    known = None if shape is None else structure(shape)
    try:
        found = read(value, known)
    except PacketError:
        return
    assert len(found.indications) == len(found.structure.targets) <= 32
    assert 1 <= len(found.structure.templates) <= 64


@given(mutated(descriptors()))
def test_damaged_descriptors_are_refused_or_read(value: bytes) -> None:
    try:
        found = read(value, None)
    except PacketError:
        return
    assert found.start
    assert found.spatial <= 3
    assert found.temporal <= 7


@pytest.mark.parametrize("shape", SHAPES)
def test_each_cut_within_the_structure_is_refused(shape: Shape) -> None:
    value = write_descriptor(shape, 0, 0, attach=True)
    for size in range(len(value)):
        with pytest.raises(PacketError):
            read(value[:size], None)


def test_targets_have_the_layers_of_the_specification() -> None:
    assert structure(L1T3).targets == ((0, 0), (0, 1), (0, 2))
    assert structure(L3T3).targets == structure(S3T3).targets
    assert structure(S3T3).targets == tuple(
        (spatial, temporal) for spatial in range(3) for temporal in range(3)
    )


@pytest.mark.parametrize(
    ("spatial", "temporal", "target"), [(7, 7, 8), (1, 7, 5), (1, 0, 3), (0, 1, 1), (2, 1, 7), (0, 7, 2)]
)
def test_the_best_target_within_limits(spatial: int, temporal: int, target: int) -> None:
    assert structure(L3T3).best_target(spatial, temporal, 0x1FF) == target


def test_a_target_that_is_not_active_is_not_chosen() -> None:
    known = structure(S3T3)
    assert known.best_target(7, 7, 0b000111111) == 5
    assert known.best_target(7, 7, 0) == -1


def test_a_packet_refers_to_the_structure_in_force() -> None:
    known = structure(L3T3)
    found = read(write_descriptor(L3T3, 7, 99, start=False), known, 0x1F)
    assert (found.spatial, found.temporal, found.attached, found.active) == (1, 2, False, 0x1F)
    assert found.indications[5] == DISCARDABLE
    assert found.indications[4] == NOT_PRESENT


def test_an_identity_that_wraps() -> None:
    known = structure(L3T3)  # its identity is 60: template 5 is number 1
    assert write_descriptor(L3T3, 5, 0)[0] & 0x3F == 1
    assert read(write_descriptor(L3T3, 5, 0), known).spatial == 1


def test_indications_of_one_frame() -> None:
    found = read(write_descriptor(L1T3, 0, 1, indications="-S-"), structure(L1T3))
    assert found.indications == (NOT_PRESENT, SWITCH, NOT_PRESENT)


def test_what_is_not_known_is_refused() -> None:
    with pytest.raises(PacketError, match="never came"):
        read(write_descriptor(L1T3, 0, 1), None)
    with pytest.raises(PacketError, match="never came"):
        read(write_descriptor(L1T3, 0, 1, active=1), None)
    with pytest.raises(PacketError, match="unknown template"):
        read(b"\xff\0\0", structure(L1T3))
    with pytest.raises(PacketError, match="mid-frame"):
        read(write_descriptor(L1T3, 0, 1, start=False, attach=True), None)


def test_endless_layers_are_refused() -> None:
    """252 bytes of "the same layer again" would be 1,000 templates."""
    with pytest.raises(PacketError, match="more templates"):
        read(b"\x80\0\0" + b"\x80" + bytes(251), None)
