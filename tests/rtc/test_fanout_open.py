from __future__ import annotations

import sys
from types import ModuleType

import pytest

from rtc.fanout_open import native_reason, open_fanout
from rtc.fanout_twin import PythonFanout


class _Kernel:
    pass


def kernel(reason: str) -> ModuleType:
    """Looks like the package of the kernel; `reason` why it is not available, empty when it is."""
    module = ModuleType("rtc._fanout")
    vars(module).update(available=lambda: not reason, why_not=lambda: reason, NativeFanout=_Kernel)
    return module


def test_the_kernel_is_taken_where_it_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rtc._fanout", kernel(""))
    assert isinstance(open_fanout(), _Kernel)
    assert isinstance(open_fanout("native"), _Kernel)
    assert isinstance(open_fanout("python"), PythonFanout)


def test_the_twin_stands_in_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rtc._fanout", kernel("no compiler"))
    assert native_reason() == "no compiler"
    assert isinstance(open_fanout(), PythonFanout)
    with pytest.raises(RuntimeError, match="no compiler"):
        open_fanout("native")


def test_a_kernel_that_was_never_built_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rtc._fanout", None)
    assert native_reason()
    assert isinstance(open_fanout(), PythonFanout)
