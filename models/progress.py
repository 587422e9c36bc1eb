"""A progress bar for a terminal: one line that rewrites itself, or a few plain lines in a log."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TextIO

_WIDTH = 28  # characters of the bar
_REDRAW_SECONDS = 0.1  # lower is smoother and writes more


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a fetch is: bytes over all packages of the fetch, and what is being done, in words."""

    what: str
    done: int
    total: int


def megabytes(count: int) -> str:
    """Bytes as people read them, in decimal megabytes."""
    return f"{count / 1e6:.1f} MB"


def bar_line(progress: Progress) -> str:
    """One line of text: bar, percent, bytes, what."""
    share = min(1.0, progress.done / progress.total) if progress.total else 1.0
    full = round(share * _WIDTH)
    bar = "#" * full + "." * (_WIDTH - full)
    amount = f"{megabytes(progress.done)} of {megabytes(progress.total)}"
    return f"[{bar}] {share:4.0%}  {amount}  {progress.what}"


class TerminalBar:
    """Callable for `fetch(progress=...)`. Without a terminal it prints a line each time `what` changes."""

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._terminal = stream.isatty()
        self._drawn_at = float("-inf")
        self._what = ""
        self._length = 0

    def __call__(self, progress: Progress) -> None:
        now = self._clock()
        changed = progress.what != self._what
        if not self._terminal:
            if changed:
                self._stream.write(bar_line(progress) + "\n")
                self._stream.flush()
        elif changed or now - self._drawn_at >= _REDRAW_SECONDS or progress.done >= progress.total:
            self._draw(bar_line(progress))
            self._drawn_at = now
        self._what = progress.what

    def close(self) -> None:
        """End the line, so that what is printed next starts on its own."""
        if self._terminal and self._length:
            self._stream.write("\n")
            self._stream.flush()
            self._length = 0

    def _draw(self, line: str) -> None:
        self._stream.write("\r" + line.ljust(self._length))
        self._stream.flush()
        self._length = len(line)
