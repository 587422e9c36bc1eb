"""Asks Qt about screen, GL and devices, in a process of its own: a Qt that aborts takes nobody with it.

Prints one JSON line: {"platform", "screen", "renderer", "cameras", "microphones", "speakers", "version"}.
"""

from __future__ import annotations

import json
import sys
from typing import Any


def _renderer() -> str:
    """The name of the GL renderer; empty where a context cannot be made."""
    from PySide6.QtGui import QOffscreenSurface, QOpenGLContext

    surface = QOffscreenSurface()
    surface.create()
    context = QOpenGLContext()
    if not context.create() or not context.makeCurrent(surface):
        return ""
    try:
        gl_renderer = 0x1F01
        return str(context.functions().glGetString(gl_renderer) or "")
    finally:
        context.doneCurrent()


def look() -> dict[str, Any]:
    """Everything that Qt knows of this machine."""
    from PySide6 import __version__
    from PySide6.QtGui import QGuiApplication
    from PySide6.QtMultimedia import QMediaDevices

    application = QGuiApplication([sys.argv[0]])
    screen = application.primaryScreen()
    size = screen.size() if screen is not None else None
    return {
        "version": __version__,
        "platform": application.platformName(),
        "screen": f"{size.width()} x {size.height()}" if size is not None else "",
        "renderer": _renderer(),
        "cameras": [device.description() for device in QMediaDevices.videoInputs()],
        "microphones": [device.description() for device in QMediaDevices.audioInputs()],
        "speakers": [device.description() for device in QMediaDevices.audioOutputs()],
    }


if __name__ == "__main__":
    print(json.dumps(look()))
