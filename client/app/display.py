"""Whether there is a screen to draw on, asked before Qt is: Qt ends the process when there is none."""

from __future__ import annotations

import os
import re
import socket
import sys
from collections.abc import Mapping

#: The exit status of a program that found no screen.
NO_DISPLAY = 4

_SENTENCE = (
    "There is no screen here, so the window cannot open. Run this on a desktop, or use "
    "`python3 run.py serve` to hold meetings without one."
)
_X_DISPLAY = re.compile(r"(?P<host>[^:]*):(?P<number>\d{1,5})(\.\d+)?$")


def display_problem(environ: Mapping[str, str] = os.environ, platform: str = sys.platform) -> str:
    """A sentence when no window can be opened; empty when one can."""
    if platform in ("win32", "darwin"):
        return ""
    asked = environ.get("QT_QPA_PLATFORM", "").split(":")[0].split(";")[0]
    if asked and asked not in ("xcb", "wayland"):
        return ""
    if environ.get("WAYLAND_DISPLAY") and asked != "xcb":
        return ""
    display = environ.get("DISPLAY", "")
    if not display:
        return _SENTENCE
    return "" if _x_server_answers(display) else f"The screen {display} does not answer. {_SENTENCE}"


def _x_server_answers(display: str) -> bool:
    parts = _X_DISPLAY.match(display)
    if parts is None:
        return False
    number = int(parts["number"])
    host = parts["host"]
    if host and not host.startswith("unix") and "/" not in host:
        return _reachable(socket.AF_INET, (host, 6000 + number))
    # The abstract socket first, as Xlib does; the file exists on other systems too.
    path = f"/tmp/.X11-unix/X{number}"
    return _reachable(socket.AF_UNIX, "\0" + path) or _reachable(socket.AF_UNIX, path)


def _reachable(family: socket.AddressFamily, address: str | tuple[str, int]) -> bool:
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.settimeout(3.0)
        try:
            probe.connect(address)
        except OSError:
            return False
    return True
