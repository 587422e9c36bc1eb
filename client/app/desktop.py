"""The desktop program: `python -m client.app.desktop`."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from client.app.display import NO_DISPLAY, display_problem
from client.app.options import parse
from rtc import collector


def main(argv: Sequence[str] | None = None) -> int:
    """Open the window and run until it is closed; returns the exit status."""
    options = parse(argv)
    problem = display_problem()
    if problem:
        print(problem, file=sys.stderr)
        return NO_DISPLAY
    # Qt is loaded only where there is a screen; without one its libraries may be missing altogether.
    import qasync

    from client.app.choices import ChoiceError, PluggedIn
    from client.app.window import WindowError, make_application

    try:
        plugged_in = PluggedIn(options.camera, options.sound)
    except ChoiceError as error:
        print(error, file=sys.stderr)
        return 2
    application = make_application()
    application.setQuitOnLastWindowClosed(False)
    loop = qasync.QEventLoop(application)
    asyncio.set_event_loop(loop)
    with ThreadPoolExecutor(4, thread_name_prefix="desktop") as workers, loop:
        loop.set_default_executor(workers)
        try:
            loop.run_until_complete(_run(options, plugged_in))
        except WindowError as error:
            print(error, file=sys.stderr)
            return 1
        finally:
            asyncio.set_event_loop(None)
    return 0


async def _run(options: argparse.Namespace, plugged_in: Any) -> None:
    """Build everything, wait until the window is closed or the time is over, take everything down."""
    from client.app.window import Window
    from client.app.window_stats import WindowStatistics

    doors, program = _build(options, plugged_in)
    meeting = program.meeting
    statistics: WindowStatistics | None = None
    if options.stats is not None:
        statistics = WindowStatistics()
        meeting.feed.on_shown = statistics.on_shown
        meeting.stateChanged.connect(lambda: statistics.on_state(meeting.state))
    closed = asyncio.Event()
    restore = _end_on_signals(closed)
    window = Window(program, options.size)
    program.closed.connect(closed.set)
    try:
        meeting.call.open()
        collector.settle()
        if options.join or options.fake is not None:
            program.entrance.enter(options.join or "gallery", options.name)
            if options.join_now:
                program.entrance.join()
        await _wait(closed, window, options)
        if statistics is not None:
            numbers = await asyncio.to_thread(_call_statistics, meeting.call)
            statistics.write(options.stats, page=program.page, **numbers)
    finally:
        restore()
        window.close()
        program.stop()
        await asyncio.to_thread(meeting.call.close)
        if doors is not None:
            await asyncio.to_thread(doors.server.stop)


def _build(options: argparse.Namespace, plugged_in: Any) -> tuple[Any, Any]:
    """The doors, if they lead to real meetings, and the program."""
    from client.app.doors import GalleryDoors, RealDoors
    from client.app.fake_call import FakeCall
    from client.app.window import preferences_path
    from client.bridge.devices import Choice, Devices
    from client.bridge.entrance import Entrance
    from client.bridge.meeting import Meeting
    from client.bridge.preferences import Preferences
    from client.bridge.program import Program

    preferences = Preferences(preferences_path())
    if options.fake is not None:
        others = max(0, options.fake - 1)
        marked = options.stats is not None
        meeting = Meeting(
            lambda on_state, on_levels: FakeCall(on_state, on_levels, others=others, marked=marked)
        )
        devices = Devices(
            lambda: ([Choice("a", "Built-in camera", None)], [Choice("b", "Built-in microphone", None)]),
            preferences,
        )
        return None, Program(meeting, Entrance(GalleryDoors(others), preferences), devices)
    from client.call.call import Call

    doors = RealDoors()
    meeting = Meeting(
        lambda on_state, on_levels: Call(studio=options.studio, on_state=on_state, on_levels=on_levels)
    )
    return doors, Program(meeting, Entrance(doors, preferences), Devices(plugged_in, preferences))


async def _wait(closed: asyncio.Event, window: Any, options: argparse.Namespace) -> None:
    """Until the window is closed or the time is over; the picture is taken on the way, at the latest then."""
    loop = asyncio.get_running_loop()
    ends = None if options.seconds is None else loop.time() + options.seconds
    if options.screenshot is not None:
        moment = loop.time() + options.screenshot_after
        await _until(closed, moment if ends is None else min(moment, ends))
        _screenshot(window, options)
    await _until(closed, ends)


async def _until(closed: asyncio.Event, moment: float | None) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout_at(moment):
            await closed.wait()


def _screenshot(window: Any, options: argparse.Namespace) -> None:
    if not window.screenshot(options.screenshot):
        print(f"The picture of the window could not be written to {options.screenshot}.", file=sys.stderr)


def _call_statistics(call: Any) -> dict[str, Any]:
    """The call's own numbers where it has them."""
    from dataclasses import asdict, is_dataclass

    numbers = call.statistics() if hasattr(call, "statistics") else None
    return {"call": asdict(numbers)} if is_dataclass(numbers) and not isinstance(numbers, type) else {}


def _end_on_signals(closed: asyncio.Event) -> Any:
    """Let an interrupt and a request to end close the program in order; returns what undoes it."""
    import socket

    loop = asyncio.get_running_loop()
    # Python runs its signal handlers only between its own instructions, and Qt's loop waits outside of
    # them: the wake-up socket brings it back.
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.setblocking(False)
    loop.add_reader(ours.fileno(), lambda: ours.recv(64))
    before_fd = signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, lambda *_: closed.set())

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(before_fd)
        loop.remove_reader(ours.fileno())
        ours.close()
        theirs.close()

    return restore


if __name__ == "__main__":
    sys.exit(main())
