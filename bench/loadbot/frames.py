"""Checks the frames of one stream whose packets come in order: whole, decodable, continuous, of the right
sender, by the right clock. Stamps say what is true (bench/loadbot/stamp.py); headers must agree with them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Final

from bench.loadbot.delays import Delays
from bench.loadbot.findings import Findings
from bench.loadbot.stamp import Stamp, read_stamp
from bench.loadbot.structure import temporal_of
from rtc import dependency_descriptor
from rtc.errors import PacketError
from rtc.fanout import Flag
from rtc.rtp import RtpPacket

_EMPTY: Final = int(Flag.EMPTY)
_FRAME_START: Final = int(Flag.FRAME_START)
_FRAME_END: Final = int(Flag.FRAME_END)
_DESCRIBED: Final = int(Flag.DESCRIBED)
_SENDERS: Final = 16
#: Frames back that another frame may refer to: four pictures of three layers, and some.
_KEPT: Final = 32
#: Seconds by which the steps of timestamps and of the sender's clock may differ: of one source, and where a
#: server went from one to another.
_CLOCK: Final = 0.012
_CLOCK_AT_SWITCH: Final = 0.1
#: Changes of layer that are remembered.
_CHANGES: Final = 256

Read = Callable[[int], bytes]


class _Checks:
    """What sound and pictures have in common."""

    clock_rate = 48000

    def __init__(self, found: Findings, delays: Delays | None, senders: frozenset[int] | None) -> None:
        self.found, self.senders = found, senders
        self._longest = 0.0  # seconds between two frames that could be shown
        self.wants_key_frame = False
        self.changes: list[tuple[float, int]] = []  # (when, layer) of pictures
        self.shown_at: float | None = None  # when the last frame came that could be shown
        self._delays = delays
        self._by_sender: Counter[int] = Counter()
        self._clock: tuple[int, float, int] | None = (
            None  # timestamp, capture time and sender of the last frame
        )
        self._broke = True  # what comes next need not follow what came last

    def broke(self) -> None:
        """Packets are missing for good."""
        self._broke = True

    def only(self, senders: frozenset[int]) -> None:
        """From now on these only; who was heard before does not count."""
        self.senders = senders
        self._by_sender.clear()

    def forget_gaps(self) -> None:
        """Only gaps from now on count."""
        self._longest = self.found.longest_gap_ms = 0.0

    def ended(self, now: float) -> None:
        """The senders stop: a gap until now counts, what comes later does not."""
        if self.shown_at is not None:
            self._gap(now)
            self.shown_at = None

    def finish(self, found: Findings) -> None:
        """Completes the counts."""
        stamped = self._by_sender.total()
        if self.senders is None:
            right = max(self._by_sender.values(), default=0)
        else:
            right = sum(self._by_sender[sender] for sender in self.senders)
        found.wrong_sender = stamped - right

    def _sent_by(self, stamp: Stamp, timestamp: int) -> None:
        by_sender = self._by_sender
        if stamp.sender in by_sender:
            by_sender[stamp.sender] += 1
        elif len(by_sender) < _SENDERS:
            by_sender[stamp.sender] = 1
        taken = stamp.sent - stamp.waited
        if self._clock is not None:
            before, then, sender = self._clock
            step = ((timestamp - before + 0x80000000) & 0xFFFFFFFF) - 0x80000000
            same = sender == stamp.sender and not self._broke
            if taken > then and (
                step <= 0
                or abs(step / self.clock_rate - (taken - then)) > (_CLOCK if same else _CLOCK_AT_SWITCH)
            ):
                self.found.clock_jumps += 1
        self._clock = (timestamp, taken, stamp.sender)

    def _shown(self, stamp: Stamp, now: float) -> None:
        if self._delays is not None:
            self._delays.add(now - stamp.sent)
        before = self.shown_at
        if before is not None and now - before > self._longest:
            self._gap(now)
        self.shown_at = now

    def _gap(self, now: float) -> None:
        self._longest = max(self._longest, now - (self.shown_at or now))
        self.found.longest_gap_ms = round(self._longest * 1000, 1)


class SoundChecks(_Checks):
    """Each packet is a frame."""

    _number: int | None = None

    def take(self, flags: int, timestamp: int, index: int, read: Read, now: float) -> None:
        if flags & _EMPTY:
            return
        self.found.frames += 1
        stamp = read_stamp(read(index), last=True)
        if stamp is None:
            self.found.unstamped += 1
            return
        before = self._clock
        if before is not None and before[2] == stamp.sender and self._number is not None and not self._broke:
            ahead = stamp.number - self._number
            if ahead > 1:
                self.found.skipped_frames += ahead - 1
                self._broke = True  # held back for a while
            elif ahead < 1:
                self.found.backward_frames += 1
        self._sent_by(stamp, timestamp)
        self._number, self._broke = stamp.number, False
        self._shown(stamp, now)


class PictureChecks(_Checks):
    """Frames of one or several packets; simulcast layers come one at a time, spatial ones together."""

    clock_rate = 90000

    def __init__(self, found: Findings, delays: Delays | None, senders: frozenset[int] | None) -> None:
        super().__init__(found, delays, senders)
        self.layer = -1
        self._open = self._told = False
        self._stamp: Stamp | None = None
        self._timestamp = 0
        self._ids: tuple[int, int, int] | None = None
        self._last: Stamp | None = None
        self._last_ids: tuple[int, int, int] | None = None
        self._key_number = 0
        self._decodable: dict[int, None] = {}
        self._structure: dependency_descriptor.Structure | None = None
        self._asked: float | None = None
        self._anything = False

    def take(self, flags: int, timestamp: int, index: int, read: Read, now: float) -> None:
        if flags & _EMPTY:
            return
        if flags & _FRAME_START:
            self._ends_early()
            self._open, self._told, self._timestamp = True, False, timestamp
            data = read(index)
            self._stamp, self._ids = read_stamp(data), self._numbers(data, flags)
        elif not self._open or timestamp != self._timestamp:
            self._ends_early()
            if flags & _FRAME_END:
                self.found.incomplete_frames += not self._told
                self._told = False
            return
        if flags & _FRAME_END:
            self._open = False
            self._frame(now)

    def broke(self) -> None:
        super().broke()
        self._ends_early()

    def _ends_early(self) -> None:
        """The rest of a frame does not come, or only its end, which tells nothing new."""
        if self._open:
            self.found.incomplete_frames += 1
            self._open, self._told = False, True

    def _frame(self, now: float) -> None:
        """A whole one."""
        self.found.frames += 1
        stamp = self._stamp
        if stamp is None:
            self.found.unstamped += 1
            return
        self._continues(stamp)
        decodable = self._decodes(stamp, now)
        self._sent_by(stamp, self._timestamp)
        self._last, self._last_ids, self._broke = stamp, self._ids, False
        if decodable:
            self._shown(stamp, now)
            if self._asked is not None and stamp.key:
                wait = (now - self._asked) * 1000
                self.found.key_frame_wait_ms = max(self.found.key_frame_wait_ms, wait)
            if stamp.key:
                self._asked, self.wants_key_frame = None, False
        elif not self.wants_key_frame:
            self.wants_key_frame, self._asked = True, now

    def _decodes(self, stamp: Stamp, now: float) -> bool:
        """Whether all came that it refers to."""
        if not self._anything:
            self._anything = True
            self.found.not_from_key_frame = 0 if stamp.key else 1
        if stamp.key:
            self._decodable.clear()
            self._key_number = stamp.number
        elif not stamp.scalable and stamp.layer != self.layer and self.layer >= 0:
            self.found.bad_switches += 1
            self._decodable.clear()
        if stamp.layer != self.layer and (stamp.layer > self.layer or not stamp.scalable or stamp.key):
            self._changed(stamp.layer, now)
        decodable, number = self._decodable, stamp.number
        for back in stamp.references:
            if number - back not in decodable:
                break
        else:
            if stamp.key or stamp.references:
                decodable[number] = None
                if len(decodable) > _KEPT:
                    del decodable[next(iter(decodable))]
                return True
        self.found.undecodable_frames += 1
        return False

    def _changed(self, layer: int, now: float) -> None:
        self.layer = layer
        if len(self.changes) < _CHANGES:
            self.changes.append((now, layer))

    def _sent_by(self, stamp: Stamp, timestamp: int) -> None:
        if stamp.scalable and self._clock is not None and self._clock[0] == timestamp:
            return  # another layer of the same picture
        if stamp.key and self._last is not None and stamp.layer != self._last.layer:
            self._broke = True  # another encoding, whose clock is aligned by reports
        super()._sent_by(stamp, timestamp)

    def _continues(self, stamp: Stamp) -> None:
        """Whether numbers go on from the last frame of the same encoding of the same sender."""
        last = self._last
        if last is None or self._broke or last.sender != stamp.sender:
            return
        if not stamp.scalable and last.layer != stamp.layer:
            return
        ahead = stamp.number - last.number
        if ahead < 1:
            self.found.backward_frames += 1
            return
        if ahead > 1:
            self._count_left_out(stamp, last.number, ahead)
        if not self._broke and self._ids is not None and self._last_ids is not None:
            self._check_ids(stamp, self._ids, self._last_ids, ahead)

    def _count_left_out(self, stamp: Stamp, last: int, ahead: int) -> None:
        if stamp.scalable:
            return  # higher spatial layers may stay away: decodability tells
        if stamp.key:  # the server sent nothing of it for a while, and begins anew
            self.found.paused_frames += ahead - 1
            self._broke = True
            return
        for number in range(last + 1, min(stamp.number, last + 1 + _KEPT)):
            since = number - self._key_number
            if since > 0 and temporal_of(since) > 0 and stamp.layered:
                self.found.thinned_frames += 1
            else:
                self.found.skipped_frames += 1

    def _check_ids(
        self, stamp: Stamp, ids: tuple[int, int, int], last: tuple[int, int, int], ahead: int
    ) -> None:
        """Picture ids go on by one, TL0PICIDX with each frame of temporal layer 0, frame numbers as
        stamps."""
        wrong = False
        if ids[2] >= 0 and last[2] >= 0:
            wrong = (ids[2] - last[2] - ahead) & 0xFFFF != 0
        elif ids[0] >= 0 and last[0] >= 0:
            wrong = (ids[0] - last[0]) & 0x7FFF != 1
            if ids[1] >= 0 and last[1] >= 0:
                wrong = wrong or (ids[1] - last[1]) & 0xFF != (stamp.temporal == 0)
        if wrong:
            self.found.picture_id_jumps += 1

    def _numbers(self, data: bytes, flags: int) -> tuple[int, int, int] | None:
        """Picture id, TL0PICIDX and frame number; -1 for what the packet does not say."""
        begin = payload_offset(data)
        if begin is None:
            self.found.malformed += 1
            return None
        if flags & _DESCRIBED:
            return (-1, -1, self._described(data))
        if data[1] & 0x7F != VP8_TYPE:
            return (-1, -1, -1)
        try:
            picture, tl0 = vp8_numbers(data, begin)
        except IndexError:
            self.found.malformed += 1
            return None
        return (picture, tl0, -1)

    def _described(self, data: bytes) -> int:
        """The frame number, or -1; a descriptor that cannot be read counts as malformed."""
        try:
            value = RtpPacket.parse(data).extensions.get(DEPENDENCY_ID, b"")
            read = dependency_descriptor.read(value, self._structure, 0)
        except PacketError:
            self.found.malformed += 1
            return -1
        self._structure = read.structure
        return read.frame_number


#: As light members agree on them.
VP8_TYPE: Final = 96
DEPENDENCY_ID: Final = 6


def vp8_numbers(data: bytes, begin: int) -> tuple[int, int]:
    """Picture id and TL0PICIDX of the descriptor at `begin` (RFC 7741); -1 for what it lacks. Raises
    IndexError behind the end. Vp8Descriptor reads more, and costs four times as much."""
    picture = tl0 = -1
    if not data[begin] & 0x80:
        return picture, tl0
    present, at = data[begin + 1], begin + 2
    if present & 0x80:
        picture = data[at]
        at += 1
        if picture & 0x80:
            picture = (picture & 0x7F) << 8 | data[at]
            at += 1
    if present & 0x40:
        tl0 = data[at]
    return picture, tl0


def payload_offset(data: bytes) -> int | None:
    """Where the payload of an RTP packet begins (RFC 3550 section 5.1); None when it has none."""
    if len(data) < 13 or data[0] >> 6 != 2:
        return None
    begin = 12 + 4 * (data[0] & 0x0F)
    if data[0] & 0x10:
        if len(data) < begin + 4:
            return None
        begin += 4 + 4 * int.from_bytes(data[begin + 2 : begin + 4], "big")
    end = len(data) - (data[-1] if data[0] & 0x20 else 0)
    return begin if begin < end else None
