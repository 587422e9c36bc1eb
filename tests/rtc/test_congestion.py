"""The estimate of what a path carries, against a simulated bottleneck in virtual time."""

from __future__ import annotations

import dataclasses
import random
import time
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtc.congestion import SendSideEstimator, SentLog
from rtc.fanout import SENT_PACKETS, SentPacket
from rtc.transport_feedback import MAX_REPORTED, TransportFeedback
from tests.rtc.simulated_path import MS, Path, S, Sample, Simulation, mean

CAPACITIES = (300_000, 1_000_000, 5_000_000)


def received(samples: list[Sample]) -> float:
    return mean([s.received for s in samples])


def standing_queue(samples: list[Sample]) -> float:
    """For how long packets waited on and on: the shortest tenth of the worst second, milliseconds."""
    tenths = [s.queue for s in samples]
    return max(min(tenths[n : n + 10]) for n in range(0, len(tenths) - 9, 10)) / MS


def reached(samples: list[Sample], rate: int, since: int) -> float:
    """Seconds until the target was at `rate`."""
    return next((s.time - since for s in samples if s.target >= rate), 1_000 * S) / S


@pytest.mark.parametrize("probing", [True, False])
@pytest.mark.parametrize("capacity", CAPACITIES)
def test_it_finds_the_capacity_and_keeps_the_queue_short(capacity: int, probing: bool) -> None:
    simulation = Simulation(Path(capacity), probing=probing)
    simulation.run(15 if probing else 35)
    samples = simulation.run(20)
    assert 0.85 * capacity <= received(samples) <= 1.05 * capacity
    assert 0.8 * capacity <= mean([s.target for s in samples]) <= 1.05 * capacity
    assert standing_queue(samples) < 100
    assert mean([s.queue for s in samples]) < 60 * MS


def test_probes_find_a_wide_path_at_once() -> None:
    simulation = Simulation(Path(5_000_000))
    samples = simulation.run(1)
    assert samples[-1].target > 4_000_000
    slow = Simulation(Path(5_000_000), probing=False).run(1)
    assert slow[-1].target < 2_000_000, "so it was the probes"


@pytest.mark.parametrize("buffer", [3_000, 10_000, 30_000, 100_000])
def test_a_path_that_becomes_narrow_is_obeyed_within_a_second(buffer: int) -> None:
    simulation = Simulation(Path(5_000_000, buffer=buffer))
    simulation.run(10)
    simulation.path.capacity = 300_000
    simulation.run(1)
    assert simulation.estimator.target <= 300_000
    samples = simulation.run(20)
    assert standing_queue(samples[100:]) < 100, "the queue is emptied"
    assert received(samples[100:]) > 0.8 * 300_000


@pytest.mark.parametrize("narrow_for", [3, 10.5, 21, 30.7])
def test_a_path_that_becomes_wide_is_used_within_four_seconds(narrow_for: float) -> None:
    simulation = Simulation(Path(5_000_000, buffer=30_000))
    simulation.run(10)
    simulation.path.capacity = 300_000
    simulation.run(narrow_for)
    simulation.path.capacity = 5_000_000
    freed = simulation.now
    assert simulation.estimator.target < 400_000
    assert reached(simulation.run(5), 2_500_000, freed) < 4


@pytest.mark.parametrize("capacity", CAPACITIES)
@pytest.mark.parametrize(
    "spoilt", [{"loss": 0.05}, {"jitter": 20 * MS}, {"loss": 0.02, "jitter": 20 * MS}], ids=str
)
def test_a_path_through_the_air_is_used(capacity: int, spoilt: dict[str, Any]) -> None:
    simulation = Simulation(dataclasses.replace(Path(capacity), **spoilt))
    simulation.run(15)
    samples = simulation.run(20)
    assert received(samples) > 0.7 * capacity
    assert standing_queue(samples) < 100


def test_feedback_that_is_lost_now_and_then_costs_little() -> None:
    rng = random.Random(3)
    simulation = Simulation(Path(2_000_000), feedback=lambda report: None if rng.random() < 0.3 else report)
    simulation.run(5)
    samples = simulation.run(25)
    assert received(samples) > 0.85 * 2_000_000
    assert min(s.target for s in samples) > 1_000_000


