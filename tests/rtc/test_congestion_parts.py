"""The parts of the estimate, where the whole would not show what they are for."""

from __future__ import annotations

from itertools import pairwise

import pytest

from rtc.congestion.groups import PacketGroups
from rtc.congestion.probes import Probe, Probes
from rtc.congestion.trend import Trendline
from rtc.observation import Received, Usage

MS, S = 1_000, 1_000_000


def packets(*times: tuple[int, int]) -> list[Received]:
    """(sent, arrived) in milliseconds."""
    return [Received(sent * MS, arrived * MS, 1200, 0) for sent, arrived in times]


def test_what_left_together_is_one_group() -> None:
    groups = PacketGroups()
    ended = groups.add(packets((0, 20), (3, 24), (20, 40), (24, 50), (40, 61), (60, 80)))
    assert [(g.sent_delta, g.arrived_delta, g.size, g.usable) for g in ended] == [
        (0, 0, 2400, False),
        (21 * MS, 26 * MS, 2400, True),
        (16 * MS, 11 * MS, 1200, True),
    ]


def test_what_was_held_and_let_go_is_one_group() -> None:
    groups = PacketGroups()
    held = [(n * 10, 100) for n in range(10)]
    assert groups.add(packets(*held)) == []
    [group] = groups.add(packets((100, 200), (110, 201)))
    assert group.size == 12_000
    forever = [(200 + n * 10, 300 + n * 4) for n in range(100)]
    assert len(groups.add(packets(*forever))) > 2, "but not for ever"


def test_what_was_overtaken_says_nothing() -> None:
    groups = PacketGroups()
    ended = groups.add(packets((0, 20), (10, 260), (20, 40), (30, 300), (40, 310)))
    assert [(g.sent_delta, g.arrived_delta, g.usable) for g in ended] == [
        (0, 0, False),
        (10 * MS, 240 * MS, True),
        (0, 0, False),
        (20 * MS, 40 * MS, True),
    ]
    assert groups.jumps == 0


def usages(trend: Trendline, growth: float, count: int, start: int = 0) -> list[Usage]:
    """Groups 20 ms apart whose delay grows by `growth` ms each."""
    return [
        trend.update(20 * MS, round((20 + growth) * MS), start + round(n * (20 + growth) * MS))
        for n in range(count)
    ]


def test_a_delay_that_grows_is_over_use_and_one_that_falls_the_contrary() -> None:
    trend = Trendline()
    assert set(usages(trend, 0, 60)) == {Usage.NORMAL}
    assert usages(trend, 4, 40, 2 * S)[-1] is Usage.OVER
    assert Usage.UNDER in usages(trend, -6, 60, 4 * S)


def test_the_threshold_follows_a_slow_growth() -> None:
    """Beside a flow that fills the queue nobody may starve."""
    fresh = Trendline()
    usages(fresh, 0, 60)
    assert Usage.OVER in usages(fresh, 0.9, 100, 2 * S)
    trend = Trendline()
    usages(trend, 0, 60)
    calm = trend.threshold
    assert Usage.OVER in usages(trend, 1.0, 2000, 2 * S)
    assert calm < trend.threshold < trend.trend + 1
    assert usages(trend, 0.9, 100, 50 * S)[-1] is Usage.NORMAL
    raised = trend.threshold
    usages(trend, 0, 200, 60 * S)
    assert trend.threshold < raised


def started() -> tuple[Probes, Probe]:
    probes = Probes()
    probe = probes.start(1_000_000, 10_000_000, 30_000_000, S)
    assert probe is not None
    return probes, probe


