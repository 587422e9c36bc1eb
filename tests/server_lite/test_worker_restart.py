"""A worker that is killed comes back at the same address."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys

import pytest

from rtc.socket_address import bind
from server_lite.config import Settings
from server_lite.workers import WorkerHost

if sys.platform != "linux":
    pytest.skip("several processes on one address need Linux", allow_module_level=True)

HOST = "127.0.0.1"
PATIENCE = 60.0  # seconds; a process starts anew


async def test_a_worker_that_is_killed_comes_back_at_the_same_address() -> None:
    with bind(HOST, 0) as free:
        port = free.getsockname()[1]
    host = WorkerHost(Settings(host=HOST), port, 2)
    await host.start()
    try:
        assert host.udp_port == port
        before = host.pids
        assert len(set(before)) == 2
        for victim in before:  # one after the other: each finds its door as the dead left it
            os.kill(victim, signal.SIGKILL)
            place = before.index(victim)
            async with asyncio.timeout(PATIENCE):
                while host.pids[place] in (0, victim) or not host._processes[place]._channel:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
        for _ in range(4):  # whichever worker the system chooses
            with socket.create_connection((HOST, port), 5):
                pass
    finally:
        await host.close()
    with bind(HOST, port):  # nobody is left there
        pass
