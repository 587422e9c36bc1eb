"""How much one path carries: numbers on what we send, feedback for what we get. Pure."""

from __future__ import annotations

from typing import Final

from rtc.congestion import SendSideEstimator, SentLog
from rtc.errors import PacketError
from rtc.header_extensions import decode_transport_wide, encode_transport_wide
from rtc.rtcp import ReceiverEstimate, RtcpPacket, TransportFeedback
from rtc.rtp import RtpPacket
from rtc.transport_feedback import FeedbackRecorder

#: Bit/s until the first feedback: more than a camera is given, so that nobody is held back by what is not
#: known.
START_RATE: Final = 2_500_000
#: Bit/s that sound takes with its headers; the picture gets the rest, and never less than MIN_PICTURE. More
#: leaves a thin path for the voice, less lets the picture disturb it.
SOUND_RATE: Final = 60_000
MIN_PICTURE: Final = 50_000
#: Parts of the rate in force at which it is lowered and raised, and the least seconds since it last changed.
#: An encoder begins anew with a key frame when its rate changes: closer and quicker means more of them.
LOWER_AT: Final = 0.85
RAISE_AT: Final = 1.25
LOWER_PAUSE: Final = 0.5
RAISE_PAUSE: Final = 4.0
#: Bytes of SRTP's tag, which the path carries too.
_SEAL: Final = 16


class PathControl:
    """Both ends of bandwidth estimation for one path. Times in seconds of the monotonic clock."""

    def __init__(self, sender_ssrc: int) -> None:
        self._extensions: dict[int, int] = {}  # SSRC that we send -> id of the extension
        self._log = SentLog()
        self._estimator = SendSideEstimator(start=START_RATE)
        self._recorder = FeedbackRecorder(sender_ssrc)
        self._media_ssrc = 0  # of a stream that came
        self._known = False  # whether the other end said anything of the path
        self._rate: int | None = None  # of pictures, as it was told last
        self._changed = 0.0
        self.malformed = 0

    def agree(self, ssrc: int, extension: int | None) -> None:
        """The answer agreed to the extension under this id for what we send as `ssrc`; None: it did not."""
        if extension is None:
            self._extensions.pop(ssrc, None)
        else:
            self._extensions[ssrc] = extension

    def outgoing(self, data: bytes, now: float) -> bytes:
        """A packet of RTP that is sent now, with its number where that was agreed on."""
        extension = self._extensions.get(int.from_bytes(data[8:12], "big"))
        if extension is None:
            return data
        moment = _microseconds(now)
        packet = RtpPacket.parse(data)
        # The number of bytes is known before the number is: every number has two.
        packet.extensions = {**packet.extensions, extension: b"\0\0"}
        size = len(packet.serialize()) + _SEAL
        packet.extensions[extension] = encode_transport_wide(self._log.add(size, moment))
        self._estimator.sent(moment)
        return packet.serialize()

    def incoming(self, packet: RtpPacket, extension: int, now: float) -> None:
        """A packet of RTP that came, of whatever stream; it is acknowledged if it bears a number."""
        value = packet.extensions.get(extension)
        if value is None:
            return
        self._media_ssrc = packet.ssrc
        try:
            self._recorder.arrived(((decode_transport_wide(value), _microseconds(now)),))
        except PacketError:
            self.malformed += 1

    def handle_rtcp(self, packet: RtcpPacket, now: float) -> None:
        """What the other end says of the path: its feedback, or REMB from an older server."""
        moment = _microseconds(now)
        if isinstance(packet, TransportFeedback):
            sent = self._log.sent(packet.base_sequence, len(packet.arrivals))
            self._known = self._known or any(sent)
            self._estimator.feedback(packet, sent, moment)
        elif isinstance(packet, ReceiverEstimate):
            self._known = True
            self._estimator.remb(packet.bitrate, moment)

    def tick(self, now: float) -> list[bytes]:
        """RTCP that is due."""
        moment = _microseconds(now)
        self._estimator.tick(moment)
        return [packet.serialize() for packet in self._recorder.build(self._media_ssrc, moment)]

    def picture_rate(self, now: float) -> int | None:
        """Bit/s that pictures may have from now on; None while nothing changes, or nothing is known."""
        if not self._known:
            return None
        rate = max(self._estimator.target - SOUND_RATE, MIN_PICTURE)
        last = self._rate
        if last is not None:
            lower = rate < LOWER_AT * last and now - self._changed >= LOWER_PAUSE
            higher = rate > RAISE_AT * last and now - self._changed >= RAISE_PAUSE
            if not lower and not higher:
                return None
        self._rate, self._changed = rate, now
        return rate


def _microseconds(seconds: float) -> int:
    return int(seconds * 1_000_000)
