"""Opens the forwarding plane: the kernel in C where it was built, else its twin in Python."""

from __future__ import annotations

from importlib import import_module
from typing import Literal, cast

from rtc.fanout import Fanout
from rtc.fanout_twin import PythonFanout

PlaneKind = Literal["auto", "native", "python"]


def open_fanout(kind: PlaneKind = "auto") -> Fanout:
    """Raises RuntimeError with the reason when `native` was asked for and is not there."""
    if kind == "python":
        return PythonFanout()
    reason = native_reason()
    if not reason:
        return cast(Fanout, import_module("rtc._fanout").NativeFanout())
    if kind == "native":
        raise RuntimeError(f"the forwarding kernel is not available: {reason}")
    return PythonFanout()


def native_reason() -> str:
    """Why the kernel cannot be used here; empty when it can."""
    try:
        native = import_module("rtc._fanout")
    except ImportError as error:
        return str(error)
    return "" if native.available() else str(native.why_not())
