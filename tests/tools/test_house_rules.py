"""The checks that guard the other tests can fail: each is shown something bad and must say so."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.support.leaks import Belongings, left_behind
from tests.support.qt_messages import QtMessages

ROOT = Path(__file__).parents[2]

BAD_TESTS = """
import asyncio, subprocess, sys, threading, warnings

class Held:
    thing = None

def test_thread():
    threading.Thread(target=threading.Event().wait, name="forgotten", daemon=True).start()

def test_loop():
    Held.thing = asyncio.new_event_loop()

async def test_task():
    async def stubborn():
        while True:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                return
    Held.task = asyncio.create_task(stubborn(), name="forgotten-task")

def test_warning():
    warnings.warn("old ways", DeprecationWarning)

def test_qt_timer():
    from PySide6.QtCore import QCoreApplication, QTimer
    Held.application = QCoreApplication([])
    Held.timer = QTimer()
    Held.timer.start(1000)

def test_qt_warning():
    from PySide6.QtCore import qWarning
    qWarning("never seen before")

def test_good():
    pass

async def test_good_async():
    await asyncio.sleep(0)
"""

CONFTEST = """
import pathlib, sys
sys.path.insert(0, {root!r})
from tests.conftest import *
import tests.conftest, tests.support.leaks
tests.conftest.HERE = pathlib.Path({here!r})
tests.support.leaks.GRACE = 0.2
"""


def test_a_leftover_thread_is_named() -> None:
    known = Belongings.now()
    leave = threading.Event()
    thread = threading.Thread(target=leave.wait, name="left-over")
    thread.start()
    try:
        assert any("left-over" in sentence for sentence in left_behind(known, grace=0))
    finally:
        leave.set()
        thread.join()
    assert left_behind(known) == []


def test_an_open_event_loop_is_named() -> None:
    known = Belongings.now()
    loop = asyncio.new_event_loop()
    try:
        assert any("event loop" in sentence for sentence in left_behind(known, grace=0))
    finally:
        loop.close()
    assert left_behind(known) == []


@pytest.mark.skipif(sys.platform != "linux", reason="child processes are listed from /proc")
def test_a_living_child_is_named() -> None:
    known = Belongings.now()
    program = [sys.executable, "-c", "print(flush=True); input()"]
    child = subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.readline()
    try:
        assert any(str(child.pid) in sentence for sentence in left_behind(known, grace=0))
    finally:
        child.communicate(b"\n")
    assert left_behind(known) == []


def test_qt_messages_are_sorted_into_expected_and_not() -> None:
    messages = QtMessages()
    messages.expect("on purpose")
    messages.take("This plugin does not support raise()")
    messages.take("this was on purpose")
    assert messages.drain() == []
    messages.take("Binding loop detected for property width")
    assert messages.drain() == ["Binding loop detected for property width"]
    messages.forget_expectations()
    messages.take("this was on purpose")
    assert messages.drain() == ["this was on purpose"]


def test_a_run_with_bad_tests_fails_each_of_them(tmp_path: Path) -> None:
    (tmp_path / "test_bad.py").write_text(BAD_TESTS)
    (tmp_path / "conftest.py").write_text(CONFTEST.format(root=str(ROOT), here=str(tmp_path)))
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-W", "error", "-q", str(tmp_path)]
    result = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL
    )
    assert "a thread still runs: forgotten" in result.stdout
    assert "an event loop was not closed" in result.stdout
    assert "1 asyncio task(s) running" in result.stdout
    assert "old ways" in result.stdout
    assert "a Qt timer is still active: every 1000 ms" in result.stdout
    assert "Qt said what no test expected:\nnever seen before" in result.stdout
    # A leftover is an error of the test's end, so the body itself counts as passed.
    assert "3 failed, 5 passed, 3 errors" in result.stdout
