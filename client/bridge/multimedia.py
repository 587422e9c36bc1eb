"""The one way to Qt Multimedia: it complains about optional libraries while it is being loaded."""

from __future__ import annotations

from PySide6.QtCore import QLoggingCategory

#: Screen casting through PipeWire is looked for on load and missed on many systems; nobody needs it here.
QLoggingCategory.setFilterRules("qt.multimedia.symbolsresolver=false\nqt.multimedia.ffmpeg=false\n")

from PySide6.QtMultimedia import QVideoFrame, QVideoFrameFormat, QVideoSink  # noqa: E402

__all__ = ["QVideoFrame", "QVideoFrameFormat", "QVideoSink"]
