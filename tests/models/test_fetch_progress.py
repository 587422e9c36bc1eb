"""The bar: bytes people can read, one line in a terminal, few lines in a log."""

from __future__ import annotations

import io

from models.progress import Progress, TerminalBar, bar_line


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_line_says_share_bytes_and_what() -> None:
    line = bar_line(Progress("downloading voices", 5_000_000, 20_000_000))
    assert line == "[#######.....................]  25%  5.0 MB of 20.0 MB  downloading voices"
    assert "100%" in bar_line(Progress("nothing to do", 0, 0))


def test_a_terminal_line_is_redrawn_not_too_often_and_always_at_the_end() -> None:
    stream, now = Terminal(), [0.0]
    bar = TerminalBar(stream, clock=lambda: now[0])
    for done in range(0, 101, 10):
        bar(Progress("downloading", done, 100))
        now[0] += 0.02
    bar.close()
    drawn = stream.getvalue().split("\r")[1:]
    assert len(drawn) == 3  # the first, one after 0.1 s, the last at 0.2 s
    assert "100%" in drawn[-1]
    assert drawn[-1].endswith("\n")


def test_a_log_gets_a_line_per_step() -> None:
    stream = io.StringIO()
    bar = TerminalBar(stream)
    for what in ("downloading a", "downloading a", "checking a"):
        bar(Progress(what, 1, 2))
    bar.close()
    assert [line.split("  ")[-1] for line in stream.getvalue().splitlines()] == [
        "downloading a",
        "checking a",
    ]
