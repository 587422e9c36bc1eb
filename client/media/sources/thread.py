"""The thread a source lives in: opens it, keeps its pace, hands its items on, lets it go."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from client.media.pacing import Pacer
from client.media.sources.errors import SourceError
from client.media.sources.reader import Reader

Item = TypeVar("Item")

log = logging.getLogger(__name__)


class SourceThread(Generic[Item]):
    """Runs one source. All callbacks come from its own thread; after `stop` returned none comes any more.

    `on_started(name)` once the device is open, `on_failed(sentence)` if it cannot be opened or goes away.
    With `stamp_due` a paced source is told when its item was due instead of when it is made: sound that is
    made a little late is still an unbroken timeline.
    """

    def __init__(
        self,
        open_source: Callable[[], Reader[Item]],
        on_item: Callable[[Item], None],
        on_started: Callable[[str], None],
        on_failed: Callable[[str], None],
        *,
        name: str,
        stamp_due: bool = False,
    ) -> None:
        self._open = open_source
        self._on_item = on_item
        self._on_started = on_started
        self._on_failed = on_failed
        self._stamp_due = stamp_due
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Start the thread; opening the device happens inside it."""
        self._thread.start()

    @property
    def running(self) -> bool:
        """Whether the source is being opened or delivers."""
        return self._thread.is_alive() and not self._stopping.is_set()

    def stop(self, timeout: float = 1.5) -> bool:
        """Stop within `timeout` seconds; False if the device hangs (its thread is left behind, muted)."""
        self._stopping.set()
        if self._thread is not threading.current_thread() and self._thread.ident is not None:
            self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            reader = self._open()
        except SourceError as error:
            self._fail(error.sentence)
            return
        except Exception:
            log.exception("a source could not be opened")
            self._fail("This source cannot be opened because of an unexpected error. Choose another one.")
            return
        try:
            if not self._stopping.is_set():
                self._on_started(reader.name)
            self._pump(reader)
        except SourceError as error:
            self._fail(error.sentence)
        except Exception:
            log.exception("the source %s broke", reader.name)
            self._fail(f"{reader.name} stopped because of an unexpected error. Choose it again to go on.")
        finally:
            reader.close()

    def _pump(self, reader: Reader[Item]) -> None:
        pacer = Pacer(reader.period) if reader.period is not None else None
        due = 0.0
        while not self._stopping.is_set():
            if pacer is not None:
                delay = pacer.delay(time.monotonic())
                if delay > 0.0 and self._stopping.wait(delay):
                    return
                due = pacer.advance()
            now = time.monotonic()
            item = reader.read(due if pacer is not None and self._stamp_due else now)
            if item is not None and not self._stopping.is_set():
                self._on_item(item)

    def _fail(self, sentence: str) -> None:
        if not self._stopping.is_set():
            self._on_failed(sentence)
