"""The loudest three in rooms over ten: at once when there is a place, without flutter when there is none."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from server_lite.loudest import LARGE_ROOM, VOICES, LoudestVoices
from tests.server_lite.call_of_packets import Call, SoundSource, continuous

PACKET_S = 0.02
LARGE = LARGE_ROOM + 2


class Talk:
    """Members who speak, each with a loudness in -dBov; how many packets of each were forwarded."""

    def __init__(self, room: int = LARGE) -> None:
        self.voices, self.now, self.room = LoudestVoices(), 100.0, room

    def goes_on(self, seconds: float, **levels: int) -> Counter[str]:
        passed: Counter[str] = Counter()
        for _ in range(round(seconds / PACKET_S)):
            self.now += PACKET_S
            for member, level in levels.items():
                passed[member] += self.voices.passes(member, level, self.room, self.now)
        return passed


def test_in_a_small_room_everybody_is_heard() -> None:
    passed = Talk(LARGE_ROOM).goes_on(1.0, **{f"m{n}": 40 for n in range(LARGE_ROOM)})
    assert set(passed.values()) == {50}


def test_with_free_places_not_a_syllable_is_lost() -> None:
    assert Talk().goes_on(1.0, ann=30, ben=50, cat=45) == {"ann": 50, "ben": 50, "cat": 50}


def test_background_takes_no_place() -> None:
    talk = Talk()
    assert not talk.goes_on(1.0, fan=60, street=70)["fan"]
    assert talk.voices.chosen == set()


def test_a_fourth_voice_waits_for_a_place() -> None:
    talk = Talk()
    talk.goes_on(1.0, ann=30, ben=30, cat=30)
    assert not talk.goes_on(2.0, ann=30, ben=30, cat=30, dan=28)["dan"]  # hardly louder: no flutter
    assert talk.goes_on(3.0, ann=30, ben=30, dan=30)["dan"] > 50  # cat fell silent
    assert talk.voices.chosen == {"ann", "ben", "dan"}


def test_who_is_clearly_louder_cuts_in() -> None:
    talk = Talk()
    talk.goes_on(1.0, ann=30, ben=40, cat=50)
    passed = talk.goes_on(0.1, ann=30, ben=40, cat=50, dan=25)
    assert passed["dan"] == 5
    assert "cat" not in talk.voices.chosen


def test_a_new_voice_has_its_turn_before_it_is_cut_off() -> None:
    talk = Talk()
    talk.goes_on(1.0, ann=20, ben=20)
    talk.goes_on(0.1, ann=20, ben=20, cat=40)
    assert not talk.goes_on(0.2, ann=20, ben=20, cat=40, dan=20)["dan"]
    assert talk.goes_on(0.5, ann=20, ben=20, cat=40, dan=20)["dan"]


def test_who_leaves_gives_the_place_away() -> None:
    talk = Talk()
    talk.goes_on(1.0, ann=20, ben=20, cat=20)
    talk.voices.forget("ann")
    assert talk.goes_on(0.02, ben=20, cat=20, dan=50) == {"ben": 1, "cat": 1, "dan": 1}


@given(
    st.lists(st.tuples(st.integers(0, 14), st.integers(0, 127), st.floats(0, 2), st.booleans()), max_size=200)
)
def test_never_more_than_three_whatever_comes(steps: list[tuple[int, int, float, bool]]) -> None:
    voices, now = LoudestVoices(), 0.0
    for number, level, pause, leaves in steps:
        now += pause
        member = f"m{number}"
        passed = voices.passes(member, level, LARGE, now)
        assert passed == (member in voices.chosen)
        assert len(voices.chosen) <= VOICES
        if leaves:
            voices.forget(member)
            assert member not in voices.chosen


def test_the_router_leaves_no_gap_for_what_was_not_loud_enough() -> None:
    call = Call()
    talkers = [SoundSource(call, f"m{n}", f"p{n}", 100 + n) for n in range(LARGE)]
    (ssrc,) = call.receive("ear", ("r0", "audio"))
    call.show("ear", "r0", "p5")
    quiet, loud = talkers[5], talkers[:3]

    def all_speak(seconds: float) -> None:
        for _ in range(round(seconds / PACKET_S)):
            quiet.say(45)
            for source in loud:
                source.say(20)
            call.pass_time(PACKET_S)

    quiet.say(45)
    assert len(call.got("ear", ssrc)) == 1
    all_speak(1.0)
    before = len(call.got("ear", ssrc))
    all_speak(1.0)
    assert len(call.got("ear", ssrc)) == before  # three others were louder
    assert call.router.counters.not_loudest >= 50
    call.router.remove_member("m0")
    loud = talkers[1:3]
    all_speak(1.0)
    heard = call.got("ear", ssrc)
    assert len(heard) == before + 50
    assert continuous(heard)
    assert heard[-1].timestamp - heard[before - 1].timestamp > 48000  # the time that passed is told
