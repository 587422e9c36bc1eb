"""The thread of a source: started, failing, hanging, stopped."""

from __future__ import annotations

import queue
import threading
from itertools import pairwise

import pytest

from client.media.sources import SourceError, SourceThread


class Counting:
    """Gives 0, 1, 2 ... and then what `end` says."""

    def __init__(self, period: float | None, end: Exception | None = None, length: int = 5) -> None:
        self.name = "Counting"
        self.period = period
        self.closed = False
        self.times: list[float] = []
        self._end = end
        self._length = length
        self._number = -1

    def read(self, now: float) -> int | None:
        self.times.append(now)
        self._number += 1
        if self._end is not None and self._number == self._length:
            raise self._end
        return self._number

    def close(self) -> None:
        self.closed = True


def run(reader: Counting, stamp_due: bool = False) -> tuple[SourceThread[int], queue.Queue[object]]:
    said: queue.Queue[object] = queue.Queue()
    thread = SourceThread(lambda: reader, said.put, said.put, said.put, name="counting", stamp_due=stamp_due)
    thread.start()
    return thread, said


def test_says_its_name_then_delivers_then_closes() -> None:
    reader = Counting(0.001)
    thread, said = run(reader)
    assert [said.get(timeout=5.0) for _ in range(4)] == ["Counting", 0, 1, 2]
    assert thread.running
    assert thread.stop()
    assert reader.closed
    assert not thread.running
    rest = said.qsize()
    assert thread.stop()
    assert said.qsize() == rest


def test_a_failure_is_a_sentence_and_the_source_is_closed() -> None:
    reader = Counting(0.001, SourceError("The camera is gone. Connect it again."), length=1)
    thread, said = run(reader)
    assert [said.get(timeout=5.0) for _ in range(3)] == [
        "Counting",
        0,
        "The camera is gone. Connect it again.",
    ]
    assert thread.stop()
    assert reader.closed


@pytest.mark.parametrize("error", [ValueError("odd"), ZeroDivisionError()])
def test_an_unexpected_error_is_a_sentence_too(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    thread, said = run(Counting(0.001, error, length=0))
    assert said.get(timeout=5.0) == "Counting"
    sentence = said.get(timeout=5.0)
    assert isinstance(sentence, str)
    assert sentence.endswith("Choose it again to go on.")
    assert thread.stop()
    assert "the source Counting broke" in caplog.text


def test_failing_to_open_says_why() -> None:
    said: queue.Queue[object] = queue.Queue()

    def refuse() -> Counting:
        raise SourceError("No camera was found.")

    thread: SourceThread[int] = SourceThread(refuse, said.put, said.put, said.put, name="refused")
    thread.start()
    assert said.get(timeout=5.0) == "No camera was found."
    assert thread.stop()


def test_due_times_make_an_unbroken_timeline() -> None:
    reader = Counting(0.005)
    thread, said = run(reader, stamp_due=True)
    for _ in range(20):
        said.get(timeout=5.0)
    thread.stop()
    steps = [later - earlier for earlier, later in pairwise(reader.times)]
    regular = [step for step in steps if step == pytest.approx(0.005, abs=1e-6)]
    assert len(regular) >= len(steps) - 1  # one stall of the machine is forgiven


def test_a_device_that_hangs_is_left_behind_and_stays_mute() -> None:
    release = threading.Event()
    said: queue.Queue[object] = queue.Queue()

    class Hanging(Counting):
        def read(self, now: float) -> int | None:
            release.wait(20.0)
            return 1

    thread = SourceThread(lambda: Hanging(None), said.put, said.put, said.put, name="hanging")
    thread.start()
    assert said.get(timeout=5.0) == "Counting"
    assert not thread.stop(timeout=0.05)
    release.set()
    assert thread.stop(timeout=5.0)
    assert said.empty()


def test_an_unexpected_error_while_opening_is_a_sentence(caplog: pytest.LogCaptureFixture) -> None:
    said: queue.Queue[object] = queue.Queue()

    def miss() -> Counting:
        raise ImportError("no such library")

    thread: SourceThread[int] = SourceThread(miss, said.put, said.put, said.put, name="missing")
    thread.start()
    assert "Choose another one." in str(said.get(timeout=5.0))
    assert thread.stop()
    assert "could not be opened" in caplog.text
