"""The virtual clock: order is kept, hours are free, and a test that waits for nothing is told so."""

from __future__ import annotations

import asyncio
import time

import pytest

from tests.support.virtual_time import VirtualClock, VirtualTime


def test_an_hour_costs_nothing(virtual_time: VirtualTime) -> None:
    started, before = time.monotonic(), virtual_time.now
    virtual_time.run(asyncio.sleep(3600))
    assert virtual_time.now - before == pytest.approx(3600)
    assert time.monotonic() - started < 5


async def test_timers_fire_in_order(virtual_time: VirtualTime) -> None:
    seen: list[tuple[str, float]] = []
    start = virtual_time.now

    async def note(name: str, delay: float) -> None:
        await asyncio.sleep(delay)
        seen.append((name, round(virtual_time.now - start, 6)))

    await asyncio.gather(note("late", 9.0), note("early", 0.5), note("middle", 3.0))
    assert seen == [("early", 0.5), ("middle", 3.0), ("late", 9.0)]


async def test_a_timeout_fires_at_its_time(virtual_time: VirtualTime) -> None:
    start = virtual_time.now
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.Event().wait(), timeout=30)
    assert virtual_time.now - start == pytest.approx(30)


def test_waiting_for_nothing_is_an_error(virtual_time: VirtualTime) -> None:
    with pytest.raises(RuntimeError, match="never happens"):
        virtual_time.run(_wait_for_nothing())


async def _wait_for_nothing() -> None:
    await asyncio.Event().wait()


def test_a_thread_may_wake_the_loop(virtual_time: VirtualTime) -> None:
    assert virtual_time.run(asyncio.to_thread(lambda: 7)) == 7


def test_the_clock_does_not_run_backwards() -> None:
    clock = VirtualClock(5.0)
    assert clock.advance(1.5) == clock() == 6.5
    with pytest.raises(ValueError, match="backwards"):
        clock.advance(-0.1)
