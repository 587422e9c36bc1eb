"""Opus (RFC 6716) for speech: 20 ms packets, 48 kHz mono."""

from __future__ import annotations

from fractions import Fraction

import av
import av.error
import numpy as np

from client.media.codec.concealment import Concealment
from client.media.codec.errors import CodecError
from client.media.sound import PACKET_SAMPLES, SAMPLE_RATE, Samples

#: The largest Opus packet with a single frame (RFC 6716, section 3.2.1); longer payloads are refused.
MAX_PAYLOAD = 1275 * 6 + 14


class OpusEncoder:
    """Packs 960 samples into one packet. `bitrate` in bits per second, 6 k to 128 k.

    `fec` adds a coarse copy of the packet before (costs about a third of the bits), `dtx` sends next to
    nothing in silence.
    """

    def __init__(self, bitrate: int = 32_000, fec: bool = True, dtx: bool = False) -> None:
        codec = av.CodecContext.create("libopus", "w")
        codec.sample_rate = SAMPLE_RATE
        codec.layout = "mono"
        codec.format = "s16"
        codec.bit_rate = max(6_000, min(128_000, bitrate))
        codec.time_base = Fraction(1, SAMPLE_RATE)
        codec.options = {
            "application": "voip",
            "frame_duration": "20",
            "fec": "1" if fec else "0",
            # libopus spends bits on the copies only if it is told to expect loss.
            "packet_loss": "5" if fec else "0",
            "dtx": "1" if dtx else "0",
        }
        codec.open()
        self._codec = codec
        self._pts = 0

    def encode(self, samples: Samples) -> bytes:
        """The packet of exactly 960 int16 samples. Raises CodecError."""
        if samples.size != PACKET_SAMPLES:
            raise CodecError(f"an Opus packet takes {PACKET_SAMPLES} samples, not {samples.size}")
        frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate = SAMPLE_RATE
        frame.pts = self._pts
        self._pts += PACKET_SAMPLES
        try:
            packets = self._codec.encode(frame)
        except (av.error.FFmpegError, OSError, ValueError) as error:
            raise CodecError(f"libopus refused a frame: {error}") from error
        if not packets:
            raise CodecError("libopus gave nothing for a frame")
        return bytes(packets[0])


class OpusDecoder:
    """Unpacks the packets of one stream in order; stereo is mixed down."""

    def __init__(self) -> None:
        codec = av.CodecContext.create("libopus", "r")
        codec.sample_rate = SAMPLE_RATE
        codec.layout = "mono"
        codec.format = "s16"
        self._codec = codec
        self._concealment = Concealment()

    def decode(self, payload: bytes) -> Samples:
        """The int16 samples of one packet, 120 to 5760 of them. Raises CodecError for a broken packet."""
        if not payload or len(payload) > MAX_PAYLOAD:
            raise CodecError("no Opus packet has this length")
        try:
            frames = self._codec.decode(av.Packet(payload))
        except (av.error.FFmpegError, OSError, ValueError) as error:
            raise CodecError(f"Opus: {error}") from error
        if not frames:
            raise CodecError("an Opus packet without sound")
        pieces = [frame.to_ndarray().reshape(-1) for frame in frames]
        samples = np.asarray(pieces[0] if len(pieces) == 1 else np.concatenate(pieces), np.int16)
        return self._concealment.received(samples)

    def conceal(self) -> Samples:
        """960 samples in place of a packet that never came: the last sound goes on and fades."""
        return self._concealment.conceal(PACKET_SAMPLES)
