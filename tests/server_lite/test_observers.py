"""Who speaks: quick to see a voice, slow to take the floor away. Virtual time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from server_lite.observers import ActiveSpeaker, Counters

PACKET_S = 0.02


class Talk:
    """Members with a loudness each, in -dBov; 127 or absent is silence."""

    def __init__(self) -> None:
        self.speaker, self.now = ActiveSpeaker(), 50.0
        self.changes: list[str | None] = []

    def goes_on(self, seconds: float, **levels: int) -> str | None:
        for _ in range(round(seconds / PACKET_S)):
            self.now += PACKET_S
            for member, level in levels.items():
                self.speaker.heard(member, level, self.now)
            if self.speaker.tick(self.now):
                self.changes.append(self.speaker.current)
        return self.speaker.current


def test_a_voice_is_noticed_at_once() -> None:
    assert Talk().goes_on(0.1, ann=30, ben=90) == "ann"


def test_noise_is_nobody() -> None:
    assert Talk().goes_on(5.0, ann=60, ben=75) is None


def test_a_pause_between_words_keeps_the_floor() -> None:
    talk = Talk()
    talk.goes_on(1.0, ann=30)
    assert talk.goes_on(1.5, ann=100) == "ann"
    assert talk.goes_on(1.0, ann=30) == "ann"
    assert talk.changes == ["ann"]


def test_silence_ends_it() -> None:
    talk = Talk()
    talk.goes_on(1.0, ann=30)
    assert talk.goes_on(4.0, ann=110) is None


def test_one_whose_packets_stop_is_silent() -> None:
    """Discontinuous transmission sends nothing in silence."""
    talk = Talk()
    talk.goes_on(1.0, ann=30)
    assert talk.goes_on(2.5) is None


def test_a_cough_does_not_take_the_floor() -> None:
    talk = Talk()
    talk.goes_on(1.0, ann=30)
    talk.goes_on(0.2, ann=30, ben=15)
    talk.goes_on(1.0, ann=30, ben=100)
    assert talk.changes == ["ann"]


def test_coughs_do_not_add_up() -> None:
    talk = Talk()
    talk.goes_on(1.0, ann=30)
    for _ in range(10):
        talk.goes_on(0.3, ann=30, ben=15)
        talk.goes_on(1.0, ann=30, ben=100)
    assert talk.changes == ["ann"]


def test_who_is_louder_for_long_enough_takes_over() -> None:
    talk = Talk()
    talk.goes_on(1.0, ann=40)
    assert talk.goes_on(0.4, ann=40, ben=20) == "ann"
    assert talk.goes_on(1.0, ann=40, ben=20) == "ben"


def test_a_little_louder_is_not_enough() -> None:
    talk = Talk()
    talk.goes_on(1.0, ann=30)
    talk.goes_on(5.0, ann=30, ben=29)
    assert talk.changes == ["ann"]


def test_winning_once_is_no_right_to_interrupt() -> None:
    """Ann took the floor from Ben before; that must not let her next cough do it again."""
    talk = Talk()
    talk.goes_on(1.0, ben=40)
    talk.goes_on(2.0, ann=20, ben=40)
    talk.goes_on(2.0, ann=100, ben=40)
    assert talk.changes == ["ben", "ann", "ben"]
    talk.goes_on(0.3, ann=15, ben=40)
    talk.goes_on(1.0, ann=100, ben=40)
    assert talk.changes == ["ben", "ann", "ben"]


def test_the_next_one_follows_a_speaker_who_goes() -> None:
    talk = Talk()
    talk.goes_on(1.0, ann=30, ben=40)
    talk.speaker.forget("ann")
    assert talk.speaker.current is None
    assert talk.goes_on(0.1, ben=40) == "ben"


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 127), st.floats(0, 3)), max_size=80))
def test_whoever_speaks_was_heard_and_changes_are_told(heard: list[tuple[str, int, float]]) -> None:
    speaker, now, known = ActiveSpeaker(), 10.0, None
    for member, level, pause in heard:
        now += pause
        speaker.heard(member, level, now)
        if speaker.tick(now):
            assert speaker.current != known
            known = speaker.current
        assert speaker.current == known
        assert known is None or known in {m for m, _, _ in heard}


def test_counters_add_up() -> None:
    total = Counters(packets_in=2)
    total.add(Counters(packets_in=3, muted=1))
    assert total == Counters(packets_in=5, muted=1)
