"""One path to the server and the streams on it: offers go out, answers come back, packets flow."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Iterable, Sequence

from client.call.offer import (
    CAMERA_MID,
    LEVEL_EXTENSION,
    MICROPHONE_MID,
    MID_EXTENSION,
    TRANSPORT_WIDE_EXTENSION,
    Layout,
    ReceiveSections,
    SendSources,
    build_offer,
)
from client.call.path_control import PathControl
from client.call.places import LOUD, VOICE, Rank, is_loud
from client.call.receiver import Receiver
from client.media.picture import Picture
from client.studio.messages import SoundEncoded, VideoEncoded
from rtc import rtcp
from rtc.errors import PacketError
from rtc.header_extensions import TRANSPORT_WIDE
from rtc.rtp import RtpPacket
from rtc.sdp import SdpError, SessionDescription
from rtc.send_stream import SendStream
from rtc.signalling import media
from rtc.tasks import end_tasks
from rtc.transport import CLOSE_TIMEOUT_S, Certificate, ClientLink, PeerTransport

#: Seconds without any packet, while we send, after which the path counts as dead. The server reports every
#: second; shorter would take a short cut in the network for the end of the path.
SILENT_S = 6.0
#: Seconds for all decoder threads to end; one picture takes some milliseconds. Less leaves a thread behind
#: on a busy machine, more keeps whoever closes waiting for one that hangs.
THREAD_END_S = 1.5

log = logging.getLogger(__name__)


class MediaPath:
    """Streams over one ICE/DTLS path. Lives on the call thread; `close()` it when it is replaced.

    `on_up` and `on_down` are called at most once each, `on_receiver` with a receiver and whether it begins or
    ends, `on_picture_rate` with the bit/s that our pictures may have when that changes, always on the call
    thread; `on_picture` from decoder threads.
    """

    def __init__(
        self,
        certificate: Certificate,
        *,
        on_up: Callable[[], None],
        on_down: Callable[[], None],
        on_picture: Callable[[str, Picture], None],
        on_key_frame_wanted: Callable[[], None],
        on_receiver: Callable[[Receiver, bool], None],
        on_picture_rate: Callable[[int], None],
    ) -> None:
        self._on_up, self._on_down = on_up, on_down
        self._on_picture, self._on_receiver = on_picture, on_receiver
        self._on_key_frame_wanted, self._on_picture_rate = on_key_frame_wanted, on_picture_rate
        self._loop = asyncio.get_running_loop()
        self._transport = PeerTransport(
            ClientLink(), certificate, on_rtp=self._rtp, on_rtcp=self._rtcp, on_closed=self._went_down
        )
        microphone, camera, camera_rtx = random.sample(range(2, 2**32), 3)
        self._sources = SendSources(microphone, camera, camera_rtx, cname=f"h{random.randrange(2**32):x}")
        self._control = PathControl(microphone)
        self._sections = ReceiveSections()
        self._connecting: asyncio.Task[None] | None = None
        self._microphone: SendStream | None = None
        self._camera: SendStream | None = None
        self.receivers: dict[str, Receiver] = {}  # by producer
        self._by_ssrc: dict[int, Receiver] = {}
        self._ended: list[Receiver] = []  # whose threads may still be on their way out
        self._offered: tuple[Layout, dict[str, str | None]] | None = None
        self._selection: dict[str, str | None] = {}  # mid -> producer, as the server was told last
        self._shown: frozenset[str] | None = None
        self._heard_at = self._sent_at = 0.0
        self._down = self._stopped = False
        self.malformed = 0

    @property
    def cipher(self) -> str:
        return self._transport.cipher

    @property
    def agreed(self) -> bool:
        """Whether any offer for this path was answered."""
        return self._connecting is not None

    def offer(self, producers: Sequence[media.Producer], rank: Rank, *, first: bool) -> media.Offer | None:
        """The offer for receiving `producers`, as many as fit; None if that was agreed on already. The caller
        sets the number."""
        if not self._sections.want(producers, rank) and not first:
            return None
        selection = {mid: self._selected(producer) for mid, producer in self._sections.by_mid().items()}
        self._offered = self._sections.layout(), selection
        description = build_offer(self._transport.local_parameters("active"), self._sources, self._sections)
        return media.Offer(
            id=0,
            sdp=str(description),
            send=[
                media.Sending(mid=MICROPHONE_MID, source="microphone"),
                media.Sending(mid=CAMERA_MID, source="camera"),
            ],
            receive=[media.Receiving(mid=mid, producer=producer) for mid, producer in selection.items()],
        )

    def answered(self, answer: media.Answer) -> None:
        """Agrees on what the server answered and connects if this is the first answer. Raises SdpError."""
        description = SessionDescription.parse(answer.sdp)
        if self._offered is not None:
            layout, self._selection = self._offered
            self._sections.agreed(layout)
        if self._connecting is None:
            self._connecting = self._loop.create_task(self._connect(description))
        self._set_up_sending(description)
        self._set_up_receiving(description)

    def keep(self, producers: Sequence[media.Producer]) -> None:
        """Whatever comes from others than these is not decoded or heard any more, from now on. Sections for
        whoever is loud stay."""
        self._keep([*producers, *LOUD])

    def _keep(self, producers: Iterable[media.Producer]) -> None:
        kept = {p.id for p in producers}
        for producer in [p for p in self.receivers if p not in kept]:
            self._end(self.receivers.pop(producer))
        self._index()

    def show(self, members: frozenset[str] | None) -> None:
        """Decode the pictures of these members only; None: of all."""
        self._shown = members
        for receiver in self.receivers.values():
            receiver.show(self._selected(receiver.producer) is not None)

    def selection(self) -> list[media.Receiving]:
        """What the server has to be told so that it sends what is shown and nothing else; then that counts
        as told. Not while an offer is under way."""
        if self._offered is None:
            return []
        agreed = dict(self._offered[0])
        wanted = {m: self._selected(p) for m, p in self._sections.by_mid().items() if agreed.get(m) == p.id}
        changes = [
            media.Receiving(mid=mid, producer=producer)
            for mid, producer in wanted.items()
            if mid not in self._selection or self._selection[mid] != producer
        ]
        self._selection = wanted
        return changes

    def forget_selection(self) -> None:
        """It is not certain what the server was told: the connection broke."""
        self._selection = {}

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
        if not self._transport.connected or self._stopped:
            return
        for receiver in self.receivers.values():
            for packet in receiver.tick(now):
                self._transport.send_rtcp(packet)
        for stream in (self._microphone, self._camera):
            if stream is not None:
                for packet in stream.tick(now):
                    self._transport.send_rtcp(packet)
        for packet in self._control.tick(now):
            self._transport.send_rtcp(packet)
        rate = self._control.picture_rate(now)
        if rate is not None:
            self._on_picture_rate(rate)
        if now - self._sent_at < 1.0 and now - self._heard_at > SILENT_S:
            self._went_down()

    def stop(self) -> None:
        """Ends all streams at once, without a callback of the path any more; `close` frees the rest."""
        self._stopped = True
        self._keep(())

    async def close(self) -> None:
        """Frees the path. Returns when its threads are gone."""
        self.stop()
        try:
            await self._transport.close()  # which ends `_connecting` too
        except Exception:
            log.exception("a media path did not close in order")
        if self._connecting is not None:
            await end_tasks([self._connecting], CLOSE_TIMEOUT_S)
        await asyncio.to_thread(self._wait_for_threads)

    def _wait_for_threads(self) -> None:
        end = time.monotonic() + THREAD_END_S
        for receiver in self._ended:
            if not receiver.wait_closed(max(end - time.monotonic(), 0.0)):
                log.warning("a decoder did not end in time")

    async def _connect(self, description: SessionDescription) -> None:
        try:
            await self._transport.connect(description.transport, dtls_role="client")
        except (ConnectionError, OSError) as error:
            log.info("the media path did not come up: %s", error)
            self._went_down()
            return
        except Exception:
            log.exception("the media path did not come up")
            self._went_down()
            return
        self._heard_at = time.monotonic()
        if not self._stopped:
            self._on_up()

    def _went_down(self) -> None:
        if not self._down and not self._stopped:
            self._down = True
            self._on_down()

    def _selected(self, producer: media.Producer) -> str | None:
        """How the server is asked for it, or None if nobody looks at it."""
        if is_loud(producer):
            return VOICE
        unseen = producer.kind == "video" and self._shown is not None and producer.member not in self._shown
        return None if unseen else producer.id

    def _end(self, receiver: Receiver) -> None:
        self._on_receiver(receiver, False)
        receiver.close()
        self._ended = [r for r in self._ended if not r.wait_closed(0.0)] + [receiver]

    def _index(self) -> None:
        self._by_ssrc = {ssrc: r for r in self.receivers.values() for ssrc in r.ssrcs}

    def _set_up_sending(self, description: SessionDescription) -> None:
        clock_offset = time.time() - time.monotonic()
        sound, picture = description.section(MICROPHONE_MID), description.section(CAMERA_MID)
        opus = sound.codec("opus") if sound is not None and not sound.rejected else None
        vp8 = picture.codec("VP8") if picture is not None and not picture.rejected else None
        if sound is not None:
            self._control.agree(self._sources.microphone, sound.extension_id(TRANSPORT_WIDE))
        if picture is not None:
            for ssrc in (self._sources.camera, self._sources.camera_rtx):
                self._control.agree(ssrc, picture.extension_id(TRANSPORT_WIDE))
        if self._microphone is None and opus is not None:
            self._microphone = SendStream(
                self._sources.microphone,
                opus.payload_type,
                48000,
                mid=MICROPHONE_MID,
                mid_extension_id=MID_EXTENSION,
                audio_level_extension_id=LEVEL_EXTENSION,
                cname=self._sources.cname,
                wall_clock_offset=clock_offset,
            )
        if self._camera is None and picture is not None and vp8 is not None:
            rtx = picture.rtx_for(vp8.payload_type)
            self._camera = SendStream(
                self._sources.camera,
                vp8.payload_type,
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
        self._keep(wanted.values())
        for mid, producer in wanted.items():
            section, known = description.section(mid), self.receivers.get(producer.id)
            if section is None or section.rejected or (known is not None and known.mid == mid):
                continue
            if known is not None:  # gone and back again, in another section
                self._end(self.receivers.pop(producer.id))
            try:
                receiver = Receiver(
                    producer, section, self._sources.microphone, self._on_picture, self._ask_key_frame
                )
            except SdpError as error:
                log.warning("a stream is left out: %s", error)
                continue
            receiver.show(self._selected(producer) is not None)
            self.receivers[producer.id] = receiver
            self._on_receiver(receiver, True)
        self._index()

    def _ask_key_frame(self, receiver: Receiver) -> None:
        # Comes from decoder threads too.
        try:
            self._loop.call_soon_threadsafe(self._request_key_frame, receiver)
        except RuntimeError:
            log.debug("the call is closed already")

    def _request_key_frame(self, receiver: Receiver) -> None:
        if self.receivers.get(receiver.producer.id) is receiver:
            for packet in receiver.stream.request_key_frame(time.monotonic()):
                self._transport.send_rtcp(packet)

    def _send(self, packet: bytes, now: float) -> None:
        self._sent_at = now
        self._transport.send_rtp(self._control.outgoing(packet, now))

    def _rtp(self, data: bytes, now: float) -> None:
        self._heard_at = now
        try:
            packet = RtpPacket.parse(data)
        except PacketError:
            self.malformed += 1
            return
        self._control.incoming(packet, TRANSPORT_WIDE_EXTENSION, now)
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
            self._control.handle_rtcp(packet, now)
            for receiver in self.receivers.values():
                receiver.handle_rtcp(packet, now)
            for stream in (self._microphone, self._camera):
                if stream is None or self._stopped:
                    continue
                reaction = stream.handle_rtcp(packet, now)
                for repair in reaction.packets:
                    self._send(repair, now)
                if reaction.key_frame_wanted:
                    self._on_key_frame_wanted()
