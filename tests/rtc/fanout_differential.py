"""Drives the kernel and its twin with the same random streams.

`python -m tests.rtc.fanout_differential COUNT SEED`: that many packets in worlds with seeds from SEED on.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence

from rtc.fanout import Fanout
from rtc.fanout_open import open_fanout
from rtc.fanout_twin import PythonFanout
from tests.rtc.fanout_world import World

#: Packets of one world; more reach further into long runs, fewer see more worlds.
WORLD = 2000


def compare(make: Sequence[Callable[[], Fanout]], packets: int, seed: int) -> Counter[str]:
    """Worlds with the seeds from `seed` on until so many packets came in; the counters of all together.

    Raises fanout_pair.DifferenceError with the seed and the step.
    """
    total: Counter[str] = Counter()
    while total["received"] < packets:
        world = World(make, seed)
        try:
            world.run(WORLD)
            total.update(world.planes[0].counters())
        finally:
            world.close()
        seed += 1
    return total


def main() -> None:
    packets, seed = (int(sys.argv[1]), int(sys.argv[2])) if len(sys.argv) == 3 else (1_000_000, 1)
    began = time.monotonic()
    total = compare((PythonFanout, lambda: open_fanout("native")), packets, seed)
    print(f"0 differences in {total['received']} packets, {time.monotonic() - began:.0f} s")
    print(dict(total))


if __name__ == "__main__":
    main()
