"""One fetcher at a time per package, across processes; the lock dies with its process."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from models.errors import FetchCancelledError

_RETRY_SECONDS = 0.1  # lower notices a free lock sooner and wakes the processor more often

if sys.platform == "win32":
    import msvcrt

    def _try_lock(stream: IO[bytes]) -> bool:
        try:
            stream.seek(0)
            msvcrt.locking(stream.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _unlock(stream: IO[bytes]) -> None:
        stream.seek(0)
        msvcrt.locking(stream.fileno(), msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _try_lock(stream: IO[bytes]) -> bool:
        try:
            fcntl.flock(stream.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    def _unlock(stream: IO[bytes]) -> None:
        fcntl.flock(stream.fileno(), fcntl.LOCK_UN)


@contextmanager
def held_lock(path: Path, cancel: threading.Event) -> Iterator[None]:
    """Hold the lock file; wait for another holder until `cancel` is set (then FetchCancelledError)."""
    with path.open("a+b") as stream:
        while not _try_lock(stream):
            if cancel.wait(_RETRY_SECONDS):
                raise FetchCancelledError
        try:
            yield
        finally:
            _unlock(stream)
