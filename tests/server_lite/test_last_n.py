"""Whose camera is sent: the last N who spoke, without flutter."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from server_lite.ladder import Priority
from server_lite.last_n import LastN, importance, lowest_of


def room(members: str = "abcdef") -> LastN:
    last = LastN()
    for member in members:
        last.came(member)
    return last


def test_before_anybody_spoke_the_first_who_came_are_seen() -> None:
    assert room().chosen(3) == set("abc")
    assert room().chosen(None) == set("abcdef")
    assert room().chosen(0) == room().chosen(-1) == frozenset()


def test_who_speaks_takes_the_place_of_the_one_silent_for_longest() -> None:
    last = room()
    for speaker in "fed":
        last.spoke(speaker)
    assert last.chosen(3) == set("fed")
    last.spoke("a")
    assert last.chosen(3) == set("aed")
    assert last.order == ("a", "d", "e", "f", "b", "c")
    assert last.places() == {"a": 0, "d": 1, "e": 2, "f": 3}


def test_people_who_take_turns_change_nothing() -> None:
    last = room()
    last.spoke("f")
    last.spoke("a")
    before = last.chosen(3)
    for _ in range(20):
        last.spoke("f")
        last.spoke("a")
        assert last.chosen(3) == before


def test_cameras_that_are_off_take_no_place() -> None:
    assert room().chosen(2, without={"a", "c"}) == set("bd")


def test_who_leaves_frees_a_place_and_comes_back_behind() -> None:
    last = room()
    last.went("a")
    last.spoke("a")
    assert last.chosen(2) == set("bc")
    last.came("a")
    last.came("b")
    assert last.dump() == list("bcdefa")


def test_who_spoke_comes_before_who_never_did() -> None:
    assert importance(None) == (Priority.REST, 0)
    assert importance(0) == (Priority.SPEAKER, 0)
    assert importance(3) == (Priority.RECENT, 3)
    assert importance(3, main=True) == (Priority.STAGE, 0)
    assert importance(None, screen=True) == importance(0, screen=True, main=True) == (Priority.SHARE, 0)
    last = room("ab")
    last.spoke("b")
    last.went("b")
    last.came("b")
    assert last.places() == {}


def test_the_strictest_limit_counts() -> None:
    assert lowest_of(None, 25, 9) == 9
    assert lowest_of(None, None) is None


@given(
    st.lists(st.tuples(st.sampled_from(["came", "went", "spoke"]), st.sampled_from("abcdefgh")), max_size=60),
    st.integers(0, 5),
)
def test_whatever_happens_the_speaker_is_seen_and_places_are_filled(
    events: list[tuple[str, str]], n: int
) -> None:
    last, here = LastN(), set()
    for event, member in events:
        before = last.chosen(n)
        getattr(last, event)(member)
        if event == "came":
            here.add(member)
        elif event == "went":
            here.discard(member)
        chosen = last.chosen(n)
        assert len(chosen) == min(n, len(here))
        assert chosen <= here
        assert chosen <= last.chosen(n + 1)
        assert len(chosen - before) <= 1
        if event == "spoke" and member in here and n:
            assert member in chosen
