"""Heights of tiles on their way to the call: the largest of each member, when they have come to rest."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from PySide6.QtCore import QEventLoop

from client.app.fake_call import FakeBoard, FakeCall
from client.bridge.meeting import VIEW_MS, Meeting
from client.bridge.pictures import ME, PictureFeed, TileSource


class Tiles:
    """A feed and tiles on it; counts how often heights changed."""

    def __init__(self) -> None:
        self.feed = PictureFeed(FakeBoard())
        self.changes = 0
        self.feed.heightsChanged.connect(self._count)

    def _count(self) -> None:
        self.changes += 1

    def tile(self, member: str, height: float) -> TileSource:
        tile = TileSource()
        tile._set_feed(self.feed)
        tile._set_member_id(member)
        tile._set_shown_height(height)
        return tile


@pytest.fixture
def tiles(application: Any) -> Tiles:
    return Tiles()


def test_the_largest_tile_of_a_member_counts(tiles: Tiles) -> None:
    tiles.tile("ben", 180.0)
    large = tiles.tile("ben", 720.0)
    tiles.tile("cem", 0.0)
    assert tiles.feed.heights() == {"ben": 720.0, "cem": 0.0}
    large._set_shown_height(90.0)
    assert tiles.feed.heights() == {"ben": 180.0, "cem": 0.0}


def test_our_own_picture_comes_from_nowhere(tiles: Tiles) -> None:
    tiles.tile(ME, 360.0)
    assert tiles.feed.heights() == {}
    assert tiles.changes == 0


def test_a_tile_that_is_off_keeps_its_height(tiles: Tiles) -> None:
    """Else the server would send its first picture in another size when the camera comes back."""
    tile = tiles.tile("ben", 360.0)
    tile._set_active(False)
    assert tiles.feed.heights() == {"ben": 360.0}


def test_tiles_that_go_or_change_hands_take_their_heights_along(tiles: Tiles) -> None:
    tile, other = tiles.tile("ben", 360.0), tiles.tile("cem", 180.0)
    tile._set_member_id("dan")
    assert tiles.feed.heights() == {"dan": 360.0, "cem": 180.0}
    other.release()
    assert tiles.feed.heights() == {"dan": 360.0}
    other._set_shown_height(720.0)
    tile.release()
    tile.release()
    assert tiles.feed.heights() == {}


def test_the_same_height_again_says_nothing(tiles: Tiles) -> None:
    tile = tiles.tile("ben", 360.0)
    before = tiles.changes
    tile._set_shown_height(360.0)
    tile._set_member_id("ben")
    assert tiles.changes == before


@pytest.fixture
def meeting(application: Any) -> Iterator[tuple[Meeting, FakeCall]]:
    calls: list[FakeCall] = []

    def make(*listeners: Any) -> FakeCall:
        calls.append(FakeCall(*listeners))
        return calls[-1]

    made = Meeting(make)
    yield made, calls[0]
    made.stop()


def wait_for_rest(meeting: Meeting) -> None:
    assert meeting._still.isActive()
    loop = QEventLoop()
    meeting._still.timeout.connect(loop.quit)
    loop.exec()


def test_the_call_hears_of_heights_once_they_rest(meeting: tuple[Meeting, FakeCall]) -> None:
    shown, call = meeting
    tile = TileSource()
    tile._set_feed(shown._get_feed())
    tile._set_member_id("ben")
    for height in range(100, 400, 10):  # a tile that glides
        tile._set_shown_height(float(height))
    assert call.asked == []
    assert shown._still.interval() == VIEW_MS
    wait_for_rest(shown)
    assert call.asked == [("view", ({"ben": 390.0}, None))]
    tile._set_shown_height(0.0)
    wait_for_rest(shown)
    assert call.asked[1] == ("view", ({"ben": 0.0}, None))
    tile.release()


def test_a_meeting_that_stopped_tells_nothing_more(meeting: tuple[Meeting, FakeCall]) -> None:
    shown, call = meeting
    tile = TileSource()
    tile._set_feed(shown._get_feed())
    tile._set_member_id("ben")
    tile._set_shown_height(180.0)
    shown.stop()
    tile._set_shown_height(360.0)
    tile.release()
    assert not shown._still.isActive()
    assert call.asked == []