def test_a_queue_of_seconds_is_emptied() -> None:
    simulation = Simulation(Path(5_000_000, buffer=1_200_000))
    simulation.run(5)
    simulation.path.capacity = 300_000
    assert max(s.queue for s in simulation.run(0.8)) > 2 * S
    rate = simulation.estimator.dump()["delay_rate"]
    assert isinstance(rate, int)
    assert rate < 1_000_000, "long before a group of packets is through"
    simulation.run(1.2)
    simulation.run(6)
    assert simulation.run(3)[-1].queue < 200 * MS


def test_others_on_the_path_get_their_share() -> None:
    simulation = Simulation(Path(2_000_000))
    simulation.run(10)
    simulation.path.cross = 1_000_000
    simulation.run(5)
    samples = simulation.run(15)
    assert 800_000 < received(samples) < 1_050_000
    assert standing_queue(samples) < 100


def test_heavy_losses_lower_the_rate_and_it_comes_back() -> None:
    simulation = Simulation(Path(2_000_000))
    simulation.run(10)
    simulation.path.loss = 0.25
    simulation.run(6)
    assert simulation.estimator.target < 1_200_000
    assert simulation.estimator.state == "loss"
    simulation.path.loss = 0.0
    simulation.run(8)
    assert simulation.estimator.target > 1_600_000


def test_a_limit_that_losses_set_is_given_up() -> None:
    simulation = Simulation(Path(2_000_000, loss=0.25), probing=False)
    simulation.run(3)
    assert simulation.estimator.dump()["loss_limit"] is not None
    simulation.path.loss = 0.0
    simulation.run(40)
    assert simulation.estimator.dump()["loss_limit"] is None
    assert simulation.estimator.target > 1_600_000


def test_losses_that_do_not_fall_with_the_rate_do_not_end_it() -> None:
    simulation = Simulation(Path(2_000_000, loss=0.12), probing=False)
    assert min(s.target for s in simulation.run(30)) > 300_000


def test_who_sends_little_does_not_claim_much() -> None:
    simulation = Simulation(Path(5_000_000), probing=False, limit=200_000)
    simulation.run(60)
    assert simulation.estimator.target < 1_100_000, "the start rate, and nothing that was never tried"


def test_who_needs_no_more_is_not_probed() -> None:
    simulation = Simulation(Path(5_000_000), wanted=900_000, limit=500_000)
    simulation.run(10)
    assert simulation.probes == []


def test_probes_go_no_further_than_what_is_wanted() -> None:
    simulation = Simulation(Path(20_000_000), wanted=1_500_000, limit=1_500_000)
    simulation.run(10)
    assert simulation.estimator.target > 1_400_000
    assert 0 < len(simulation.probes) <= 2
    assert max(rate for _, rate in simulation.probes) <= 1_800_000


def test_probes_in_vain_are_rare_and_small() -> None:
    simulation = Simulation(Path(300_000))
    simulation.run(5)
    before = len(simulation.probes)
    simulation.run(20)
    assert before < len(simulation.probes) <= before + 11
    assert max(rate for _, rate in simulation.probes[before:]) < 900_000


def test_probes_in_vain_do_not_cost_rate() -> None:
    simulation = Simulation(Path(1_000_000))
    simulation.run(15)
    before = len(simulation.probes)
    samples = simulation.run(30)
    assert len(simulation.probes) > before + 5
    assert received(samples) > 0.91 * 1_000_000


def test_what_is_overtaken_is_not_lost() -> None:
    simulation = Simulation(Path(3_000_000, jitter=30 * MS), wanted=1_500_000, limit=1_500_000)
    simulation.run(5)
    worst, through = 0.0, []
    for _ in range(50):
        simulation.run(0.1)
        dump = simulation.estimator.dump()
        assert isinstance(dump["fraction_lost"], float)
        assert isinstance(dump["received"], int)
        worst = max(worst, dump["fraction_lost"])
        through.append(dump["received"])
    assert worst == 0.0
    assert mean(through) == pytest.approx(mean([s.received for s in simulation.samples[-50:]]), rel=0.03)


@pytest.mark.parametrize("gather", [10 * MS, 20 * MS, 40 * MS])
@pytest.mark.parametrize("capacity", CAPACITIES)
def test_a_path_that_gathers_packets_is_used(capacity: int, gather: int) -> None:
    simulation = Simulation(Path(capacity, gather=gather))
    simulation.run(15)
    assert received(simulation.run(20)) > 0.8 * capacity


