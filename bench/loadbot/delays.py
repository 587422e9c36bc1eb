"""Delays in buckets: small enough for one line of JSON, and those of several processes add up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Final

BUCKET_MS: Final = 0.1
#: From here (100 ms) buckets are ten times as wide.
_COARSE: Final = 1000
#: Everything slower is counted in the last bucket: two seconds.
_LAST: Final = 20_000


class Delays:
    """A histogram."""

    def __init__(self, buckets: Mapping[str, int] | None = None) -> None:
        self._buckets = Counter({int(key): count for key, count in (buckets or {}).items()})

    def add(self, seconds: float) -> None:
        bucket = int(seconds * 1e4)
        if not 0 <= bucket < _COARSE:
            bucket = max(0, min(_LAST, bucket - bucket % 10))
        self._buckets[bucket] += 1

    def add_all(self, other: Delays) -> None:
        self._buckets.update(other._buckets)

    def clear(self) -> None:
        self._buckets.clear()

    @property
    def count(self) -> int:
        return self._buckets.total()

    def percentile(self, share: float) -> float | None:
        """Milliseconds that `share` (0..1) of all delays do not exceed; None without any."""
        wanted = share * self.count
        reached = 0
        for bucket in sorted(self._buckets):
            reached += self._buckets[bucket]
            if reached >= wanted:
                return round((bucket + 1) * BUCKET_MS, 1)
        return None

    def to_dict(self) -> dict[str, int]:
        """For JSON, and back through the constructor."""
        return {str(key): count for key, count in sorted(self._buckets.items())}
