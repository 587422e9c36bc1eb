from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rtc.audio_jitter_buffer import MAX_CONCEALED, MAX_PACKETS, MAX_TARGET, MIN_TARGET, SURPLUS_TURNS
from rtc.jitter_buffer import LOST, AudioJitterBuffer
from rtc.rtp import RtpPacket
from tests.rtc.strategies import rtp_packets, u16, u32

SOUND = b"\xf8sound"  # 20 ms
SILENCE = b"\xf8"


def packet(index: int, *, start: int = 0, first_time: int = 0, payload: bytes = SOUND) -> RtpPacket:
    number, timestamp = (start + index) & 0xFFFF, (first_time + 960 * index) & 0xFFFFFFFF
    return RtpPacket(111, number, timestamp, 1, False, payload)


def play(
    buffer: AudioJitterBuffer, arrivals: list[tuple[float, RtpPacket]], seconds: float
) -> list[tuple[float, object]]:
    """Pops every 20 ms; what came out and when: a sequence number, LOST or None."""
    waiting = sorted(arrivals, key=lambda arrival: arrival[0])
    heard: list[tuple[float, object]] = []
    for turn in range(round(seconds / 0.02)):
        now = turn * 0.02 + 0.001
        while waiting and waiting[0][0] <= now:
            buffer.add(waiting[0][1], waiting.pop(0)[0])
        out = buffer.pop(now)
        heard.append((now, out.sequence_number if isinstance(out, RtpPacket) else out))
    return heard


def losses(heard: list[tuple[float, object]]) -> int:
    """Concealed turns before the last packet: what follows the end of the arrivals does not count."""
    last = max(index for index, (_, what) in enumerate(heard) if isinstance(what, int))
    return [what for _, what in heard[:last]].count(LOST)


def numbers(heard: list[tuple[float, object]]) -> list[object]:
    return [what for _, what in heard if isinstance(what, int)]


@given(u16, u32)
def test_steady_sound_comes_out_whole_after_the_target(start: int, first_time: int) -> None:
    buffer = AudioJitterBuffer(target=0.06)
    arrivals = [(i * 0.02, packet(i, start=start, first_time=first_time)) for i in range(50)]
    heard = play(buffer, arrivals, 1.0)
    first = next(now for now, what in heard if what is not None)
    assert 0.03 <= first <= 0.07
    assert numbers(heard) == [(start + i) & 0xFFFF for i in range(len(numbers(heard)))]
    assert len(numbers(heard)) >= 46
    assert losses(heard) == 0


def test_packets_that_changed_places_come_out_in_order() -> None:
    buffer = AudioJitterBuffer(target=0.06)
    arrivals = [(i * 0.02 + (0.03 if i % 5 == 0 else 0.0), packet(i)) for i in range(1, 50)]
    heard = play(buffer, arrivals, 0.9)
    assert numbers(heard) == list(range(1, len(numbers(heard)) + 1))
    assert buffer.lost == 0


def test_a_lost_packet_is_concealed_in_its_place() -> None:
    buffer = AudioJitterBuffer()
    heard = play(buffer, [(i * 0.02, packet(i)) for i in range(40) if i not in (10, 20, 21)], 0.7)
    begun = [what for _, what in heard if what is not None]
    assert begun[9:12] == [9, LOST, 11]
    assert begun[19:23] == [19, LOST, LOST, 22]
    assert buffer.lost == 3


def test_a_duplicate_and_a_late_packet_are_counted() -> None:
    buffer = AudioJitterBuffer()
    play(buffer, [(0.0, packet(0)), (0.0, packet(0)), (0.02, packet(1)), (0.04, packet(2))], 0.2)
    buffer.add(packet(1), 0.2)
    assert (buffer.duplicates, buffer.late) == (1, 1)


def test_silence_of_the_sender_is_not_loss() -> None:
    buffer = AudioJitterBuffer()
    talk = [(i * 0.02, packet(i)) for i in range(10)]
    talk.append((0.2, packet(10, payload=SILENCE)))
    later = RtpPacket(111, 11, 960 * 40, 1, True, SOUND)
    rest = [(0.8 + i * 0.02, RtpPacket(111, 11 + i, 960 * (40 + i), 1, False, SOUND)) for i in range(1, 10)]
    heard = play(buffer, [*talk, (0.8, later), *rest], 1.1)
    assert numbers(heard) == list(range(21))
    assert losses(heard) == buffer.lost == 0
    gap = next(now for now, what in heard if what == 11) - next(now for now, what in heard if what == 10)
    assert 0.5 < gap < 0.62


def test_a_loss_right_before_speech_is_concealed_after_the_silence() -> None:
    buffer = AudioJitterBuffer()
    talk = [(i * 0.02, packet(i)) for i in range(5)]
    talk.append((0.1, packet(5, payload=SILENCE)))
    speech = [(0.42 + i * 0.02, RtpPacket(111, 7 + i, 960 * (21 + i), 1, False, SOUND)) for i in range(5)]
    heard = play(buffer, [*talk, *speech], 0.7)
    begun = [what for _, what in heard]
    assert begun[begun.index(7) - 1] == LOST
    assert losses(heard) == 1


def test_when_nothing_comes_it_conceals_briefly_and_begins_anew() -> None:
    buffer = AudioJitterBuffer()
    early = [(i * 0.02, packet(i)) for i in range(10)]
    late = [(0.8 + i * 0.02, packet(40 + i)) for i in range(10)]
    heard = play(buffer, [*early, *late], 1.1)
    assert losses(heard) == MAX_CONCEALED
    assert numbers(heard) == [*range(10), *range(40, 50)]


