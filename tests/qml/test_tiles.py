"""What tiles tell and say: how high they are, and why no picture comes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from client.session.held import WORDS
from client.session.state import Phase
from tests.qml.stage import Stage, accessible, on_stage
from tests.support.screen import drive, until


def views(stage: Stage) -> list[dict[str, float]]:
    return [arguments[0] for verb, arguments in stage.call.asked if verb == "view"]


def pixels(stage: Stage) -> dict[str, float]:
    """Device pixels of the tiles of the others, as they stand."""
    ratio = stage.window.window.devicePixelRatio()
    return {
        str(tile.property("memberId")): round(tile.height() * ratio)
        for tile in stage.tiles()
        if not tile.property("isMe")
    }


def test_the_call_hears_how_high_tiles_are(application: Any) -> None:
    async def test() -> None:
        async with on_stage(others=3) as stage:
            await stage.to_call()
            await until(lambda: views(stage)[-1:] == [pixels(stage)])
            assert set(pixels(stage)) == {"m1", "m2", "m3"}
            assert min(pixels(stage).values()) > 100
            small = stage.call.state.members[:2]
            stage.change(members=small)
            await until(lambda: set(views(stage)[-1]) == {"m1"} and views(stage)[-1] == pixels(stage))
            told = len(views(stage))
            stage.window.window.resize(640, 400)
            await until(lambda: len(views(stage)) > told and views(stage)[-1] == pixels(stage))

    drive(application, test())


def test_a_hidden_grid_shows_nothing(application: Any) -> None:
    async def test() -> None:
        async with on_stage(others=2) as stage:
            await stage.to_call()
            await until(lambda: views(stage)[-1:] == [pixels(stage)])
            stage.item("tileGrid").setVisible(False)
            await until(lambda: views(stage)[-1] == {"m1": 0, "m2": 0})

    drive(application, test())


def test_after_the_end_there_are_no_tiles(application: Any) -> None:
    async def test() -> None:
        async with on_stage(others=2) as stage:
            await stage.to_call()
            await until(lambda: views(stage)[-1:] == [pixels(stage)])
            stage.change(phase=Phase.LEFT, members=(), joined_at=None)
            await until(lambda: views(stage)[-1] == {})

    drive(application, test())


def test_a_tile_says_why_its_picture_is_paused(application: Any) -> None:
    async def test() -> None:
        async with on_stage(others=1, paint=True) as stage:
            await stage.to_call()
            await until(lambda: stage.tiles()[1].property("showsPicture"))
            me, mei = stage.call.state.members
            words = WORDS["bandwidth"]
            stage.change(members=(me, replace(mei, held=words)))
            await until(lambda: not stage.tiles()[1].property("showsPicture"))
            assert stage.tiles()[1].property("held") == words
            names = [name for _, name in accessible(stage.window.window)]
            assert any(words in name for name in names)
            stage.change(members=(me, mei))
            await until(lambda: stage.tiles()[1].property("showsPicture"))

    drive(application, test())
