"""A build that is missing does not hide: where the kernel can be built, it is there and used."""

from __future__ import annotations

from rtc._fanout import build
from rtc.fanout_open import native_reason, open_fanout
from rtc.fanout_twin import PythonFanout


def test_the_kernel_is_built_where_it_can_be() -> None:
    if build.why_not() == "":
        assert native_reason() == ""
        assert not isinstance(open_fanout(), PythonFanout)
    else:
        assert native_reason()
        assert isinstance(open_fanout(), PythonFanout)
