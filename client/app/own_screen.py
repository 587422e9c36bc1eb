"""A screen where there is none: an X server without a monitor (Xvfb) on a free display number."""

from __future__ import annotations

import os
import queue
import shutil
import socket
import sys
from collections.abc import Mapping

from client.app.children import Child, Children, leashed

#: Seconds until the X server says its number.
READY_TIMEOUT = 15.0


class ScreenError(RuntimeError):
    """There is no screen and none could be made; the text is a sentence for a person."""


def has_screen(environment: Mapping[str, str] | None = None, platform: str = sys.platform) -> bool:
    """Whether a window can be opened here: always on macOS and Windows, else if a display server answers."""
    env = os.environ if environment is None else environment
    if platform in ("darwin", "win32"):
        return True
    if env.get("WAYLAND_DISPLAY"):
        return True
    display = env.get("DISPLAY", "")
    if display.startswith(":"):
        return _answers(display[1:].split(".")[0])
    return bool(display)  # another machine's display: only opening a window can tell


def _answers(number: str) -> bool:
    """Whether an X server listens at this display number of this machine."""
    for address in (f"/tmp/.X11-unix/X{number}", f"\0/tmp/.X11-unix/X{number}"):
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(address)
            except OSError:
                continue
            return True
    return False


def start_screen(
    children: Children, environment: Mapping[str, str], width: int = 1920, height: int = 1080
) -> tuple[Child, dict[str, str]]:
    """Start an X server among `children`; it, and `environment` changed for programs that shall use it.

    Raises ScreenError when Xvfb is missing or does not start.
    """
    if shutil.which("Xvfb") is None:
        raise ScreenError(
            "There is no screen here, and the program Xvfb that stands in for one is missing. "
            "Install it (Debian and Ubuntu: apt install xvfb) or run this where there is a screen."
        )
    size = f"{width}x{height}x24"
    # -displayfd lets the server choose a free number itself and print it: no race with other servers.
    command = ["Xvfb", "-displayfd", "1", "-screen", "0", size, "-nolisten", "tcp", "-noreset"]
    child = children.start("screen", leashed(command))
    number = _number(child)
    if number is None:
        raise ScreenError(
            f"Xvfb did not start: {child.last_words() or 'it gave no reason'}. Install it again."
        )
    changed = {**environment, "DISPLAY": f":{number}", "QT_QPA_PLATFORM": "xcb"}
    changed.pop("WAYLAND_DISPLAY", None)
    return child, changed


def _number(child: Child) -> int | None:
    try:
        number = child.events.get(timeout=READY_TIMEOUT)
    except queue.Empty:
        return None
    return number if isinstance(number, int) else None
