from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtc.errors import PacketError
from rtc.vp9 import Vp9Descriptor


def written(
    start: bool,
    end: bool,
    predicted: bool,
    picture_id: int | None,
    wide: bool,
    layers: tuple[int, int, bool, int] | None,
    flexible: bool,
) -> bytes:
    """layers: temporal, spatial, switching up, TL0PICIDX."""
    first = 0x08 * start | 0x04 * end | 0x40 * predicted | 0x10 * flexible
    rest = b""
    if picture_id is not None:
        first |= 0x80
        rest = (picture_id | 0x8000).to_bytes(2, "big") if wide else bytes((picture_id & 0x7F,))
    if layers is not None:
        first |= 0x20
        temporal, spatial, up, tl0 = layers
        rest += bytes((temporal << 5 | 0x10 * up | spatial << 1,))
        if not flexible:
            rest += bytes((tl0,))
    return bytes((first,)) + rest


layer_indices = st.tuples(st.integers(0, 7), st.integers(0, 7), st.booleans(), st.integers(0, 255))


@given(
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.none() | st.integers(0, 0x7FFF),
    st.booleans(),
    st.none() | layer_indices,
    st.booleans(),
    st.binary(max_size=4),
)
def test_what_is_written_is_read(
    start: bool,
    end: bool,
    predicted: bool,
    picture_id: int | None,
    wide: bool,
    layers: tuple[int, int, bool, int] | None,
    flexible: bool,
    rest: bytes,
) -> None:
    head = written(start, end, predicted, picture_id, wide, layers, flexible)
    found = Vp9Descriptor.parse(head + rest)
    assert (found.start, found.end, found.predicted) == (start, end, predicted)
    if picture_id is None:
        assert (found.picture_id, found.picture_bits) == (None, 0)
    else:
        assert found.picture_id == (picture_id if wide else picture_id & 0x7F)
        assert found.picture_bits == (15 if wide else 7)
    if layers is None:
        assert (found.temporal, found.spatial, found.switch_up, found.tl0picidx) == (0, 0, False, None)
    else:
        assert (found.temporal, found.spatial, found.switch_up) == layers[:3]
        assert found.tl0picidx == (None if flexible else layers[3])
        if not flexible:
            assert found.tl0_at == len(head) - 1
    assert found.starts_key_frame == (start and not predicted and found.spatial == 0)
    for size in range(len(head)):
        with pytest.raises(PacketError):
            Vp9Descriptor.parse(head[:size])


@given(st.binary(max_size=12))
def test_no_bytes_raise_anything_else(payload: bytes) -> None:
    try:
        found = Vp9Descriptor.parse(payload)
    except PacketError:
        return
    assert found.tl0_at < len(payload)
