"""A path that is closed at every step of its coming up: it ends soon and leaves nothing open."""

from __future__ import annotations

import asyncio
import sys
import types
from collections.abc import Callable, Coroutine, Generator
from functools import partial
from typing import Any

import pytest
from aioice import ice
from aiortc.rtcdtlstransport import RTCDtlsTransport

from rtc import transport
from rtc.sdp import Candidate
from rtc.udp_mux import UdpMux
from tests.rtc.transport_pair import Pair, pair, until

#: Steps that all tasks together need to bring a path up, and some more: the last ones close one that is up.
STEPS = 45
WITHIN = 3.0  # seconds; it takes some milliseconds


class Steps:
    """Calls `then` after `count` steps of all tasks that the loop makes from now on."""

    def __init__(self, count: int, then: Callable[[], object]) -> None:
        self._left, self._then = count, then

    def watch(self, loop: asyncio.AbstractEventLoop) -> None:
        def make(loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> asyncio.Task[Any]:
            return asyncio.Task(self._counted(coroutine), loop=loop, **options)

        loop.set_task_factory(make)

    @types.coroutine
    def _counted(self, work: Coroutine[Any, Any, Any]) -> Generator[Any, Any, Any]:
        step: Callable[[], Any] = partial(work.send, None)
        while True:
            try:
                waited_for = step()
            except StopIteration as end:
                return end.value
            finally:
                self._left -= 1
                if self._left == 0:
                    self._then()
            try:
                yield waited_for
                step = partial(work.send, None)
            except BaseException as error:  # a cancellation
                step = partial(work.throw, error)


class Sockets:
    """Those that the ICE agent opened, by the protocol."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.open: dict[object, asyncio.BaseTransport] = {}
        self.count = 0
        made, lost = ice.StunProtocol.connection_made, ice.StunProtocol.connection_lost

        def connection_made(protocol: ice.StunProtocol, transport: asyncio.BaseTransport) -> None:
            self.open[protocol] = transport
            self.count += 1
            made(protocol, transport)

        def connection_lost(protocol: ice.StunProtocol, error: Exception | None) -> None:
            self.open.pop(protocol, None)
            lost(protocol, error)

        monkeypatch.setattr(ice.StunProtocol, "connection_made", connection_made)
        monkeypatch.setattr(ice.StunProtocol, "connection_lost", connection_lost)


async def close_at(step: int, sockets: Sockets, *, cancel: bool) -> bool:
    """Whether the path was up by then."""
    loop = asyncio.get_running_loop()
    mux = await UdpMux.open("127.0.0.1", 0)
    both = Pair(mux, "127.0.0.1")
    server = asyncio.create_task(both.server.connect(both.told_server))
    reached = asyncio.Event()
    Steps(step, reached.set).watch(loop)
    client = asyncio.create_task(both.client.connect(both.told_client, dtls_role="client"))
    client.add_done_callback(lambda done: reached.set())
    try:
        async with asyncio.timeout(WITHIN):
            await reached.wait()
            if cancel:
                client.cancel()
            await both.client.close()
            (result,) = await asyncio.gather(client, return_exceptions=True)
        assert result is None or isinstance(result, (ConnectionError, asyncio.CancelledError))
        assert not sockets.open, "a socket stays open"
    finally:
        loop.set_task_factory(None)
        for transport in list(sockets.open.values()):
            transport.close()
        await both.server.close()
        await asyncio.gather(server, return_exceptions=True)
        await mux.close()
    async with asyncio.timeout(WITHIN):
        while len(asyncio.all_tasks()) > 1:  # noqa: ASYNC110 - aiortc does not wait for all of its own
            await asyncio.sleep(0)
    return result is None


def loops() -> list[str]:
    return ["asyncio"] if sys.platform == "win32" else ["asyncio", "uvloop"]


@pytest.mark.parametrize("kind", loops())
@pytest.mark.parametrize("cancel", [False, True])
def test_closed_at_every_step(kind: str, cancel: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    sockets = Sockets(monkeypatch)
    factory: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
    if kind == "uvloop":
        import uvloop

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        up = [runner.run(close_at(step, sockets, cancel=cancel)) for step in range(1, STEPS)]
    assert not up[0]
    assert up[-1], "there are more steps than were tried"
    assert sockets.count > 40


@pytest.mark.parametrize("host", ["", "name.local", "nowhere.invalid", "192.0.2.1 x"])
async def test_closed_at_once_after_an_answer_without_an_address(host: str) -> None:
    async with pair(connected=False) as both:
        both.told_client.candidates = [Candidate(host, 9)]
        with pytest.raises(ConnectionError, match="no address"):
            await both.client.connect(both.told_client, dtls_role="client")
        await both.client.close()
        with pytest.raises(ConnectionError, match="closed"):
            await both.client.connect(both.told_client, dtls_role="client")


async def test_a_link_that_is_closed_at_once_does_not_stop_the_loop() -> None:
    async with pair(connected=False) as both:
        both.told_client.candidates = []
        with pytest.raises(ConnectionError, match="no address"):
            await both.client_link.establish(both.told_client)
        await both.client_link.close()


async def test_sockets_that_do_not_close_are_torn(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(transport, "CLOSE_TIMEOUT_S", 0.05)
    sockets = Sockets(monkeypatch)

    async def stuck(protocol: Any) -> None:
        await protocol._StunProtocol__closed  # as with datagrams that the network does not take

    async with pair() as both:
        with monkeypatch.context() as while_closing:
            while_closing.setattr(ice.StunProtocol, "close", stuck)
            await both.client.close()
        await until(lambda: not sockets.open)
        assert sockets.count == 1
        assert "did not close in order" in caplog.text


async def test_the_path_is_freed_even_if_the_goodbye_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    sockets = Sockets(monkeypatch)

    async def fail(dtls: object) -> None:
        raise RuntimeError("the handler is closed")

    async with pair() as both:
        with monkeypatch.context() as while_closing:
            while_closing.setattr(RTCDtlsTransport, "stop", fail)
            with pytest.raises(RuntimeError):
                await both.client.close()
        assert not sockets.open
