"""One Qt application for the run, on an X server of its own, and a way to drive it from tests."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from unittest import mock

import pytest

#: Seconds that something on the screen may take to happen; only a broken screen takes that long.
PATIENCE = 60.0


@pytest.fixture(scope="session")
def application(xvfb_display: str) -> Iterator[Any]:
    """The QGuiApplication of this run; the one there is if somebody made it already."""
    from PySide6.QtGui import QGuiApplication

    existing = QGuiApplication.instance()
    if existing is not None:
        yield existing
        return
    with mock.patch.dict(os.environ, {"DISPLAY": xvfb_display, "QT_QPA_PLATFORM": "xcb"}):
        made = QGuiApplication(["tests"])
    made.setQuitOnLastWindowClosed(False)
    yield made
    made.shutdown()  # before its X server goes


def drive(application: Any, test: Coroutine[Any, Any, None]) -> None:
    """Run `test` on a loop that serves Qt and asyncio, and close the loop."""
    import qasync

    loop = qasync.QEventLoop(application)
    asyncio.set_event_loop(loop)
    try:
        with ThreadPoolExecutor(2, thread_name_prefix="test") as workers, loop:
            loop.set_default_executor(workers)
            loop.run_until_complete(test)
    finally:
        asyncio.set_event_loop(None)


async def until(condition: Callable[[], Any], patience: float = PATIENCE) -> None:
    """Wait until `condition` holds; fails the test when it does not within `patience` seconds."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + patience
    while not condition():
        if loop.time() > deadline:
            pytest.fail("what was waited for did not happen", pytrace=True)
        await asyncio.sleep(0.01)