def test_a_burst_after_a_pause_is_played_and_the_delay_comes_down_again() -> None:
    buffer = AudioJitterBuffer(target=0.04)
    arrivals = [(i * 0.02 if i < 20 or i > 32 else 0.66, packet(i)) for i in range(400)]
    heard = play(buffer, arrivals, 8.2)
    assert buffer.skipped > 0
    when = {what: now for now, what in heard if isinstance(what, int)}
    assert when[399] - 399 * 0.02 < when[40] - 40 * 0.02 + 0.001
    assert buffer.lost == 0


def test_jitter_raises_the_target_and_calm_lowers_it() -> None:
    buffer = AudioJitterBuffer(target=0.04)
    play(buffer, [(i * 0.02 + (0.07 if i % 7 == 3 else 0), packet(i)) for i in range(60)], 1.3)
    raised = buffer.target
    assert 0.08 <= raised <= MAX_TARGET
    for i in range(60, 1500):
        buffer.add(packet(i), i * 0.02)
        buffer.pop(i * 0.02)
    assert MIN_TARGET <= buffer.target < raised


def test_the_target_has_a_ceiling() -> None:
    buffer = AudioJitterBuffer()
    buffer.add(packet(0), 0.0)
    buffer.add(packet(1), 1.5)
    assert buffer.target == MAX_TARGET


def test_clocks_that_drift_apart_never_fill_the_buffer() -> None:
    for drift in (0.999, 1.001):
        buffer = AudioJitterBuffer()
        heard = play(buffer, [(i * 0.02 * drift, packet(i)) for i in range(6000)], 119)
        assert buffer.delay < 0.2
        assert losses(heard) < 30


def test_nobody_plays_and_memory_is_bounded() -> None:
    buffer = AudioJitterBuffer()
    for i in range(1000):
        buffer.add(packet(i), i * 0.02)
    assert buffer.packets == MAX_PACKETS
    out = buffer.pop(20.0)
    assert isinstance(out, RtpPacket)
    assert out.sequence_number == 1000 - MAX_PACKETS


def test_after_standing_still_it_catches_up() -> None:
    buffer = AudioJitterBuffer()
    for i in range(200):
        buffer.add(packet(i), i * 0.02)
    before = buffer.delay
    for i in range(200, 200 + 10 * SURPLUS_TURNS):
        buffer.add(packet(i), i * 0.02)
        buffer.pop(i * 0.02)
    assert buffer.delay < before - 0.1


def test_a_new_stream_of_numbers_is_followed() -> None:
    buffer = AudioJitterBuffer()
    first = [(i * 0.02, packet(i)) for i in range(20)]
    second = [(0.4 + i * 0.02, packet(i, start=30000, first_time=123456789)) for i in range(20)]
    heard = play(buffer, [*first, *second], 1.0)
    assert numbers(heard)[-18:] == list(range(30002, 30020))


def test_a_leap_of_the_senders_clock_is_a_short_silence() -> None:
    buffer = AudioJitterBuffer()
    arrivals = [(i * 0.02, packet(i, first_time=0 if i < 20 else 2**30)) for i in range(60)]
    heard = play(buffer, arrivals, 1.6)
    when = {what: now for now, what in heard if isinstance(what, int)}
    assert when[20] - when[19] < 0.5
    assert when[59] - when[20] < 0.85


def test_longer_packets_cover_several_turns() -> None:
    buffer = AudioJitterBuffer(target=0.06)
    for i in range(4):
        buffer.add(RtpPacket(111, i, i * 2880, 1, False, b"\x18sixty"), i * 0.06)
    out = [buffer.pop(0.2 + i * 0.06) for i in range(4)]
    assert [p.sequence_number for p in out if isinstance(p, RtpPacket)] == [0, 1, 2, 3]


@given(st.lists(st.tuples(rtp_packets(), st.floats(0, 0.1), st.integers(0, 4)), max_size=60))
def test_any_packets_leave_it_sound(steps: list[tuple[RtpPacket, float, int]]) -> None:
    buffer = AudioJitterBuffer()
    now = 0.0
    for one, pause, pops in steps:
        now += pause
        buffer.add(one, now)
        for _ in range(pops):
            buffer.pop(now)
        assert buffer.packets <= MAX_PACKETS
        assert MIN_TARGET <= buffer.target <= MAX_TARGET
        assert buffer.delay >= 0


@given(st.lists(st.tuples(st.integers(0, 9), st.floats(0, 0.08), st.booleans()), min_size=1, max_size=120))
def test_what_is_heard_is_in_order_and_each_packet_once(fates: list[tuple[int, float, bool]]) -> None:
    buffer = AudioJitterBuffer()
    arrivals = []
    for index, (fate, delay, twice) in enumerate(fates):
        if fate:
            arrivals.append((index * 0.02 + delay, packet(index)))
            if twice:
                arrivals.append((index * 0.02 + delay + 0.005, packet(index)))
    heard = numbers(play(buffer, arrivals, len(fates) * 0.02 + 0.6))
    assert heard == sorted(set(heard))  # type: ignore[type-var]
    assert len(heard) + buffer.late + buffer.duplicates + buffer.skipped == len(arrivals)
