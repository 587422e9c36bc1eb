"""What the server is told of tiles: in steps, once, and only by those who show something."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.call.view import STEPS, View, rounded
from rtc.signalling import MAX_STREAMS, dump_message, media, parse_client_message
from tests.client.session.meetings import producer

BEN, CEM = producer("ben", "camera"), producer("cem", "camera")
SHARE = producer("ben", "screen")
SOUND = producer("ben", "microphone")


@pytest.mark.parametrize(
    ("height", "step"),
    [(-1, 0), (0, 0), (0.5, 180), (180, 180), (181, 360), (719.5, 720), (800, 1080), (9000, 4320)],
)
def test_heights_are_rounded_up(height: float, step: int) -> None:
    assert rounded(height) == step


def test_who_shows_nothing_tells_nothing() -> None:
    """A member without a screen gets everything as large as it is."""
    assert View().news([BEN, SOUND]) is None


def test_pictures_are_told_by_producer_and_only_when_they_change() -> None:
    view = View()
    view.show({"ben": 350.0, "cem": 90.0}, main="ben")
    assert view.news([BEN, SOUND, CEM]) == ({BEN.id: 360, CEM.id: 180}, BEN.id)
    view.show({"ben": 340.0, "cem": 100.0}, main="ben")  # dragged a little
    assert view.news([BEN, SOUND, CEM]) is None
    view.show({"ben": 340.0, "cem": 0.0})
    assert view.news([BEN, SOUND, CEM]) == ({BEN.id: 360, CEM.id: 0}, None)


def test_whoever_comes_gets_no_more_than_the_smallest_tile_at_first() -> None:
    view = View()
    view.show({"ben": 700.0, "gone": 200.0, "hidden": 0.0})
    assert view.news([BEN, CEM]) == ({BEN.id: 720, CEM.id: 360}, None)
    view.show({"hidden": 0.0})
    assert view.news([BEN, CEM]) == ({}, None)  # nothing is known of a size


def test_a_share_is_in_the_tile_of_its_member() -> None:
    view = View()
    view.show({"ben": 1000.0})
    assert view.news([BEN, SHARE]) == ({BEN.id: 1080, SHARE.id: 1080}, None)


def test_a_server_that_does_not_know_the_message_is_left_alone() -> None:
    view = View()
    view.show({"ben": 100.0})
    assert view.news([BEN]) is not None
    view.refused("message-unknown")
    view.show({"ben": 900.0})
    assert view.news([BEN]) is None
    view.forget()  # another connection, perhaps to another server
    assert view.news([BEN]) == ({BEN.id: 1080}, None)


def test_what_was_refused_otherwise_is_told_again() -> None:
    view = View()
    view.show({"ben": 100.0})
    told = view.news([BEN])
    view.refused("too-many-messages")
    assert view.news([BEN]) == told


members = st.text("abc", min_size=1, max_size=2)


@given(
    st.dictionaries(members, st.floats(-10, 1e6), max_size=8),
    st.none() | members,
    st.lists(members, max_size=200),
)
def test_what_is_told_is_a_message_that_the_server_takes(
    heights: dict[str, float], main: str | None, here: list[str]
) -> None:
    view = View()
    view.show(heights, main)
    producers = [producer(member, "camera", str(n)) for n, member in enumerate(here)]
    news = view.news(producers)
    assert view.news(producers) is None
    if news is None:
        return
    sizes, big = news
    assert len(sizes) <= MAX_STREAMS
    assert set(sizes.values()) <= {0, *STEPS}
    message = media.View(id=1, sizes=sizes, main=big)
    assert parse_client_message(dump_message(message)) == message
