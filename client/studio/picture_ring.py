"""Pictures from one process to another through shared memory: the latest wins, nobody waits.

Layout: a 64-byte head with the count of pictures written (u64), then SLOTS slots. A slot has a 64-byte head
(sequence as u64, odd while it is written; width and height as u32; captured_at as f64) and packed I420.
Picture n goes into slot n % SLOTS with the sequence 2n. A reader that finds another sequence after its copy
than before was overtaken and tries the newest one. The message that tells the reader of a new picture goes
through a pipe, which orders the memory of the two processors.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Sized
from contextlib import suppress
from multiprocessing import resource_tracker
from multiprocessing.shared_memory import SharedMemory

import numpy as np

from client.media.fit import fill_picture
from client.media.picture import Picture

SLOTS = 3
#: Room for one picture; larger ones are scaled down.
MAX_WIDTH, MAX_HEIGHT = 1920, 1080
_HEAD = 64
_CAPACITY = MAX_WIDTH * MAX_HEIGHT * 3 // 2
_STRIDE = _HEAD + _CAPACITY
_COUNT = struct.Struct("<Q")
_SLOT = struct.Struct("<QIId")


class PictureRing:
    """One writer, one reader. The reader's process creates the ring and removes it."""

    def __init__(self, memory: SharedMemory, owner: bool) -> None:
        self._memory = memory
        self._owner = owner
        self._count = 0  # pictures written, or the last one read

    @classmethod
    def create(cls) -> PictureRing:
        """A new ring; `name` lets the writer attach."""
        return cls(SharedMemory(create=True, size=_HEAD + SLOTS * _STRIDE), owner=True)

    @classmethod
    def attach(cls, name: str) -> PictureRing:
        """The writer's end. Raises FileNotFoundError if the owner is gone already."""
        return cls(_attach(name), owner=False)

    @property
    def _buffer(self) -> memoryview:
        buffer = self._memory.buf
        if buffer is None:
            raise ValueError("the ring is closed")
        return buffer

    @property
    def name(self) -> str:
        """What the writer attaches by."""
        return self._memory.name

    def write(self, picture: Picture) -> None:
        """Put a picture; the oldest one is overwritten."""
        if picture.width * picture.height > MAX_WIDTH * MAX_HEIGHT:
            picture = fill_picture(picture, MAX_WIDTH, MAX_HEIGHT)
        number = self._count + 1
        place = _HEAD + number % SLOTS * _STRIDE
        _COUNT.pack_into(self._buffer, place, 2 * number - 1)
        target = Picture.from_buffer(
            self._buffer[place + _HEAD : place + _STRIDE], picture.width, picture.height, 0.0
        )
        for source, plane in zip(picture.planes, target.planes, strict=True):
            plane[:] = source
        _SLOT.pack_into(self._buffer, place, 2 * number, picture.width, picture.height, picture.captured_at)
        _COUNT.pack_into(self._buffer, 0, number)
        self._count = number

    def read(self) -> Picture | None:
        """A copy of the latest picture, or None if there is none newer than the last one read."""
        for _ in range(SLOTS):
            (number,) = _COUNT.unpack_from(self._buffer, 0)
            if number <= self._count:
                return None
            picture = self._copy(number)
            if picture is not None:
                self._count = number
                return picture
        return None

    def close(self) -> None:
        """Let the memory go; the owner's end removes it."""
        with suppress(BufferError):
            self._memory.close()
        if self._owner:
            with suppress(FileNotFoundError):
                self._memory.unlink()

    def _copy(self, number: int) -> Picture | None:
        place = _HEAD + number % SLOTS * _STRIDE
        sequence, width, height, captured_at = _SLOT.unpack_from(self._buffer, place)
        size = width * height + 2 * ((width + 1) // 2) * ((height + 1) // 2)
        if sequence != 2 * number or not 0 < size <= _CAPACITY:
            return None
        start = place + _HEAD
        data = np.frombuffer(self._buffer, np.uint8, size, start).copy()
        if _COUNT.unpack_from(self._buffer, place) != (sequence,):
            return None
        return Picture.from_buffer(data, width, height, captured_at)


def _attach(name: str) -> SharedMemory:
    """Attach without making this process responsible for removing it (bpo-39959, solved in Python 3.13)."""
    if sys.version_info >= (3, 13):
        return SharedMemory(name, track=False)
    register = resource_tracker.register
    resource_tracker.register = _not_mine
    try:
        return SharedMemory(name)
    finally:
        resource_tracker.register = register


def _not_mine(name: Sized, rtype: str) -> None:
    """The owner has registered the memory."""
