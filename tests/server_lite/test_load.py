"""The load manager in virtual time: what it leaves out, in which order, and when it takes it up again."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server_lite.ladder import ALL_TEMPORAL, Caps
from server_lite.load import (
    NO_MARKS,
    RECOVER_MAX_S,
    RECOVER_S,
    SHED_S,
    STEPS,
    URGENT_S,
    Limits,
    LoadManager,
    LoadMarks,
    Marks,
    Measures,
    Sample,
)
from server_lite.load_sampler import SAMPLE_S, WAKES, LoadSampler
from tests.server_lite.serving import KEY, serving
from tests.support.virtual_time import VirtualTime

QUIET = Sample(1000, 1e6, 1.0, 0.2)
BUSY = QUIET._replace(cores=0.85)  # over soft
FRANTIC = QUIET._replace(delay_ms=400)  # over high
BETWEEN = QUIET._replace(cores=0.7)  # neither over soft nor below recover


class Server:
    """Takes a sample every half second."""

    def __init__(self) -> None:
        self.manager, self.now = LoadManager(), 1000.0
        self.changed: list[Measures] = []

    def goes_on(self, seconds: float, *samples: Sample) -> int:
        """The samples in turn, over and over; the step afterwards."""
        for n in range(round(seconds * 2)):
            self.now += 0.5
            measures = self.manager.measure(samples[n % len(samples)], self.now)
            if measures.changed:
                self.changed.append(measures)
        return self.manager.step


def test_pictures_go_in_order_and_people_stay() -> None:
    server = Server()
    server.goes_on(120, BUSY)
    assert [m.step for m in server.changed] == list(range(1, len(STEPS) + 1))
    limits = [m.limits for m in server.changed]
    assert limits[0] == Limits(last_n=16)
    assert limits[2].max_height is None  # first the tiles of who has not spoken lately
    assert limits[2].last_n == 4
    assert [x.max_height for x in limits[3:]] == [720, 360, 360, 180, 180, 180, 180]
    assert limits[5].temporal == 1
    assert [x.new_rooms for x in limits] == [True] * (len(STEPS) - 1) + [False]
    assert limits[-1] == Limits(2, 180, 0, False)


def test_the_limits_never_get_looser_on_the_way_down() -> None:
    server = Server()
    server.goes_on(120, BUSY)
    for one, other in pairwise(m.limits for m in server.changed):
        assert (other.last_n or 99) <= (one.last_n or 99)
        assert (other.max_height or 9999) <= (one.max_height or 9999)
        assert other.temporal <= one.temporal


def test_over_the_high_mark_it_goes_faster() -> None:
    server = Server()
    assert server.goes_on(SHED_S, BUSY) == 0
    assert server.goes_on(0.5, BUSY) == 1
    other = Server()
    assert other.goes_on(URGENT_S + 0.5, FRANTIC) == 1
    assert other.goes_on(3 * (URGENT_S + 0.5), FRANTIC) == 4


def test_a_spike_is_ignored() -> None:
    server = Server()
    server.goes_on(600, FRANTIC, *[QUIET] * 9)
    assert server.changed == []


def test_the_load_rises_and_falls_and_all_comes_back_in_reverse() -> None:
    server = Server()
    server.goes_on(10, QUIET)
    server.goes_on(12, BUSY)
    down = [m.step for m in server.changed]
    assert down == [1, 2, 3]
    server.goes_on(60, BETWEEN)  # well: no further, and not back either
    assert [m.step for m in server.changed] == down
    server.goes_on(4 * RECOVER_S, QUIET)
    assert [m.step for m in server.changed] == [*down, 2, 1, 0]
    assert server.manager.limits == Limits()


def test_recovery_takes_longer_than_shedding() -> None:
    server = Server()
    server.goes_on(SHED_S + 0.5, BUSY)
    assert server.goes_on(RECOVER_S, QUIET) == 1
    assert server.goes_on(0.5, QUIET) == 0
    assert RECOVER_S > 3 * SHED_S


def test_a_load_that_comes_with_the_pictures_does_not_flap() -> None:
    """What the manager gives back brings the load back: it tries less and less often."""
    server = Server()
    for _ in range(1800):
        server.goes_on(0.5, BUSY if server.manager.step < 2 else QUIET)
    ups = [n for n, (a, b) in enumerate(pairwise(server.changed)) if b.step < a.step]
    assert 3 <= len(ups) <= 900 / RECOVER_MAX_S + 6  # without patience one every 15 s: 60
    late = [m for m in server.changed if m.reason == f"calm for {RECOVER_MAX_S:.0f} s"]
    assert late


def test_an_oscillating_load_sheds_once_and_stays() -> None:
    server = Server()
    server.goes_on(600, *[BUSY] * 8, *[QUIET] * 8)  # 4 s each
    assert all(b.step > a.step for a, b in pairwise(server.changed))


def test_calm_for_long_patience_is_forgotten() -> None:
    server = Server()
    for _ in range(4):
        server.goes_on(SHED_S + 0.5, BUSY)
        server.goes_on(130, QUIET)
    assert server.manager.step == 0
    for _ in range(4):
        server.goes_on(600, QUIET)
        server.goes_on(SHED_S + 0.5, BUSY)
        server.goes_on(130, QUIET)
    assert server.manager.dump()["recover_s"] == RECOVER_S


@pytest.mark.parametrize("name", Sample._fields)
def test_each_measure_counts_and_is_named_in_the_reason(name: str) -> None:
    server = Server()
    marks = getattr(LoadMarks(), name)
    assert server.goes_on(30, QUIET._replace(**{name: marks.soft})) == 0  # at the mark is not over it
    assert server.goes_on(SHED_S + 0.5, QUIET._replace(**{name: marks.soft * 1.01})) == 1
    assert server.changed[0].reason.startswith(name)
    assert server.goes_on(60, QUIET._replace(**{name: marks.recover})) == 1  # nor is at the mark below it


def test_samples_that_did_not_come_count_for_nothing() -> None:
    server = Server()
    server.goes_on(SHED_S, BUSY)
    server.now += 60
    assert server.goes_on(0.5, BUSY) == 0
    before = server.now
    assert server.manager.measure(FRANTIC, before - 1) == Measures(Limits(), 0, False, "")


@given(st.lists(st.tuples(st.sampled_from([QUIET, BETWEEN, BUSY, FRANTIC]), st.floats(0, 20)), max_size=150))
def test_whatever_the_load_steps_are_single_and_no_quicker_than_told(
    steps: list[tuple[Sample, float]],
) -> None:
    manager, now, changed_at = LoadManager(), 0.0, -100.0
    for sample, passed in steps:
        now += passed
        before = manager.step
        measures = manager.measure(sample, now)
        assert 0 <= manager.step <= len(STEPS)
        assert measures.changed == (manager.step != before) == bool(measures.reason)
        assert abs(manager.step - before) <= 1
        if measures.changed:
            assert now - changed_at >= (URGENT_S if manager.step > before else RECOVER_S)
            changed_at = now
        if manager.step > before:
            assert sample in (BUSY, FRANTIC)
        if manager.step < before:
            assert sample is QUIET
    assert manager.sheds - manager.recoveries == manager.step


def test_limits_become_caps_of_the_allocation() -> None:
    assert Limits().caps == Caps(None, ALL_TEMPORAL)
    assert Limits(4, 360, 1).caps == Caps(360, 1)


@pytest.mark.parametrize("marks", [(1.0, 2.0, 1.0), (2.0, 1.0, 0.5), (1.0, 2.0, -1.0)])
def test_marks_that_do_not_rise_are_refused(marks: tuple[float, float, float]) -> None:
    with pytest.raises(ValueError, match="marks must rise"):
        Marks(*marks)


def test_a_server_that_is_measured_leaves_out_nothing() -> None:
    manager = LoadManager(NO_MARKS)
    for n in range(100):
        assert manager.measure(Sample(1e9, 1e12, 1e5, 64.0), n / 2).limits == Limits()


# The sampler.


class Machine:
    """What the sampler measures: CPU that is burnt and packets that pass, in virtual time."""

    def __init__(self, time: VirtualTime, cores: float, packets: float) -> None:
        self.time, self.began, self.cores, self.packets = time, time.now, cores, packets

    def cpu(self) -> float:
        return (self.time.now - self.began) * self.cores

    def traffic(self) -> tuple[int, int]:
        passed = self.time.now - self.began
        return round(passed * self.packets), round(passed * self.packets * 1000)


async def sampled(machine: Machine, seconds: float) -> tuple[LoadManager, list[Measures]]:
    manager, told = LoadManager(), list[Measures]()
    sampler = LoadSampler(manager, machine.traffic, told.append, cpu=machine.cpu)
    task = asyncio.get_running_loop().create_task(sampler.run())
    await asyncio.sleep(seconds)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return manager, told


async def test_the_sampler_measures_cpu_and_packets(virtual_time: VirtualTime) -> None:
    manager, told = await sampled(Machine(virtual_time, 0.5, 20_000), 10 * SAMPLE_S + 0.01)
    sample = manager.sample
    assert sample.cores == pytest.approx(0.5)
    assert sample.packets == pytest.approx(20_000, rel=0.01)
    assert sample.bits == pytest.approx(160e6, rel=0.01)
    assert sample.delay_ms == pytest.approx(0, abs=0.001)
    assert told == []


async def test_the_sampler_tells_of_each_change(
    virtual_time: VirtualTime, caplog: pytest.LogCaptureFixture
) -> None:
    _, told = await sampled(Machine(virtual_time, 0.95, 100), 10.0)
    assert told[0].limits == Limits(last_n=16)
    assert "cores 0.95 is over 0.8" in caplog.text


async def test_the_sampler_sees_how_late_the_loop_is(virtual_time: VirtualTime) -> None:
    manager = LoadManager()
    ticks = iter(late_clock(0.2))
    sampler = LoadSampler(manager, lambda: (0, 0), lambda measures: None, clock=lambda: next(ticks))
    with pytest.raises(RuntimeError, match="StopIteration"):
        await sampler.run()
    assert manager.sample.delay_ms == pytest.approx(200)


async def test_a_running_server_refuses_meetings_in_the_end() -> None:
    busy = Marks(1e-9, 1e-9, 0.0)  # any CPU is too much
    async with serving(load=replace(NO_MARKS, cores=busy)) as served:
        served.state.load.step = len(STEPS) - 1
        async with asyncio.timeout(10):
            while (answer := await served.request("POST", "/api/rooms", KEY)).status_code == 201:
                pass
        assert (answer.status_code, answer.json()["code"]) == (503, "overloaded")
        assert served.state.load.limits == Limits(2, 180, 0, False)


def late_clock(late: float) -> Iterable[float]:
    """Readings of a clock by which every wake comes late: the start, then before and after each sleep."""
    now = 0.0
    yield now
    for _ in range(WAKES):
        yield now
        now += SAMPLE_S / WAKES + late
        yield now
    yield now
