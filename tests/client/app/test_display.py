"""No screen is a sentence before Qt is asked, because Qt would end the process."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from client.app.display import _reachable, display_problem


@pytest.mark.parametrize(
    "environ",
    [
        {"WAYLAND_DISPLAY": "wayland-0"},
        {"QT_QPA_PLATFORM": "offscreen"},
        {"QT_QPA_PLATFORM": "offscreen:size=100x100", "DISPLAY": ":59999"},
    ],
)
def test_other_screens_are_left_to_qt(environ: dict[str, str]) -> None:
    assert display_problem(environ, "linux") == ""


@pytest.mark.parametrize(
    "environ",
    [{}, {"DISPLAY": ""}, {"DISPLAY": "nonsense"}, {"DISPLAY": ":59999"}, {"DISPLAY": "127.0.0.1:59000"}],
)
def test_no_screen_is_a_sentence(environ: dict[str, str]) -> None:
    assert "no screen here" in display_problem(environ, "linux")


def test_windows_and_macos_always_have_one() -> None:
    assert display_problem({}, "win32") == display_problem({}, "darwin") == ""


def test_an_x_server_that_answers_is_a_screen(xvfb_display: str) -> None:
    assert display_problem({"DISPLAY": xvfb_display}, "linux") == ""
    assert display_problem({"DISPLAY": xvfb_display + ".0", "QT_QPA_PLATFORM": "xcb"}, "linux") == ""


def test_a_socket_without_a_server_does_not_answer(tmp_path: Path) -> None:
    path = str(tmp_path / "X7")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
    assert not _reachable(socket.AF_UNIX, path)
