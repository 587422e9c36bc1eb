"""The call page: tiles, keys, controls that hide, the panel, the end."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QAccessible

from client.bridge.grid import fit
from client.session.state import MemberView, Phase
from tests.qml.stage import accessible, on_stage
from tests.support.screen import drive, until


def test_every_tile_shows_its_own_member(application: Any) -> None:
    async def test() -> None:
        shown: dict[str, set[int]] = {}

        def note(member_id: str, picture: Any) -> None:
            from client.media import mark

            seen = mark.read(picture)
            assert seen is not None
            shown.setdefault(member_id, set()).add(seen.identity)

        async with on_stage(others=4, paint=True) as stage:
            stage.meeting._get_feed().on_shown = note
            await stage.to_call()
            await until(lambda: {"me", "m1", "m2", "m4"} <= shown.keys())
            assert shown == {"me": {0}, "m1": {1}, "m2": {2}, "m4": {4}}  # m3's camera is off
            expected = [True, True, True, False, True]
            await until(lambda: [tile.property("showsPicture") for tile in stage.tiles()] == expected)

    drive(application, test())


@pytest.mark.parametrize("count", [1, 2, 9, 25])
def test_tiles_stand_where_the_grid_says(application: Any, count: int) -> None:
    async def test() -> None:
        async with on_stage(others=count - 1, size=(800, 600)) as stage:
            await stage.to_call()
            grid = stage.item("tileGrid")
            await until(lambda: grid.property("count") == count)
            wanted = fit(count, grid.width(), grid.height())
            tiles = stage.tiles()
            await until(lambda: (tiles[-1].x(), tiles[-1].width()) == (wanted[-1].x, wanted[-1].width))
            lift = grid.property("lift")
            got = [(tile.x(), tile.y() + lift, tile.width(), tile.height()) for tile in tiles]
            assert got == [tuple(place) for place in wanted]
            assert all(tile.y() >= 0 for tile in tiles)

    drive(application, test())


def test_tiles_live_on_when_others_come_and_go(application: Any) -> None:
    async def test() -> None:
        async with on_stage(others=2) as stage:
            await stage.to_call()
            grid: Any = stage.item("tileGrid")
            await until(lambda: grid.property("count") == 3)
            tom = stage.tiles()[2]
            tom.setProperty("objectName", "tom")
            me, _mei, him = stage.call.state.members
            stage.change(members=(me, him, MemberView("m9", "Amara")))
            await until(lambda: stage.tiles()[1].property("memberId") == him.id)
            assert stage.tiles()[1].objectName() == "tom"

    drive(application, test())


def test_the_keys_of_a_call(application: Any) -> None:
    async def test() -> None:
        async with on_stage() as stage:
            await stage.to_call()
            await stage.key(Qt.Key.Key_M)
            await until(lambda: stage.item("microphoneButton").property("off"))
            assert stage.item("microphoneButton").property("word") == "Unmute"
            await stage.key(Qt.Key.Key_V)
            await until(lambda: stage.item("cameraButton").property("off"))
            await stage.key(Qt.Key.Key_P)
            panel = stage.item("membersPanel")
            await until(lambda: panel.property("open") and panel.property("shown") == 1)
            window = stage.window.window
            await stage.key(Qt.Key.Key_F)
            await until(lambda: window.visibility() == window.Visibility.FullScreen)
            await stage.key(Qt.Key.Key_Escape)  # the top thing only
            await until(lambda: not panel.property("open"))
            assert window.visibility() == window.Visibility.FullScreen
            await stage.key(Qt.Key.Key_Escape)
            await until(lambda: window.visibility() == window.Visibility.Windowed)
            assert stage.program._get_page() == "call"

    drive(application, test())


def test_controls_hide_from_the_pointer_and_come_back(application: Any) -> None:
    async def test() -> None:
        async with on_stage() as stage:
            await stage.to_call()
            bar = stage.item("controlBar")
            await stage.move_pointer(QPoint(200, 200))
            await until(lambda: not bar.isVisible())  # 4 s
            await stage.move_pointer(QPoint(240, 210))
            await until(bar.isVisible)

    drive(application, test())


def test_controls_stay_for_the_keyboard(application: Any) -> None:
    async def test() -> None:
        async with on_stage() as stage:
            await stage.to_call()
            await stage.key(Qt.Key.Key_Tab)
            page: Any = stage.item("controlBar").parentItem()
            await until(lambda: page.property("byKeyboard"))
            page.setProperty("moved", False)  # what the timer does after 4 s
            assert page.property("controlsShown")
            # Tiles make room, so that what stays covers no name.
            grid = stage.item("tileGrid")
            bar = stage.item("controlBar")
            await until(lambda: grid.y() + grid.height() <= bar.y())

    drive(application, test())


def test_buttons_are_pressed_by_return_and_space(application: Any) -> None:
    async def test() -> None:
        async with on_stage() as stage:
            await stage.to_call()
            stage.item("microphoneButton").forceActiveFocus(Qt.FocusReason.TabFocusReason)
            await stage.key(Qt.Key.Key_Space)
            await until(lambda: stage.item("microphoneButton").property("off"))
            await stage.key(Qt.Key.Key_Return)
            await until(lambda: not stage.item("microphoneButton").property("off"))

    drive(application, test())


def test_reconnecting_and_notes_are_words(application: Any) -> None:
    async def test() -> None:
        async with on_stage() as stage:
            await stage.to_call()
            stage.change(phase=Phase.RECONNECTING, note="The camera is gone.")
            toast = stage.item("toast")
            await until(lambda: toast.property("sentence") == "The camera is gone." and toast.isVisible())
            words = [name for _role, name in accessible(stage.window.window)]
            assert "Connection lost. Trying again" in words
            assert stage.program._get_page() == "call"

    drive(application, test())


def test_leaving_leads_to_a_page_with_a_way_on(application: Any) -> None:
    async def test() -> None:
        async with on_stage() as stage:
            await stage.to_call()
            await stage.click("leaveButton")
            await until(lambda: stage.find("rejoinButton"))
            await stage.click("rejoinButton")
            await until(lambda: stage.find("controlBar"))
            stage.call.fail("server-gone", "The server has ended. Ask its owner to start it again.")
            await until(lambda: stage.find("leftSentence"))
            assert stage.item("leftSentence").property("text").startswith("The server has ended.")
            await stage.click("startButton")
            await until(lambda: stage.find("newMeetingButton"))

    drive(application, test())


def test_a_screen_reader_finds_every_control_and_person(application: Any) -> None:
    async def test() -> None:
        async with on_stage(others=2) as stage:
            await stage.to_call()
            me, mei, tom = stage.call.state.members
            stage.change(
                members=(me, replace(mei, speaking=True), replace(tom, camera=False, microphone=False))
            )
            await until(lambda: stage.tiles()[2].property("camera") is False)
            found = accessible(stage.window.window)
            buttons = {name for role, name in found if role == QAccessible.Role.Button}
            assert {"Mute", "Camera off", "People (3)", "Copy invitation", "Leave"} <= buttons
            names = {name for _role, name in found}
            assert "Anna Berg, you" in names
            assert "Mei Lindqvist, speaking" in names
            assert "Tom Baker, muted, camera off" in names
            nameless = [role for role, name in found if role == QAccessible.Role.Button and not name]
            assert nameless == []

    drive(application, test())
