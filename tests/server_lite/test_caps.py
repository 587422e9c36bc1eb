"""Who sends too much is paused, pictures before sound, and nobody else is."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from server_lite.caps import BURST_S, DEBT_S, ROOM_CALM, Came, MemberCap, Rate, RateCap, RoomCap

SOUND, PICTURES = Rate(320_000, 200), Rate(8_000_000, 2000)
STEP = 0.1


class Sender:
    """Sends at a rate and is measured every 100 ms; how long what was paused."""

    def __init__(self) -> None:
        self.cap, self.now = MemberCap(SOUND, PICTURES), 50.0
        self.forwarded_bits = 0.0

    def sends(self, seconds: float, bits: float, sound_bits: float = 40_000, size: int = 1100) -> list[bool]:
        """For each step whether pictures and whether sound (as 1 and 2 of a set) pass."""
        passing = []
        self.pictures_paused = self.sound_paused = 0
        for _ in range(round(seconds / STEP)):
            self.now += STEP
            octets, sound = int(bits * STEP / 8), int(sound_bits * STEP / 8)
            until = self.cap.measure(Came(sound // 100, sound, octets // size, octets), self.now)
            self.pictures_paused += until.pictures > self.now
            self.sound_paused += until.sound > self.now
            passing.append(until.pictures <= self.now)
            self.forwarded_bits += bits * STEP if passing[-1] else 0.0
        return passing


def test_an_honest_sender_is_never_paused() -> None:
    ann = Sender()
    for _ in range(20):
        ann.sends(0.2, 15_000_000)  # key frames of three layers
        ann.sends(2.0, 4_000_000)
        assert (ann.pictures_paused, ann.sound_paused, ann.cap.pauses) == (0, 0, 0)


def test_a_flood_is_cut_off_and_stays_so_while_it_lasts() -> None:
    ann = Sender()
    passing = ann.sends(60, 50_000_000)
    assert sum(passing) <= 2
    assert not any(passing[3:])
    assert ann.sound_paused == 0
    assert ann.cap.pauses == 1


def test_many_small_packets_are_a_flood_too() -> None:
    ann = Sender()
    assert not any(ann.sends(10, 4_000_000, size=100)[10:])


def test_who_stops_flooding_is_seen_again_soon() -> None:
    ann = Sender()
    ann.sends(60, 50_000_000)
    passing = ann.sends(10, 1_000_000)
    assert passing.index(True) * STEP <= DEBT_S * 8 / 7 + STEP
    assert all(passing[passing.index(True) :])


def test_sound_goes_last_and_only_for_its_own_flood() -> None:
    ann = Sender()
    ann.sends(10, 1_000_000, sound_bits=5_000_000)
    assert ann.pictures_paused == 0
    assert ann.sound_paused > 90
    ann.sends(10, 1_000_000)
    assert ann.sound_paused < 30


@given(st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 2_000_000), st.floats(0, 3)), max_size=60))
def test_what_passes_is_within_the_rate_and_a_pause_is_bounded(steps: list[tuple[int, int, float]]) -> None:
    cap, now, pause = RateCap(PICTURES), 0.0, 0.0
    passed_bits = passed_packets = 0
    for packets, octets, elapsed in steps:
        now += elapsed
        pause = cap.measure(packets, octets, now)
        assert 0 <= pause <= DEBT_S
        if not pause:
            passed_bits += octets * 8
            passed_packets += packets
        assert passed_bits <= PICTURES.bits * (now + BURST_S) + 1
        assert passed_packets <= PICTURES.packets * (now + BURST_S) + 1


def test_a_clock_that_stands_still_gives_nothing() -> None:
    cap = RateCap(Rate(1000, 10))
    assert cap.measure(10, 100, 5.0) == 0
    assert cap.measure(1, 10, 4.0) > 0


def test_a_room_over_its_limit_loses_the_pictures_of_the_largest() -> None:
    room = RoomCap(10_000_000)
    assert room.measure({"a": 2e6, "b": 2e6, "c": 6e6}) == frozenset()
    assert room.measure({"a": 2e6, "b": 3e6, "c": 9e6}) == {"c"}
    assert room.measure({"a": 2e6, "b": 2e6, "c": 5.9e6}) == {"c"}  # hardly less: not yet
    assert room.measure({"a": 2e6, "b": 2e6, "c": 4e6}) == frozenset()


@given(st.dictionaries(st.sampled_from("abcdef"), st.floats(0, 1e7), max_size=6), st.integers(0, 3))
def test_what_a_room_forwards_is_within_its_limit(rates: dict[str, float], again: int) -> None:
    room = RoomCap(8_000_000)
    for _ in range(again + 1):
        waiting = room.measure(rates)
        left = {m: r for m, r in rates.items() if m not in waiting}
        assert sum(left.values()) <= 8_000_000 + 1
        assert not waiting or min(rates[m] for m in waiting) >= max(left.values(), default=0.0)
        assert not waiting or sum(rates.values()) > 8_000_000 * ROOM_CALM
