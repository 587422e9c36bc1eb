"""The start page and the page before joining, driven by keys and clicks."""

from __future__ import annotations

import asyncio
from typing import Any

from PySide6.QtCore import Qt

from tests.qml.stage import on_stage
from tests.support.screen import drive, until


def test_a_name_and_return_lead_before_the_door_and_in(application: Any) -> None:
    async def test() -> None:
        async with on_stage(name="") as stage:
            await stage.type("Mei")
            await stage.key(Qt.Key.Key_Return)
            await until(lambda: stage.find("joinNowButton"))
            assert stage.program._get_page() == "prejoin"
            await until(lambda: stage.item("insideLabel").property("text") == "2 people are inside")
            await until(lambda: ("choose_video", "camera spec") in stage.call.asked)
            await stage.click("joinNowButton")
            await until(lambda: stage.find("controlBar"))
            assert ("join", ("http://127.0.0.1:8443/join/abcdef#KVVJTGDKKFADH6GD", "Mei")) in stage.call.asked

    drive(application, test())


def test_an_empty_name_is_told_below_the_field(application: Any) -> None:
    async def test() -> None:
        async with on_stage(name="") as stage:
            await stage.click("newMeetingButton")
            await until(lambda: stage.item("nameField").property("problem"))
            assert stage.item("nameField").property("problem").startswith("Type your name")
            assert stage.program._get_page() == "start"

    drive(application, test())


def test_a_wrong_code_stands_below_the_code(application: Any) -> None:
    async def test() -> None:
        async with on_stage() as stage:
            stage.doors.problem = "A letter of the code is wrong."
            await stage.click("invitationField")
            await stage.type("ABCD")
            await stage.click("joinButton")
            await until(stage.program.entrance._invitation_problem)
            assert stage.program._get_page() == "start"
            stage.doors.problem = ""
            await stage.key(Qt.Key.Key_Return)  # the field kept the keyboard: try again
            await until(lambda: stage.find("joinNowButton"))

    drive(application, test())


def test_a_wait_shows_where_it_is_and_lets_one_out(application: Any) -> None:
    async def test() -> None:
        async with on_stage() as stage:
            stage.doors.jam = asyncio.Event()
            await stage.click("newMeetingButton")
            waiting = stage.item("startWaiting")
            await until(waiting.isVisible)
            assert waiting.property("words") == "Starting your server"
            assert not stage.item("newMeetingButton").isEnabled()
            await until(lambda: waiting.property("long"))  # 5 s
            waiting.cancelled.emit()
            await until(lambda: not waiting.isVisible())
            assert stage.item("newMeetingButton").isEnabled()

    drive(application, test())


def test_a_refusal_stands_before_the_door_and_escape_leads_back(application: Any) -> None:
    async def test() -> None:
        async with on_stage() as stage:
            stage.program.entrance.enter("link", "")
            await until(lambda: stage.find("joinProblem"))
            stage.call.admits = False
            await stage.click("joinNowButton")
            await until(lambda: stage.item("joinWaiting").isVisible())
            assert stage.item("joinWaiting").property("words") == "Securing the connection"
            stage.call.fail("version", "Install the newest Hearth.")
            await until(
                lambda: stage.item("joinProblem").property("sentence") == "Install the newest Hearth."
            )
            assert stage.item("joinNowButton").isEnabled()
            stage.program.entrance.enter("another link", "")  # another door: the old sentence is gone
            await until(lambda: stage.item("joinProblem").property("sentence") == "")
            await stage.key(Qt.Key.Key_Escape)
            await until(lambda: stage.find("newMeetingButton"))
            assert ("choose_video", None) in stage.call.asked  # nobody is looked at on the start page

    drive(application, test())


def test_without_a_camera_the_page_says_so_and_one_can_join(application: Any) -> None:
    async def test() -> None:
        async with on_stage() as stage:
            stage.cameras = []
            stage.program.entrance.enter("link", "")
            await until(lambda: stage.find("cameraPicker"))
            await until(lambda: stage.item("cameraPicker").property("problem"))
            assert stage.item("cameraPicker").property("problem").startswith("No camera was found")
            assert stage.item("joinNowButton").isEnabled()

    drive(application, test())


def test_the_self_view_shows_this_computers_picture(application: Any) -> None:
    async def test() -> None:
        async with on_stage(paint=True) as stage:
            stage.program.entrance.enter("link", "")
            await until(lambda: stage.find("selfView"))
            await until(lambda: stage.item("selfView").property("present"))
            await stage.click("preJoinCamera")
            await until(lambda: not stage.item("selfView").property("present"))

    drive(application, test())
