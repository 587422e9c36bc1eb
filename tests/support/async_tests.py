"""`async def` tests without a plugin: each on a loop of its own, and none may leave a task behind."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from tests.support.virtual_time import VirtualTime

#: Seconds that cancelled tasks get to finish after the test's last line.
GRACE = 1.0


async def _run_and_count(test: Coroutine[Any, Any, None]) -> None:
    """Await the test, then fail it if tasks that it started are still running."""
    await test
    left = asyncio.all_tasks() - {asyncio.current_task()}
    if left:
        _, left = await asyncio.wait(left, timeout=GRACE)
    if left:
        names = ", ".join(sorted(f"{task.get_name()} ({task.get_coro()})" for task in left))
        pytest.fail(f"the test left {len(left)} asyncio task(s) running: {names}", pytrace=False)


def run_async_test(item: pytest.Function) -> bool:
    """Run `item` if it is a coroutine function; True when it was. On the fixture's clock if it asks for
    `virtual_time`."""
    if not inspect.iscoroutinefunction(item.obj):
        return False
    function: Callable[..., Coroutine[Any, Any, None]] = item.obj
    arguments = {name: item.funcargs[name] for name in inspect.signature(function).parameters}
    virtual = item.funcargs.get("virtual_time")
    factory = virtual.make_loop if isinstance(virtual, VirtualTime) else None
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(_run_and_count(function(**arguments)))
    return True
