"""Run a program that must not outlive whoever started it: `python -m client.app.leash COMMAND...`.

The starter holds the other end of this process's standard input. When that end closes, for whatever
reason (the starter ended, crashed or was killed), the command is ended too. The exit code is the command's.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from types import FrameType

#: Seconds for the command to end by itself before it is killed.
GRACE = 5.0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command of `argv` (default: the command line) and return its exit code."""
    command = list(sys.argv[1:] if argv is None else argv)
    if not command:
        print("Usage: python -m client.app.leash COMMAND...", file=sys.stderr)
        return 2
    # Safe here: no thread has been started yet that could hold a lock in the new process.
    before = _die_with_parent if sys.platform == "linux" else None
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, preexec_fn=before)  # noqa: PLW1509

    def stop(_signal: int, _frame: FrameType | None) -> None:
        child.terminate()

    signal.signal(signal.SIGTERM, stop)
    threading.Thread(target=_watch, args=(child,), name="leash", daemon=True).start()
    return child.wait()


def _die_with_parent() -> None:
    """Linux ends the command even if this very process is killed (prctl(2), PR_SET_PDEATHSIG = 1)."""
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)


def _watch(child: subprocess.Popen[bytes]) -> None:
    # os.read, not sys.stdin: a thread that waits inside a buffered reader spoils the interpreter's exit.
    while os.read(0, 1024):
        pass
    child.terminate()
    try:
        child.wait(GRACE)
    except subprocess.TimeoutExpired:
        child.kill()


if __name__ == "__main__":
    raise SystemExit(main())
