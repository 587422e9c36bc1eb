"""An X server without a screen, on a display number of its own choice."""

from __future__ import annotations

import os
import select
import shutil
import subprocess
from types import TracebackType

SIZE = "1920x1200x24"
READY_WITHIN = 20.0  # seconds; a loaded machine takes a few


class Xvfb:
    """Context manager: `with Xvfb() as display` gives ":N"."""

    def __init__(self, size: str = SIZE) -> None:
        self.size = size
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> str:
        program = shutil.which("Xvfb")
        if program is None:
            raise RuntimeError("Xvfb is not installed; `python3 run.py test` installs it or says how")
        reader, writer = os.pipe()
        try:
            command = [program, "-displayfd", str(writer), "-screen", "0", self.size, "-nolisten", "tcp"]
            self.process = subprocess.Popen(
                command, pass_fds=[writer], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
        finally:
            os.close(writer)
        with os.fdopen(reader, "rb") as answers:
            if not select.select([answers], [], [], READY_WITHIN)[0]:
                self.stop()
                raise RuntimeError(f"Xvfb was not ready within {READY_WITHIN:.0f} s")
            number = answers.readline().strip()
        if not number.isdigit():
            self.stop()
            raise RuntimeError("Xvfb ended before it was ready")
        return f":{int(number)}"

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End the server and wait for it."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(5)
        self.process = None
