"""The kernel in C and its twin do the same for the same calls, byte by byte."""

from __future__ import annotations

import os
from collections.abc import Sequence

import pytest

from rtc.fanout import PACER_BURST, Fanout, Record
from rtc.fanout_open import native_reason, open_fanout
from rtc.fanout_twin import PythonFanout
from rtc.observation import Observation
from tests.rtc.fanout_differential import compare
from tests.rtc.fanout_pair import DifferenceError

#: Packets compared in a run of the suite; HEARTH_DIFFERENTIAL_PACKETS asks for more.
PACKETS = int(os.environ.get("HEARTH_DIFFERENTIAL_PACKETS", "20000"))


class _LaterFanout(PythonFanout):
    """Sends a little later."""

    def forward(self, verdicts: bytes, now: int) -> None:
        super().forward(verdicts, now + 4)


class _DeafFanout(PythonFanout):
    """Does not see that a stream was restarted."""

    def restart_stream(self, stream: int) -> None:
        self._streams.get(stream)


class _GenerousFanout(PythonFanout):
    """Gives one temporal layer too many."""

    def aim(
        self, destination: int, stream: int, *, spatial: int = 7, temporal: int = 7, cut: bool = False
    ) -> None:
        more = temporal + 1 if temporal < 7 else temporal
        super().aim(destination, stream, spatial=spatial, temporal=more, cut=cut)


class _LazyFanout(PythonFanout):
    """Repairs all but the last."""

    def repair(self, destination: int, sequences: Sequence[int], now: int) -> int:
        return super().repair(destination, sequences[:-1], now)


class _WastefulFanout(PythonFanout):
    """Lets a little more pass at once."""

    def flush(self, fd: int, now: int) -> int:
        return super().flush(fd, now + PACER_BURST // 4)


class _HastyFanout(PythonFanout):
    """Does not count what it adopts."""

    def adopt(self, index: int, stream: int, now: int) -> Record:
        self._streams.get(stream)
        return self._at(index).record()


class _HopefulFanout(PythonFanout):
    """Forgets one loss of each look."""

    def observe(self, peer: int, now: int) -> Observation:
        seen = super().observe(peer, now)
        return seen._replace(lost=max(0, seen.lost - 1))


class _ForgetfulFanout(PythonFanout):
    """Forgets sender reports."""

    def set_clock(self, stream: int, sender_time: int, timestamp: int) -> None:
        self._streams.get(stream)


def test_the_twin_agrees_with_itself() -> None:
    total = compare((PythonFanout, PythonFanout), 4000, 1)
    assert total["received"] >= 4000
    assert total["forwarded"] > 500


def test_every_way_of_dropping_is_met() -> None:
    """What the worlds reach: nothing that is counted stays out of the comparison, but a full socket."""
    total = compare((PythonFanout, PythonFanout), 40000, 1)
    assert {name for name, count in total.items() if not count} == {"send-buffer-full"}


@pytest.mark.parametrize(
    "changed",
    [
        _LaterFanout,
        _DeafFanout,
        _GenerousFanout,
        _LazyFanout,
        _WastefulFanout,
        _HastyFanout,
        _ForgetfulFanout,
        _HopefulFanout,
    ],
)
def test_a_changed_rule_is_caught(changed: type[PythonFanout]) -> None:
    with pytest.raises(DifferenceError, match="seed"):
        compare((PythonFanout, changed), 40000, 100)


def native() -> Fanout:
    return open_fanout("native")


if not native_reason():

    def test_the_kernel_and_its_twin_do_the_same() -> None:
        total = compare((PythonFanout, native), PACKETS, 1)
        assert total["received"] >= PACKETS

    @pytest.mark.parametrize(
        ("name", "changed"),
        [
            ("rtc.fanout_destination.primary", lambda payload: None),
            ("rtc.pacer.PACER_AGE", 280_000),
            ("rtc.fanout_run.MAX_EVENING", 1),
            ("rtc.congestion.trend.SMOOTHING", 0.9000001),
            ("rtc.congestion.groups.BURST_GAP", 4_500),
            ("rtc.congestion.throughput.GRAIN", 60_000),
            ("rtc.congestion.observer.LATE", 50_000),
        ],
        ids=["red", "age", "even", "trend", "groups", "throughput", "losses"],
    )
    def test_a_rule_that_the_kernel_has_otherwise_is_caught(
        monkeypatch: pytest.MonkeyPatch, name: str, changed: object
    ) -> None:
        monkeypatch.setattr(name, changed)
        with pytest.raises(DifferenceError, match="seed"):
            compare((PythonFanout, native), 40000, 1)
