"""Numbers that wrap: which is newer, and what they would be if they did not wrap."""

from __future__ import annotations

from typing import Final


def is_newer(a: int, b: int, bits: int = 16) -> bool:
    """True when `a` comes after `b` in a counter of that many bits (serial arithmetic, RFC 1982).

    At exactly half the range, where the RFC leaves it open, the larger number is the newer one.
    """
    half = 1 << bits - 1
    distance = (a - b) & (half * 2 - 1)
    return 0 < distance < half or (distance == half and a > b)


class SequenceUnwrapper:
    """Turns wrapping numbers (16 bits: sequence, 32: timestamp, 15: picture id) into plain growing ints.

    Each number is read as the one nearest to the highest so far, so a late one comes out lower. The first
    comes out as it is; what precedes it across a wrap comes out negative.
    """

    __slots__ = ("_half", "_mask", "highest")

    def __init__(self, bits: int = 16) -> None:
        self._half: Final = 1 << bits - 1
        self._mask: Final = (1 << bits) - 1
        #: The highest unwrapped number so far; None before the first.
        self.highest: int | None = None

    def unwrap(self, value: int) -> int:
        """The unwrapped number, and the new highest when it is one."""
        highest = self.highest
        if highest is None:
            self.highest = value
            return value
        distance = (value - highest) & self._mask
        if distance < self._half:
            self.highest = highest = highest + distance
            return highest
        return highest + distance - self._mask - 1

    def peek(self, value: int) -> int:
        """The unwrapped number, without remembering it."""
        if self.highest is None:
            return value
        distance = (value - self.highest) & self._mask
        return self.highest + distance - (0 if distance < self._half else self._mask + 1)
