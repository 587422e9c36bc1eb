"""The kernel under AddressSanitizer and UndefinedBehaviorSanitizer, in processes of their own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rtc._fanout import build
from tests.rtc import sanitized
from tests.rtc.fanout_fuzz import PARSERS

#: Changed samples for each reader; `python -m tests.rtc.fanout_fuzz COUNT SEED --sanitized` tries more.
ROUNDS = 100_000


def test_sanitizers_are_there_where_the_compiler_brings_them() -> None:
    """Debian's does: so the tests below do not hide."""
    brought = not build.why_not() and Path("/etc/debian_version").exists() and "CC" not in os.environ
    assert not brought or sanitized.why_not() == ""


if not sanitized.why_not():

    def test_random_calls_are_clean() -> None:
        done = sanitized.run("tests.rtc.fanout_differential", 20_000, 77)
        assert sanitized.reports(done) == []
        assert done.returncode == 0
        assert done.stdout.startswith("0 differences in 2")

    def test_every_reader_is_clean_on_changed_samples() -> None:
        done = sanitized.run("tests.rtc.fanout_fuzz", ROUNDS, 1)
        assert sanitized.reports(done) == []
        assert done.returncode == 0
        lines = [line.split() for line in done.stdout.splitlines()]
        assert [line[0] for line in lines] == [f"{name}:" for name in PARSERS]
        for line in lines:  # each took some and refused some, but for those that take anything
            taken = int(line[4])
            assert ROUNDS // 30 < taken < ROUNDS or (line[0] in ("h264:", "av1:") and taken == ROUNDS)

    @pytest.mark.parametrize(
        ("broken", "report"),
        [("too-far", "AddressSanitizer: use-after-poison"), ("overflow", "runtime error: signed integer")],
    )
    def test_what_is_not_clean_is_noticed(broken: str, report: str) -> None:
        """A reader that reads one byte too far, and one that overflows, are there for this alone."""
        done = sanitized.run("tests.rtc.fanout_fuzz", 5, 1, broken)
        assert done.returncode != 0
        assert any(report in line for line in sanitized.reports(done))
