"""Qt's own warnings: a test that causes one that nobody expected fails with its text."""

from __future__ import annotations

import re
import sys
from typing import Any

#: What Qt may say without a test failing, each with the reason.
ALLOWED: tuple[tuple[str, str], ...] = (
    (r"This plugin does not support ", "the offscreen platform says so of window managers' features"),
    (r"QStandardPaths: .*XDG_RUNTIME_DIR", "continuous-integration machines have no session directory"),
    (r"PulseAudioService: pa_context_connect\(\) failed", "machines without a sound server are supported"),
    (r"[Nn]o (audio|video) devices? (found|detected|available)", "machines without devices are supported"),
    (r"Using Qt multimedia with FFmpeg", "information, printed as a warning by some builds"),
    (r"libva|VAAPI|vaInitialize|VDPAU", "no hardware decoder on a machine without a GPU"),
    (r"Could not open VA", "no hardware decoder on a machine without a GPU"),
)

_ALLOWED = re.compile("|".join(f"(?:{pattern})" for pattern, _ in ALLOWED))


class QtMessages:
    """Collects what Qt says at the level of warning and above."""

    def __init__(self) -> None:
        self.unexpected: list[str] = []
        self._expected: list[re.Pattern[str]] = []
        self._installed = False

    def install(self) -> None:
        """Listen, once, if Qt is loaded."""
        core = sys.modules.get("PySide6.QtCore")
        if self._installed or core is None:
            return
        quiet = {core.QtMsgType.QtDebugMsg, core.QtMsgType.QtInfoMsg}

        def listen(kind: Any, context: Any, text: str) -> None:
            sys.stderr.write(f"Qt: {text}\n")
            if kind not in quiet:
                place = f" ({context.file}:{context.line})" if context.file else ""
                self.take(f"{text}{place}")

        core.qInstallMessageHandler(listen)
        self._installed = True

    def take(self, text: str) -> None:
        """Remember `text` unless the allow-list or the running test expects it."""
        if not _ALLOWED.search(text) and not any(pattern.search(text) for pattern in self._expected):
            self.unexpected.append(text)

    def expect(self, pattern: str) -> None:
        """The running test causes messages that match `pattern`, and means to."""
        self._expected.append(re.compile(pattern))

    def drain(self) -> list[str]:
        """The unexpected messages since the last call."""
        taken, self.unexpected = self.unexpected, []
        return taken

    def forget_expectations(self) -> None:
        """Called between tests."""
        self._expected.clear()
