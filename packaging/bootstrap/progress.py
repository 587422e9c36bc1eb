"""What a person reads while waiting: a line for each step, and on a terminal what it is at."""

from __future__ import annotations

import sys
import time
from types import TracebackType

#: Columns used of a terminal for the line that is rewritten.
WIDTH = 78


def say(text: str) -> None:
    """One line, at once."""
    print(text, flush=True)


def complain(text: str) -> None:
    """One line to the error stream."""
    print(text, file=sys.stderr, flush=True)


class Step:
    """`with Step("Making the virtual environment") as step:` prints how it went and how long it took."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.live = sys.stdout.isatty()
        self.started = 0.0

    def __enter__(self) -> Step:
        self.started = time.monotonic()
        if self.live:
            self.at("...")
        else:
            say(f"{self.title} ...")
        return self

    def at(self, text: str) -> None:
        """What the step is doing right now; shown on a terminal alone."""
        if self.live:
            print(f"\r{f'{self.title}: {text}'[:WIDTH]:<{WIDTH}}", end="", flush=True)

    def note(self, text: str) -> None:
        """Something worth a line of its own where lines are not rewritten, else the same as `at`."""
        if self.live:
            self.at(text)
        else:
            say(f"  {text}")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        took = time.monotonic() - self.started
        line = f"{self.title}: {'done' if error is None else 'stopped'} after {took:.0f} s"
        say(f"\r{line:<{WIDTH}}" if self.live else line)
