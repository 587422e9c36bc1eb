"""Tasks that do not want to end, and threads that hang."""

from __future__ import annotations

import asyncio
import threading

import pytest

from rtc.tasks import AGAIN_S, end_tasks, in_thread


async def stubborn(times: int) -> None:
    """Ends with the cancellation after `times` that it catches."""
    for _ in range(times):
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            continue
    await asyncio.sleep(3600)


async def test_a_task_that_loses_cancellations_is_cancelled_again(virtual_time: object) -> None:
    tasks = [asyncio.create_task(stubborn(times)) for times in range(5)]
    await asyncio.sleep(0)
    begin = asyncio.get_running_loop().time()
    assert await end_tasks(tasks, 1.0) == set()
    assert asyncio.get_running_loop().time() - begin == pytest.approx(4 * AGAIN_S)
    assert all(task.cancelled() for task in tasks)


async def test_one_that_never_ends_is_told_in_time(virtual_time: object) -> None:
    tasks = [asyncio.create_task(stubborn(50)), asyncio.create_task(stubborn(0))]
    await asyncio.sleep(0)
    begin = asyncio.get_running_loop().time()
    assert await end_tasks(tasks, 1.0) == {tasks[0]}
    assert asyncio.get_running_loop().time() - begin == pytest.approx(1.0)
    assert await end_tasks(tasks, 10.0) == set()
    assert await end_tasks(tasks, 10.0) == set()
    assert await end_tasks([], 10.0) == set()


async def test_what_a_task_raises_at_its_end_is_nobodys(virtual_time: object) -> None:
    async def fail() -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            raise LookupError("on the way out")

    failing = asyncio.create_task(fail())
    await asyncio.sleep(0)
    assert await end_tasks([failing], 1.0) == set()


async def test_a_thread_returns_or_raises() -> None:
    def fail() -> None:
        raise OSError("no device")

    assert await in_thread(lambda: threading.current_thread().name, "aside") == "aside"
    with pytest.raises(OSError, match="no device"):
        await in_thread(fail, "aside")


def test_nobody_waits_for_a_thread_that_hangs() -> None:
    go_on, ended = threading.Event(), threading.Event()

    def hang() -> None:
        go_on.wait()
        ended.set()

    async def give_up() -> None:
        done, _ = await asyncio.wait({in_thread(hang, "a hanging driver")}, timeout=0.01)
        assert not done

    asyncio.run(give_up())
    go_on.set()
    assert ended.wait(10.0)


async def test_a_result_that_nobody_wants_any_more() -> None:
    go_on = threading.Event()
    future = in_thread(go_on.wait, "aside")
    later = in_thread(lambda: None, "aside")
    future.cancel()
    go_on.set()
    await later
    assert future.cancelled()