def burst(probe: Probe, arriving: float) -> list[Received]:
    """The probe at its rate; it arrives at `arriving` times this rate."""
    count = -(-probe.size // 1200)
    gap = 1200 * 8 * S / probe.rate
    return [
        Received(S + round(n * gap), 5 * S + round(n * gap / arriving), 1200, probe.cluster)
        for n in range(count)
    ]


@pytest.mark.parametrize(
    ("arriving", "part", "go_on"),
    [(1.0, 1.0, True), (1.5, 1.0, True), (0.92, 0.92, True), (0.5, 0.475, False)],
)
def test_a_probe_shows_the_rate_at_which_it_arrives(arriving: float, part: float, go_on: bool) -> None:
    probes, probe = started()
    assert probes.received(burst(probe, arriving), S + 100 * MS) == pytest.approx(part * probe.rate, rel=0.01)
    following = probes.start(1_000_000, 10_000_000, 30_000_000, S + 101 * MS)
    assert (following is not None) == go_on
    if following is not None:
        assert following.cluster != probe.cluster


def climb(probes: Probes, arriving: float, now: int, target: int = 1_000_000) -> bool:
    """Sends the probe that is due at `now`, if any, which arrives at `arriving` times its rate."""
    probe = probes.start(target, 10_000_000, 30_000_000, now)
    if probe is None:
        return False
    moved = [p._replace(sent=p.sent + now, arrived=p.arrived + now) for p in burst(probe, arriving)]
    return probes.received(moved, now + 100 * MS) is not None


def test_behind_one_that_passed_a_few_that_did_not_are_repeated_soon() -> None:
    probes = Probes()
    assert climb(probes, 1.0, S)
    sent = [now for now in range(S + 110 * MS, 4 * S, 10 * MS) if climb(probes, 0.6, now)]
    assert [b - a for a, b in pairwise(sent)][:3] == [400 * MS] * 3
    assert len(sent) == 4, "and then it is believed"
    assert not probes.climbing


def test_one_that_shows_nothing_is_repeated_soon_in_a_climb_and_not_else() -> None:
    for climbs, wait in ((True, 300 * MS), (False, 1200 * MS)):
        probes = Probes()
        if climbs:
            assert climb(probes, 1.0, S)
        assert probes.start(1_000_000, 10_000_000, 30_000_000, S + 110 * MS) is not None
        lost = next(now for now in range(S + 110 * MS, 5 * S, 10 * MS) if not expires(probes, now))
        assert probes.climbing == climbs
        sent = next(now for now in range(lost, 9 * S, 10 * MS) if climb(probes, 1.0, now))
        assert abs(sent - lost - wait) < 150 * MS


def expires(probes: Probes, now: int) -> bool:
    """Whether the probe under way is still waited for at `now`."""
    probes.expire(50 * MS, now)
    return probes.outstanding is not None


def test_a_cut_ends_the_climb() -> None:
    probes = Probes()
    assert climb(probes, 1.0, S)
    assert probes.climbing
    probes.cut(S + 110 * MS)
    assert not probes.climbing
    assert not climb(probes, 0.6, 2 * S)
    assert climb(probes, 0.3, 2 * S + 200 * MS)
    assert not probes.climbing


def test_a_probe_of_a_narrow_path_takes_no_longer_than_others() -> None:
    probe = Probes().start(60_000, 10_000_000, 30_000_000, S)
    assert probe is not None
    assert probe.size * 8 / probe.rate < 0.15


def test_what_was_held_is_no_measurement() -> None:
    probes, probe = started()
    assert probes.received(burst(probe, 2.5), S) is None
    assert probes.outstanding == probe
    probes.expire(100 * MS, 3 * S)
    assert (probes.outstanding, probes.failed) == (None, 1)


def test_media_between_the_packets_of_a_probe_counts() -> None:
    probes, probe = started()
    mine = burst(probe, 1.0)
    gap = mine[1].sent - mine[0].sent
    media = [Received(p.sent + gap // 2, p.arrived + gap // 2, 1200, 0) for p in mine]
    both = [p for pair in zip(mine, media, strict=True) for p in pair]
    assert probes.received([*media[:1], *both], S) == pytest.approx(1.1 * probe.rate, rel=0.01)


def test_a_probe_shows_little_more_than_it_was_to_show() -> None:
    """What left at once shows how fast the first link is, not what the path carries for long."""
    probes, probe = started()
    faster = [
        p._replace(sent=S + (p.sent - S) // 4, arrived=S + (p.arrived - S) // 4) for p in burst(probe, 1.0)
    ]
    assert probes.received(faster, S) == pytest.approx(1.1 * probe.rate, rel=0.01)


def test_what_a_path_lets_pass_at_once_does_not_count() -> None:
    """A bucket of two packets before a path of half the rate."""
    probes = Probes()
    probe = probes.start(300_000, 3_000_000, 30_000_000, S)
    assert probe is not None
    slow = burst(probe, 0.5)
    early = slow[2].arrived - slow[0].arrived
    packets = [
        *(p._replace(arrived=slow[0].arrived) for p in slow[:2]),
        *(p._replace(arrived=p.arrived - early) for p in slow[2:]),
    ]
    assert probes.received(packets, S) == pytest.approx(0.95 * probe.rate / 2, rel=0.01)


def test_too_little_of_a_probe_is_no_measurement() -> None:
    probes, probe = started()
    most = burst(probe, 1.0)
    assert probes.received(most[: len(most) * 7 // 10], S) is None
    assert probes.received(most[len(most) * 7 // 10 :], S) is not None, "the rest in the next feedback"