@pytest.mark.parametrize("jump", [-3600, -10, 10, 3600])
def test_a_clock_that_jumps_costs_nothing(jump: int) -> None:
    """The receiver's: seconds."""
    simulation = Simulation(Path(2_000_000))
    simulation.run(8)

    def jumped(report: TransportFeedback) -> TransportFeedback:
        return dataclasses.replace(report, reference=report.reference + jump * 125 // 8 & 0xFFFFFF)

    simulation.feedback = jumped
    samples = simulation.run(8)
    assert simulation.estimator.dump()["clock_jumps"] == 1
    assert min(s.target for s in samples) > 1_400_000
    assert received(samples) > 0.85 * 2_000_000


def test_a_probe_has_its_pace() -> None:
    simulation = Simulation(Path(5_000_000), probing=False)
    simulation.run(1)
    estimator = simulation.estimator
    media = estimator.pacing_rate
    assert media == pytest.approx(2.5 * estimator.target / 8, rel=0.01)
    probe = estimator.probe(simulation.now, 8_000_000)
    assert probe is not None
    assert probe.rate > 2 * estimator.target
    assert probe.cluster > 0
    assert estimator.pacing_rate == probe.rate // 8
    assert estimator.probe(simulation.now, 8_000_000) is None, "one at a time"
    estimator.tick(simulation.now + probe.size * 8 * S // probe.rate + 100 * MS)
    assert estimator.pacing_rate == media


def test_the_receivers_own_estimate_is_a_cap() -> None:
    simulation = Simulation(Path(5_000_000))
    simulation.run(3)
    simulation.estimator.remb(700_000, simulation.now)
    assert simulation.estimator.target == 700_000
    assert max(s.target for s in simulation.run(5)) == 700_000
    simulation.estimator.remb(3_000_000, simulation.now)
    simulation.run(5)
    assert 2_500_000 < simulation.estimator.target <= 3_000_000


def test_an_old_peer_is_steered_by_its_reports() -> None:
    estimator = SendSideEstimator()
    now = S
    for _ in range(10):
        now += S
        estimator.sent(now)
        estimator.receiver_report(0.0, 50 * MS, now)
        estimator.tick(now)
    assert 1_500_000 < estimator.target <= 3_000_000
    assert estimator.rtt == 50 * MS
    assert estimator.probe(now, 10_000_000) is None, "it could not tell what came of it"
    before = estimator.target
    for _ in range(3):
        now += S
        estimator.receiver_report(0.3, 50 * MS, now)
    assert estimator.target < 0.7 * before
    estimator.remb(200_000, now)
    assert estimator.target == 200_000
    for _ in range(60):
        now += S
        estimator.remb(2_000_000, now)
        estimator.receiver_report(0.0, 50 * MS, now)
    assert estimator.target == 2_000_000


def test_a_peer_that_never_acknowledges_falls_to_the_minimum_and_is_not_probed() -> None:
    simulation = Simulation(Path(5_000_000), feedback=lambda report: None)
    samples = simulation.run(8)
    targets = [s.target for s in samples]
    assert set(targets[:9]) == {1_000_000}, "a second of patience"
    assert targets == sorted(targets, reverse=True)
    assert all(late >= 0.69 * early for early, late in pairwise(targets)), "in steps"
    assert targets[-1] == 50_000
    assert simulation.probes == []
    assert simulation.estimator.state == "silent"


def test_feedback_that_comes_again_brings_the_rate_back() -> None:
    simulation = Simulation(Path(2_000_000))
    simulation.run(5)
    simulation.feedback = lambda report: None
    simulation.run(6)
    assert simulation.estimator.target < 150_000
    simulation.feedback = lambda report: report
    back = simulation.now
    assert reached(simulation.run(6), 1_500_000, back) < 4


def test_silence_without_sending_is_no_trouble() -> None:
    simulation = Simulation(Path(2_000_000))
    simulation.run(5)
    before, now = simulation.estimator.target, simulation.now
    # The last packets are acknowledged, then nothing is sent for a minute.
    simulation.limit = 0
    simulation.probing = False
    simulation.run(60)
    assert simulation.now > now
    assert simulation.estimator.target >= 0.95 * before


def test_numbers_that_went_round_unseen_are_still_new() -> None:
    estimator, log = SendSideEstimator(), SentLog()
    now = S

    def second(acknowledged: bool) -> None:
        nonlocal now
        for _ in range(10):
            first = log.add(1200, now)
            for n in range(1, 60):
                log.add(1200, now + n * MS)
            now += 100 * MS
            if acknowledged:
                report = TransportFeedback(1, 0, first, now // 64_000, 0, tuple(range(0, 240, 4)))
                estimator.feedback(report, log.sent(first, 60), now)

    second(True)
    for _ in range(67):  # 40,200 numbers: further than half way round
        second(False)
        estimator.sent(now)
        estimator.tick(now)
    assert estimator.target == 50_000
    second(True)
    assert estimator.state != "silent"
    assert estimator.target > 50_000


def test_the_same_feedback_again_and_again_is_silence() -> None:
    told: list[TransportFeedback] = []
    simulation = Simulation(Path(2_000_000), feedback=lambda report: told[0] if told else told.append(report))
    simulation.run(10)
    told[0] = dataclasses.replace(told[0])
    assert simulation.estimator.target == 50_000


def test_more_feedback_than_is_sensible_costs_nothing_more() -> None:
    estimator, log = SendSideEstimator(), SentLog()
    for n in range(SENT_PACKETS):
        log.add(1200, n * 100)
    report = TransportFeedback(1, 0, 0, 5, 0, (None,) * MAX_REPORTED)
    sent = log.sent(0, MAX_REPORTED)
    for n in range(5_000):
        estimator.feedback(report, sent, S + n)
    assert estimator.ignored >= 4_800


def test_the_cost_of_a_packet_is_small() -> None:
    log, estimator = SentLog(), SendSideEstimator()
    reports = []
    for n in range(200):
        first = log.add(1200, n * 100 * MS)
        for k in range(1, 60):
            log.add(1200, n * 100 * MS + k * 1600)
        arrivals = tuple(range(0, 60 * 6, 6))
        reports.append(
            (TransportFeedback(1, 0, first, (n * 100 * MS) // 64_000, 0, arrivals), log.sent(first, 60))
        )
    begun = time.process_time()
    for n, (report, sent) in enumerate(reports):
        estimator.feedback(report, sent, (n + 1) * 100 * MS)
    per_packet = (time.process_time() - begun) * 1e6 / (200 * 60)
    assert per_packet < 20, "microseconds; about 1.5 on an idle machine"


lies = st.builds(
    TransportFeedback,
    st.just(1),
    st.just(0),
    st.integers(0, 0xFFFF) | st.integers(0, 300),
    st.integers(0, 0xFFFFFF),
    st.integers(0, 255),
    st.lists(st.none() | st.integers(-(2**20), 2**20) | st.integers(0, 400), min_size=1, max_size=80).map(
        tuple
    ),
)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(lies, st.integers(0, 2 * S), st.integers(0, 30), st.integers(0, 2**40)),
        min_size=1,
        max_size=40,
    )
)
def test_feedback_that_lies_is_bounded(steps: list[tuple[TransportFeedback, int, int, int]]) -> None:
    estimator, log, now = SendSideEstimator(minimum=50_000, maximum=8_000_000), SentLog(), S
    for report, elapsed, count, rate in steps:
        now += elapsed
        probe = estimator.probe(now, rate)
        for _ in range(count):
            log.add(1200, now, probe.cluster if probe else 0)
            estimator.sent(now)
        estimator.feedback(report, log.sent(report.base_sequence, len(report.arrivals)), now)
        estimator.tick(now)
        assert 50_000 <= estimator.target <= 8_000_000
        assert estimator.pacing_rate > 0
        assert estimator.rtt is None or 0 <= estimator.rtt <= 3 * S
        assert all(isinstance(value, int | float | str | None) for value in estimator.dump().values())
        if probe is not None:
            assert 0 < probe.size < 100_000
            assert probe.rate <= 1.2 * 8_000_000


@given(st.lists(st.integers(1, 1500), max_size=200), st.integers(0, 300), st.integers(0, 300))
def test_the_log_remembers_what_was_sent(sizes: list[int], first: int, count: int) -> None:
    log = SentLog()
    assert [log.add(size, n, 7) for n, size in enumerate(sizes)] == list(range(len(sizes)))
    assert log.sent(first, count) == [
        SentPacket(n, sizes[n], 7) if n < len(sizes) else None for n in range(first, first + count)
    ]


def test_the_log_forgets_what_is_old() -> None:
    log = SentLog()
    for n in range(0x10000 + 10):
        log.add(100, n)
    assert log.sent(0, 12) == [SentPacket(0x10000 + n, 100, 0) for n in range(10)] + [None, None]
    assert log.sent(10 - SENT_PACKETS & 0xFFFF, 1) != [None]
    assert log.sent(9 - SENT_PACKETS & 0xFFFF, 1) == [None]
