"""One path to the server and the streams on it: offers go out, answers come back, packets flow."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Sequence

from client.call.offer import (
    CAMERA_MID,
    LEVEL_EXTENSION,
    MICROPHONE_MID,
    MID_EXTENSION,
    ReceiveSections,
    SendSources,
    build_offer,
)
from client.call.receiver import Receiver
from client.media.picture import Picture
from client.studio.messages import SoundEncoded, VideoEncoded
from rtc import rtcp
from rtc.errors import PacketError
from rtc.rtp import RtpPacket
from rtc.sdp import SdpError, SessionDescription
from rtc.send_stream import SendStream
from rtc.signalling import media
from rtc.transport import Certificate, ClientLink, PeerTransport

#: Seconds without any packet, while we send, after which the path counts as dead. The server reports every
#: second; shorter would take a short cut in the network for the end of the path.
SILENT_S = 6.0


class MediaPath:
    """Streams over one ICE/DTLS path. Lives on the call thread; `close()` it when it is replaced."""

    def __init__(
        self,
        certificate: Certificate,
        *,
        on_up: Callable[[], None],
        on_down: Callable[[], None],
        on_picture: Callable[[str, Picture], None],
        on_key_frame_wanted: Callable[[], None],
        on_sound: Callable[[Receiver, bool], None],
    ) -> None:
        self._on_up, self._on_down = on_up, on_down
        self._on_picture, self._on_key_frame_wanted, self._on_sound = (
            on_picture,
            on_key_frame_wanted,
            on_sound,
        )
        self._loop = asyncio.get_running_loop()
        self._transport = PeerTransport(
            ClientLink(), certificate, on_rtp=self._rtp, on_rtcp=self._rtcp, on_closed=self._went_down
        )
        microphone, camera, camera_rtx = random.sample(range(2, 2**32), 3)
        self._sources = SendSources(microphone, camera, camera_rtx, cname=f"h{random.randrange(2**32):x}")
        self._sections = ReceiveSections()
        self._connecting: asyncio.Task[None] | None = None
        self._microphone: SendStream | None = None
        self._camera: SendStream | None = None
        self.receivers: dict[str, Receiver] = {}  # by producer
        self._by_ssrc: dict[int, Receiver] = {}
        self._shown: frozenset[str] | None = None
        self._heard_at = self._sent_at = 0.0
        self._closed = False
        self.malformed = 0

    @property
    def cipher(self) -> str:
        return self._transport.cipher

    def offer(self, producers: Sequence[media.Producer], *, first: bool) -> media.Offer | None:
        """The offer for receiving `producers`; None if nothing changes. The caller sets the number."""
        if not self._sections.want(producers) and not first:
            return None
        description = build_offer(self._transport.local_parameters("active"), self._sources, self._sections)
        return media.Offer(
            id=0,
            sdp=str(description),
            send=[
                media.Sending(mid=MICROPHONE_MID, source="microphone"),
                media.Sending(mid=CAMERA_MID, source="camera"),
            ],
            receive=[media.Receiving(mid=m, producer=p.id) for m, p in self._sections.by_mid().items()],
        )

    def answered(self, answer: media.Answer) -> None:
        """Agrees on what the server answered and connects if this is the first answer. Raises SdpError."""
        description = SessionDescription.parse(answer.sdp)
        if self._connecting is None:
            self._connecting = self._loop.create_task(self._connect(description))
        self._set_up_sending(description)
        self._set_up_receiving(description)

    def show(self, members: frozenset[str] | None) -> None:
        """Decode the pictures of these members only; None: of all."""
        self._shown = members
        for receiver in self.receivers.values():
            receiver.show(members is None or receiver.producer.member in members)

    def send_video(self, event: VideoEncoded) -> None:
        if self._camera is None or not self._transport.connected:
            return
        now = time.monotonic()
        for packet in self._camera.video_frame(event.data, event.timestamp_90k, event.key_frame, now):
            self._send(packet, now)

    def send_sound(self, event: SoundEncoded) -> None:
        if self._microphone is None or not self._transport.connected:
            return
        now = time.monotonic()
        packet = self._microphone.sound(event.data, event.timestamp_48k, event.level_dbov, event.voice, now)
        self._send(packet, now)

    def tick(self, now: float) -> None:
        """Reports, repairs and requests that are due; notices a dead path."""
        if not self._transport.connected:
            return
        for receiver in self.receivers.values():
            for packet in receiver.stream.tick(now):
                self._transport.send_rtcp(packet)
        for stream in (self._microphone, self._camera):
            if stream is not None:
                for packet in stream.tick(now):
                    self._transport.send_rtcp(packet)
        if now - self._sent_at < 1.0 and now - self._heard_at > SILENT_S:
            self._went_down()

    async def close(self) -> None:
        self._closed = True
        if self._connecting is not None:
            self._connecting.cancel()
            await asyncio.gather(self._connecting, return_exceptions=True)
        for receiver in self.receivers.values():
            self._on_sound(receiver, False)
            receiver.close()
        await self._transport.close()

    async def _connect(self, description: SessionDescription) -> None:
        try:
            await self._transport.connect(description.transport, dtls_role="client")
        except (ConnectionError, OSError):
            self._went_down()
            return
        self._heard_at = time.monotonic()
        if not self._closed:
            self._on_up()

    def _went_down(self) -> None:
        if not self._closed:
            self._closed = True
            self._on_down()

    def _set_up_sending(self, description: SessionDescription) -> None:
        clock_offset = time.time() - time.monotonic()
        sound, picture = description.section(MICROPHONE_MID), description.section(CAMERA_MID)
        if self._microphone is None and sound is not None and sound.codecs:
            self._microphone = SendStream(
                self._sources.microphone,
                sound.codecs[0].payload_type,
                48000,
                mid=MICROPHONE_MID,
                mid_extension_id=MID_EXTENSION,
                audio_level_extension_id=LEVEL_EXTENSION,
                cname=self._sources.cname,
                wall_clock_offset=clock_offset,
            )
        if self._camera is None and picture is not None and picture.codecs:
            codec = picture.codecs[0]
            rtx = picture.rtx_for(codec.payload_type)
            self._camera = SendStream(
                self._sources.camera,
                codec.payload_type,
                90000,
                mid=CAMERA_MID,
                mid_extension_id=MID_EXTENSION,
                rtx_ssrc=self._sources.camera_rtx,
                rtx_payload_type=rtx.payload_type if rtx is not None else None,
                cname=self._sources.cname,
                wall_clock_offset=clock_offset,
            )

    def _set_up_receiving(self, description: SessionDescription) -> None:
        wanted = self._sections.by_mid()
        for producer in [p for p in self.receivers if p not in {w.id for w in wanted.values()}]:
            receiver = self.receivers.pop(producer)
            self._on_sound(receiver, False)
            receiver.close()
        for mid, view in wanted.items():
            section = description.section(mid)
            if view.id in self.receivers or section is None or section.rejected or not section.ssrcs:
                continue
            receiver = Receiver(
                view, section, self._sources.microphone, self._on_picture, self._ask_key_frame
            )
            receiver.show(self._shown is None or view.member in self._shown)
            self.receivers[view.id] = receiver
            self._on_sound(receiver, True)
        self._by_ssrc = {ssrc: r for r in self.receivers.values() for ssrc in r.ssrcs}

    def _ask_key_frame(self, receiver: Receiver) -> None:
        # Comes from decoder threads too.
        self._loop.call_soon_threadsafe(self._request_key_frame, receiver)

    def _request_key_frame(self, receiver: Receiver) -> None:
        for packet in receiver.stream.request_key_frame(time.monotonic()):
            self._transport.send_rtcp(packet)

    def _send(self, packet: bytes, now: float) -> None:
        self._sent_at = now
        self._transport.send_rtp(packet)

    def _rtp(self, data: bytes, now: float) -> None:
        self._heard_at = now
        try:
            packet = RtpPacket.parse(data)
        except PacketError:
            self.malformed += 1
            return
        receiver = self._by_ssrc.get(packet.ssrc)
        if receiver is not None:
            receiver.handle_rtp(packet, now)

    def _rtcp(self, data: bytes, now: float) -> None:
        self._heard_at = now
        try:
            packets = rtcp.parse_compound(data)
        except PacketError:
            self.malformed += 1
            return
        for packet in packets:
            for receiver in self.receivers.values():
                receiver.handle_rtcp(packet, now)
            for stream in (self._microphone, self._camera):
                if stream is None:
                    continue
                reaction = stream.handle_rtcp(packet, now)
                for repair in reaction.packets:
                    self._send(repair, now)
                if reaction.key_frame_wanted:
                    self._on_key_frame_wanted()


__all__ = ["MediaPath", "SdpError"]
