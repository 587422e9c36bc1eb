"""Ending tasks for certain, and threads that nobody has to wait for."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import threading
from collections.abc import Callable, Iterable
from typing import Any, Final, TypeVar

T = TypeVar("T")

#: Seconds until a task that did not end is cancelled again. Less asks more often whoever cleans up for long.
AGAIN_S: Final = 0.1


async def end_tasks(tasks: Iterable[asyncio.Task[Any]], within: float) -> set[asyncio.Task[Any]]:
    """Cancels `tasks` and waits for their ends; those that have not ended after `within` seconds.

    One cancellation is not enough: `asyncio.wait_for` of Python 3.11 loses one that comes together with the
    result, and there is code that catches it. What a task raises is taken note of by nobody.
    """
    left = {task for task in tasks if not task.done()}
    clock = asyncio.get_running_loop().time
    deadline = clock() + within
    while left and (rest := deadline - clock()) > 0.0:
        for task in left:
            task.cancel()
        done, left = await asyncio.wait(left, timeout=min(AGAIN_S, rest))
        for task in done:
            if not task.cancelled():
                task.exception()
    return left


def in_thread(work: Callable[[], T], name: str) -> asyncio.Future[T]:
    """What `work` returns or raises, from a daemon thread of its own.

    For calls into drivers that may hang: unlike with `asyncio.to_thread` neither the end of the loop nor
    that of the program waits for them. When the loop is closed by then, the result is lost.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def run() -> None:
        try:
            tell = functools.partial(future.set_result, work())
        except Exception as error:
            tell = functools.partial(future.set_exception, error)
        with contextlib.suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(lambda: None if future.done() else tell())

    threading.Thread(target=run, name=name, daemon=True).start()
    return future
