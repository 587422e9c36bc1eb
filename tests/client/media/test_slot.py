"""The slot hands over the latest value and counts what nobody fetched."""

from __future__ import annotations

import threading

from hypothesis import given
from hypothesis import strategies as st

from client.media.slot import LatestSlot


def test_takes_the_latest_once() -> None:
    slot: LatestSlot[int] = LatestSlot()
    assert slot.take() is None
    slot.put(1)
    slot.put(2)
    assert slot.peek() == 2
    assert slot.take() == 2
    assert slot.take() is None
    assert (slot.dropped, slot.put_count) == (1, 2)


@given(st.lists(st.sampled_from(["put", "take"]), max_size=60))
def test_every_put_is_taken_dropped_or_still_there(steps: list[str]) -> None:
    slot: LatestSlot[int] = LatestSlot()
    taken = 0
    for number, step in enumerate(steps):
        if step == "put":
            slot.put(number)
        elif slot.take() is not None:
            taken += 1
    assert slot.put_count == taken + slot.dropped + (slot.peek() is not None)


def test_on_put_runs_in_the_thread_of_the_putter() -> None:
    seen: list[threading.Thread] = []
    slot: LatestSlot[int] = LatestSlot(on_put=lambda: seen.append(threading.current_thread()))
    slot.put(1)
    assert seen == [threading.current_thread()]


def test_clearing_is_not_dropping() -> None:
    slot: LatestSlot[int] = LatestSlot()
    slot.put(1)
    slot.clear()
    assert slot.take() is None
    assert slot.dropped == 0


def test_a_waiting_thread_gets_the_value_at_once() -> None:
    slot: LatestSlot[int] = LatestSlot()
    got: list[int | None] = []
    waiter = threading.Thread(target=lambda: got.append(slot.wait(10.0)))
    waiter.start()
    slot.put(7)
    waiter.join(5.0)
    assert got == [7]
    assert slot.wait(0.0) is None
