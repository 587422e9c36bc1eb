"""Bad networks in a light member's socket, and the verdicts on who had to bear them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.loadbot.crew import merge
from bench.loadbot.delays import Delays
from bench.loadbot.troubles import Losses, ThinLink
from tests.bench.test_loadbot_crew import report

DATAGRAM = bytes(972)  # 1,000 bytes with the headers of IP and UDP


def test_a_link_without_limit_holds_nothing_up() -> None:
    link = ThinLink()
    link.offer(DATAGRAM, 5)
    assert link.due(5) == [DATAGRAM]
    assert link.due(6) == []


def test_a_thin_link_lets_through_what_its_rate_allows() -> None:
    link = ThinLink(queue_s=0.1)
    link.rate = 800_000  # a datagram in 10 ms
    for _ in range(5):
        link.offer(DATAGRAM, 0)
    assert [len(link.due(milliseconds * 1000)) for milliseconds in (9, 10, 25, 50)] == [0, 1, 1, 3]


def test_what_does_not_fit_before_it_is_lost() -> None:
    link = ThinLink(queue_s=0.1)
    link.rate = 800_000
    for _ in range(30):
        link.offer(DATAGRAM, 0)
    assert link.dropped == 30 - 11
    assert len(link.due(10**9)) == 11


def test_a_freed_link_gives_out_what_waited_in_order() -> None:
    link = ThinLink(queue_s=1.0)
    link.rate = 8_000
    for number in range(3):
        link.offer(bytes((number,)), 0)
    link.free()
    link.offer(b"\x03", 1)
    assert link.due(1) == [b"\0", b"\x01", b"\x02", b"\x03"]


@given(st.lists(st.tuples(st.integers(0, 20_000), st.integers(1, 1400)), min_size=1, max_size=80))
def test_no_more_comes_through_than_the_rate(arrivals: list[tuple[int, int]]) -> None:
    link = ThinLink(queue_s=0.05)
    link.rate = 1_000_000
    now = through = 0
    for step, size in arrivals:
        now += step
        link.offer(bytes(size), now)
        through += sum(len(data) + 28 for data in link.due(now))
        assert through * 8 <= now + 8 * 28 * len(arrivals)
    offered = sum(size for _, size in arrivals)
    assert through + sum(len(data) for data in link.due(10**12)) <= offered + 28 * len(arrivals)


def test_losses_are_the_same_for_the_same_seed() -> None:
    def lost(seed: int) -> list[bool]:
        losses = Losses(seed)
        losses.share = 0.05
        return [losses.takes() for _ in range(2000)]

    assert lost(1) == lost(1) != lost(2)
    assert 60 < sum(lost(1)) < 140
    assert not any(Losses(1).takes() for _ in range(100))


def complaints(scenario: str, **changes: Any) -> list[str]:
    """Of a load in which the last member had trouble."""
    troubled = {"streams": 0, "frames": 5, **changes.pop("troubled", {})}
    found: list[str] = merge([report(troubled=troubled, **changes)], 1, scenario, 3)["complaints"]
    return found


def test_a_lossy_path_may_lose_but_not_stand_still() -> None:
    assert complaints("loss5", lost=9, troubled={"lost": 30, "longest_gap_ms": 400.0}) == []
    assert complaints("loss5", troubled={"longest_gap_ms": 700.0}) == ["A picture stood still for 700 ms."]
    assert complaints("loss5", longest_gap_ms=900.0) == ["A picture stood still for 900 ms."]
    assert "bore no stamp" in complaints("loss5", troubled={"unstamped": 1})[0]
    assert complaints("loss5", troubled={"frames": 0}) == ["The member with trouble got no frame."]


def test_a_move_takes_no_new_handshake_and_no_long_gap() -> None:
    assert complaints("wifi-to-cable", troubled={"lost": 4, "longest_gap_ms": 700.0}) == []
    assert "handshakes" in complaints("wifi-to-cable", handshakes=2)[0]
    assert "2500 ms" in complaints("wifi-to-cable", troubled={"longest_gap_ms": 2500.0})[0]
    assert complaints("wifi-to-cable", lost=1) == ["1 packets were lost."]


SLOW = {"troubled": True, "senders": [0]}
OTHER = {"troubled": False, "senders": [0], "changes": [[-0.5, 0], [0.5, 2]]}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ([[-0.4, 0], [1.0, 2], [5.5, 0], [13.0, 1], [14.0, 2]], ""),
        ([[-0.4, 0], [1.0, 2], [7.5, 0], [14.0, 2]], "not at the lowest layer from 3 s on"),
        ([[-0.4, 0], [1.0, 2], [5.5, 0], [9.0, 1], [9.5, 0], [14.0, 2]], "not at the lowest layer"),
        ([[-0.4, 0], [1.0, 2], [5.5, 0], [17.5, 2]], "after 5.5 s only"),
        ([[-0.4, 0], [1.0, 2], [5.5, 0]], "never"),
        ([[-0.4, 0]], "was not high before"),
        ([], "was not high before"),
    ],
)
def test_a_slow_receiver_gets_low_and_high_again(changes: list[list[float]], words: str) -> None:
    found = complaints("slow-receiver", layers=[SLOW | {"changes": changes}, OTHER])
    if words:
        assert any(words in sentence for sentence in found), found
    else:
        assert found == []


def test_others_may_not_notice_the_slow_receiver() -> None:
    good = SLOW | {"changes": [[-0.4, 2], [5.5, 0], [14.0, 2]]}
    noticed = OTHER | {"changes": [[-0.5, 2], [6.0, 1], [8.0, 2]]}
    found = complaints("slow-receiver", layers=[good, noticed])
    assert found == ["Another receiver's layer changed 2 times."]
    assert "did not get" in complaints("slow-receiver", layers=[OTHER])[0]


def test_delays_add_up_and_come_through_json() -> None:
    delays = Delays()
    for _ in range(99):
        delays.add(0.00105)
    delays.add(0.5)
    both = Delays(delays.to_dict())
    both.add_all(delays)
    assert both.count == 200
    assert both.percentile(0.5) == 1.1
    assert both.percentile(1.0) == 500.1
    both.clear()
    assert both.percentile(0.99) is None


def test_delays_of_any_kind_stay_one_short_line() -> None:
    delays = Delays()
    for number in range(40_000):
        delays.add(number / 1e4)
    assert len(str(delays.to_dict())) < 60_000
