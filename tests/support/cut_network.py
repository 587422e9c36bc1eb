"""A network that can be cut: a namespace of its own on a virtual cable. Needs root on Linux."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from types import TracebackType


def missing() -> str:
    """Why there can be no such network here; empty if there can."""
    if sys.platform != "linux" or shutil.which("ip") is None:
        return "needs Linux and the ip command"
    if os.geteuid() != 0:
        return "needs root to make a network namespace"
    try:
        with CutNetwork():
            return ""
    except RuntimeError as error:
        return f"network namespaces cannot be used here: {error}"


class CutNetwork:
    """Context manager. `prefix` before a command puts it on the far side, at `far`; we are at `near`."""

    def __init__(self) -> None:
        number = os.getpid() % 60_000
        self.name = f"hearth{number}"
        self._cable = f"hc{number}"
        base = f"10.{200 + number % 50}.{number // 250 % 250}"
        self.near, self.far = f"{base}.1", f"{base}.2"
        self.prefix = ("ip", "netns", "exec", self.name)

    def __enter__(self) -> CutNetwork:
        far_end = self._cable + "f"
        try:
            _ip("netns", "add", self.name)
            _ip("link", "add", self._cable, "type", "veth", "peer", "name", far_end)
            _ip("link", "set", far_end, "netns", self.name)
            _ip("addr", "add", f"{self.near}/30", "dev", self._cable)
            _ip("link", "set", self._cable, "up")
            for words in (
                ("addr", "add", f"{self.far}/30", "dev", far_end),
                ("link", "set", far_end, "up"),
                ("link", "set", "lo", "up"),
            ):
                _ip("-n", self.name, *words)
        except RuntimeError:
            self._remove()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._remove()

    def cut(self) -> None:
        """From now on nothing gets through, and nobody is told: the far end of the cable goes down."""
        _ip("-n", self.name, "link", "set", self._cable + "f", "down")

    def mend(self) -> None:
        _ip("-n", self.name, "link", "set", self._cable + "f", "up")

    def _remove(self) -> None:
        for words in (("link", "del", self._cable), ("netns", "del", self.name)):
            try:
                _ip(*words)
            except RuntimeError:
                pass  # it was never made


def _ip(*words: str) -> None:
    try:
        subprocess.run(["ip", *words], check=True, capture_output=True, text=True, timeout=10)
    except subprocess.CalledProcessError as error:
        raise RuntimeError(error.stderr.strip()) from error
