"""Python's cyclic collector in programs that must not pause."""

from __future__ import annotations

import gc

#: Objects made before the youngest generation is looked through. Higher means fewer, longer looks; what the
#: packet paths make is freed by counting references and never waits for them.
_YOUNG = 20_000


def settle() -> None:
    """Call once when a process has started up: what exists by now stays out of every later collection.

    A full collection looks at everything imported, some 100 ms in which no packet is forwarded and no
    picture shown; what is frozen here is not looked at again.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, 20, 20)
