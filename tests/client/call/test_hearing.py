"""Whose name each voice has in the mixer, with sections of their own and with those for whoever is loud."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.call.hearing import Hearing
from client.call.places import LOUD
from client.media.playback.mixer import Mixer
from rtc.signalling import MAX_STREAMS, media

AMOUNT = 10  # samples of a pull


def receiver(mid: str, member: str, loudness: int) -> Any:
    """A voice that says the same number all the time."""
    producer = next((p for p in LOUD if p.id == member), None) or media.Producer(
        id=f"p-{member}", member=member, kind="audio", source="microphone"
    )
    sound = SimpleNamespace(pull=lambda count: np.full(count, loudness, np.int16))
    return SimpleNamespace(mid=mid, producer=producer, sound=sound)


class Room:
    def __init__(self) -> None:
        self.mixer = Mixer()
        self.hearing = Hearing(self.mixer)

    @property
    def heard(self) -> tuple[set[str], int]:
        """Names of the voices, and the sum of what they say."""
        return set(self.mixer.levels()), int(self.mixer.pull(AMOUNT)[0])


@pytest.fixture
def room() -> Room:
    return Room()


def test_a_loud_voice_has_the_name_that_is_told(room: Room) -> None:
    loud = receiver("r1", "*1", 5)
    room.hearing.receiver(loud, True)
    room.hearing.receiver(receiver("r2", "ben", 7), True)
    assert room.heard == ({"*1", "ben"}, 12)
    room.hearing.told("r1", "cem")
    assert room.heard == ({"cem", "ben"}, 12)
    room.hearing.told("r1", "dan")
    assert room.heard == ({"dan", "ben"}, 12)
    room.hearing.told("r1", None)
    assert room.heard == ({"*1", "ben"}, 12)
    room.hearing.receiver(loud, False)
    assert room.heard == ({"ben"}, 7)


def test_it_may_be_told_before_the_section_is_agreed_on(room: Room) -> None:
    room.hearing.told("r1", "cem")
    room.hearing.receiver(receiver("r1", "*1", 5), True)
    assert room.heard == ({"cem"}, 5)
    room.hearing.forget()
    room.hearing.receiver(receiver("r1", "*1", 5), False)
    room.hearing.receiver(receiver("r1", "*1", 5), True)
    assert room.heard == ({"*1"}, 5), "on a new path it is another section"


def test_nobody_is_cut_off_by_a_name_that_is_taken(room: Room) -> None:
    ben = receiver("r3", "ben", 7)
    for n in (1, 2):
        room.hearing.receiver(receiver(f"r{n}", f"*{n}", n), True)
    room.hearing.told("r1", "ben")
    assert room.heard == ({"ben", "*2"}, 3)
    room.hearing.told("r2", "ben")
    assert room.heard == ({"*1", "ben"}, 3)
    room.hearing.receiver(ben, True)
    assert room.heard == ({"*1", "*2", "ben"}, 10)
    room.hearing.receiver(ben, False)
    assert room.heard == ({"*1", "ben"}, 3)


def test_what_is_told_of_sections_that_are_no_more_is_forgotten(room: Room) -> None:
    for n in range(MAX_STREAMS + 1):
        room.hearing.told(f"r{n}", f"member {n}")
    for n in (0, 1):
        room.hearing.receiver(receiver(f"r{n}", f"*{n + 1}", 1), True)
    assert room.heard == ({"*1", "member 1"}, 2)


MIDS = {"r1": "*1", "r2": "*2", "r3": "*3"}
STEPS = st.one_of(
    st.tuples(st.sampled_from(sorted(MIDS)), st.sampled_from(["ann", "ben", "cem", None])),
    st.tuples(st.sampled_from(["own", "loud"]), st.sampled_from(["ann", "ben", "cem", "r1", "r2", "r3"])),
)


@given(st.lists(STEPS, max_size=30))
def test_every_voice_is_heard_once_whatever_happens(steps: list[tuple[str, str | None]]) -> None:
    room = Room()
    there: dict[str, Any] = {}
    for what, name in steps:
        if what in MIDS:
            room.hearing.told(what, name)
            continue
        assert name is not None
        if name in there:
            room.hearing.receiver(there.pop(name), False)
        else:
            mid, member = (name, MIDS[name]) if name in MIDS else (f"own-{name}", name)
            there[name] = receiver(mid, member, 1)
            room.hearing.receiver(there[name], True)
        names, loudness = room.heard
        assert len(names) == loudness == len(there)
        assert {name for name in there if name not in MIDS} <= names
