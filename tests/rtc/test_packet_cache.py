from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtc.packet_cache import PacketCache
from tests.rtc.strategies import u16


@given(st.integers(1, 64), u16, st.integers(1, 300))
def test_the_latest_packets_are_there_and_no_others(capacity: int, start: int, count: int) -> None:
    cache: PacketCache[int] = PacketCache(capacity, max_age=1e9)
    for index in range(count):
        cache.put((start + index) & 0xFFFF, index, 0.0)
    for index in range(count):
        found = cache.get((start + index) & 0xFFFF, 0.0)
        assert found == (index if index >= count - cache.capacity else None)
    assert cache.get((start + count) & 0xFFFF, 0.0) is None


def test_old_packets_are_not_given_out() -> None:
    cache: PacketCache[str] = PacketCache(8, max_age=1.0)
    cache.put(65535, "a", 10.0)
    assert cache.get(65535, 11.0) == "a"
    assert cache.get(65535, 11.1) is None


def test_clear_forgets() -> None:
    cache: PacketCache[str] = PacketCache(8)
    cache.put(1, "a", 0.0)
    cache.clear()
    assert cache.get(1, 0.0) is None


@pytest.mark.parametrize("capacity", [0, 32769])
def test_capacity_has_bounds(capacity: int) -> None:
    with pytest.raises(ValueError, match="capacity"):
        PacketCache[int](capacity)
