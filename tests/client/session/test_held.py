"""Pictures that the server holds back: the tile says why, until they come again."""

from __future__ import annotations

from typing import Literal

import pytest

from client.session import inputs as i
from client.session.held import PAUSED, WORDS
from rtc.signalling import media, session
from tests.client.session.meetings import Person, member, producer, welcome

BEN = member("Ben", "microphone", "camera")
CAMERA = producer("m-Ben", "camera").id


def forwarded(
    state: Literal["full", "lower", "paused"], reason: str, producer_id: str = CAMERA
) -> media.Forwarded:
    return media.Forwarded(producer=producer_id, state=state, reason=reason)


@pytest.fixture
def ann() -> Person:
    person = Person()
    person.enters(BEN)
    return person


def held(person: Person) -> str:
    return next(m.held for m in person.state.members if m.name == "Ben")


@pytest.mark.parametrize("reason", sorted(WORDS))
def test_a_tile_says_why_its_picture_is_paused_until_it_comes_again(ann: Person, reason: str) -> None:
    assert held(ann) == ""
    ann.hears(forwarded("paused", reason))
    assert held(ann) == WORDS[reason]
    ann.hears(forwarded("lower", "bandwidth"))
    assert held(ann) == ""


def test_a_reason_of_a_newer_server_is_a_pause(ann: Person) -> None:
    ann.hears(forwarded("paused", "moon-phase"))
    assert held(ann) == PAUSED


def test_what_we_do_not_show_is_no_news(ann: Person) -> None:
    ann.hears(forwarded("paused", "hidden"))
    assert held(ann) == ""


def test_a_producer_of_nobody_is_ignored(ann: Person) -> None:
    before = ann.state
    for n in range(1000):
        ann.hears(forwarded("paused", "bandwidth", f"p{n}"))
    assert ann.state == before
    ann.hears(session.Joined(member=member("Cem", "camera").model_copy(update={"producers": []})))
    ann.hears(media.Produced(producer=media.Producer(id="p7", member="m-Cem", kind="video", source="camera")))
    assert all(m.held == "" for m in ann.state.members)


def test_a_new_path_begins_with_all_pictures(ann: Person) -> None:
    ann.hears(forwarded("paused", "bandwidth"))
    ann.does(i.MediaDown())
    assert held(ann) == ""


def test_a_path_that_outlives_the_connection_keeps_what_was_told(ann: Person) -> None:
    ann.hears(forwarded("paused", "last-n"))
    ann.does(i.Closed())
    ann.waits(1.0)
    ann.does(i.Opened())
    ann.hears(welcome(member("Ann"), BEN))
    assert held(ann) == WORDS["last-n"]
