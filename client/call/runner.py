"""The call on its loop: does what the session says, and tells the session what happened."""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections.abc import Callable, Mapping

from client.call.hearing import Hearing
from client.call.media_path import MediaPath
from client.call.pictures import PictureBoard
from client.call.places import MAX_RECEIVING, is_loud
from client.call.receiver import Receiver
from client.call.signalling import SignallingClient
from client.call.statistics import CallStatistics, MemberStatistics
from client.call.view import View
from client.media.picture import Picture
from client.media.playback.mixer import Mixer
from client.session import inputs as i
from client.session.machine import Session
from client.session.state import Phase, SessionState
from client.studio.messages import SoundEncoded, VideoEncoded
from rtc.sdp import SdpError
from rtc.secret import Secret
from rtc.signalling import Message, media, session
from rtc.signalling.base import PROTOCOL_VERSIONS
from rtc.tasks import end_tasks
from rtc.transport import Certificate

#: Seconds between ticks: how late a repair may be asked for. Lower costs CPU in every quiet call.
TICK_S = 0.02
#: Seconds for a media path to close in order when the program ends.
CLOSE_S = 2.0
#: Seconds for one that did not, to end when it is cancelled: it only has to let go.
END_S = 0.5
CLIENT = "hearth-desktop/0.1.0"

log = logging.getLogger(__name__)


class CallRunner:
    """Everything of a call that lives on the call thread's loop."""

    def __init__(
        self,
        pictures: PictureBoard,
        mixer: Mixer,
        on_state: Callable[[SessionState], None],
        on_key_frame_wanted: Callable[[], None],
        on_picture_rate: Callable[[int], None],
    ) -> None:
        self.session = Session()
        self._pictures, self._hearing = pictures, Hearing(mixer)
        self._on_state, self._on_key_frame_wanted = on_state, on_key_frame_wanted
        self._on_picture_rate = on_picture_rate
        self._told = self.session.state
        self._signalling = SignallingClient(
            lambda: self.happened(i.Opened()),
            self._message,
            self._disconnected,
        )
        self._numbers = itertools.count(1)
        self._resume: Secret | None = None
        self._certificate: Certificate | None = None
        self._path: MediaPath | None = None
        self._offering: int | None = None  # number of the offer under way
        self._selecting: int | None = None  # number of the last selection
        self._wanted: i.Receive | None = None  # what to offer next
        self._shown: frozenset[str] | None = None
        self._view = View()
        self._viewing: int | None = None  # number of the last view
        self._receiving: tuple[media.Producer, ...] = ()
        self._closing: set[asyncio.Task[None]] = set()
        self._first_pictures: dict[str, float] = {}
        self._announced: dict[str, float] = {}  # member -> when we could first have had a picture
        self._past: dict[str, MemberStatistics] = {}  # of receivers that ended
        self._names: dict[str, str] = {}
        self._joined_at: float | None = None
        self._join_ms: float | None = None

    def happened(self, event: i.Input) -> None:
        """Feeds the session and carries out what it asks for."""
        now = time.monotonic()
        if isinstance(event, i.Join):
            self._joined_at, self._join_ms, self._resume = now, None, None
            for counts in (self._past, self._announced, self._first_pictures, self._names):
                counts.clear()
        for effect in self.session.handle(event, now):
            self._carry_out(effect)
        self._tell()

    def show(self, members: frozenset[str] | None) -> None:
        """Pictures of these members only are decoded and sent to us; None: of everybody."""
        self._shown = members
        if self._path is not None:
            self._path.show(members)
            self._select()

    def view(self, heights: Mapping[str, float], main: str | None) -> None:
        """How large members are shown, so that the server sends pictures that fit."""
        self._view.show(heights, main)
        inside = self.session.state.phase in (Phase.SECURING, Phase.IN_CALL)
        if inside and self._path is not None and self._path.agreed and len(self._receiving) > MAX_RECEIVING:
            # Others are shown now than have a section, perhaps.
            self._wanted = self._wanted or i.Receive(self._receiving)
            self._offer()
        else:
            self._tell_view()

    def send_video(self, event: VideoEncoded) -> None:
        if self._path is not None and self.session.state.camera_on:
            self._path.send_video(event)

    def send_sound(self, event: SoundEncoded) -> None:
        if self._path is not None and self.session.state.microphone_on:
            self._path.send_sound(event)

    async def run(self) -> None:
        """Ticks until it is cancelled."""
        while True:
            await asyncio.sleep(TICK_S)
            try:
                if self._path is not None:
                    self._path.tick(time.monotonic())
                self.happened(i.Tick())
            except Exception:
                log.exception("a tick of the call failed")  # the next one may do better

    async def close(self) -> None:
        if self.session.state.phase not in (Phase.IDLE, Phase.LEFT, Phase.FAILED):
            self.happened(i.Leave())
        await self._signalling.close()
        self._stop_media()
        if self._closing:
            _, late = await asyncio.wait(self._closing, timeout=CLOSE_S)
            if await end_tasks(late, END_S):
                log.error("a media path does not close")

    def statistics(self) -> CallStatistics:
        """Counts so far, of members who left too."""
        members = dict(self._past)
        if self._path is not None:
            for receiver in self._path.receivers.values():
                self._add(members, receiver)
        cipher = self._path.cipher if self._path is not None else ""
        return CallStatistics(members, cipher, self._join_ms)

    # Effects.

    def _carry_out(self, effect: i.Effect) -> None:
        match effect:
            case i.Connect():
                self._signalling.connect(effect.invitation.ws_url)
            case i.Disconnect():
                self._signalling.disconnect()
            case i.SendHello():
                self._hello(effect)
            case i.SendLeave():
                self._signalling.send(session.Leave())
            case i.SendMute():
                mute = media.Mute(id=next(self._numbers), source=effect.source, muted=effect.muted)
                self._signalling.send(mute)
            case i.Receive():
                self._receive(effect)
            case i.StopMedia():
                self._wanted = None
                self._stop_media()

    def _hello(self, effect: i.SendHello) -> None:
        self._signalling.send(
            session.Hello(
                id=next(self._numbers),
                protocol=list(PROTOCOL_VERSIONS),
                client=CLIENT,
                room=effect.invitation.room,
                token=effect.invitation.token,
                name=effect.name,
                resume=self._resume if effect.resume else None,
                microphone=effect.microphone,
                camera=effect.camera,
            )
        )

    def _receive(self, effect: i.Receive) -> None:
        # Whoever is here when we come in is timed from our click, the others from their coming.
        since = time.monotonic() if self._join_ms is not None else self._joined_at or time.monotonic()
        for producer in effect.producers:
            if producer.kind == "video":
                self._announced.setdefault(producer.member, since)
        fresh = effect.fresh or (self._wanted is not None and self._wanted.fresh)
        self._wanted = i.Receive(effect.producers, fresh)
        self._receiving = effect.producers
        if fresh:
            self._offering = None  # an answer to the old path means nothing any more
        elif self._path is not None:
            self._path.keep(effect.producers)  # who is gone is not heard until the answer comes
        self._offer()

    def _offer(self) -> None:
        """Sends the next offer, unless one is under way: then that one's answer does."""
        if self._wanted is None or self._offering is not None:
            return
        wanted, self._wanted = self._wanted, None
        first = wanted.fresh or self._path is None
        if first:
            self._stop_media()
            self._view.forget()
            self._hearing.forget()
            self._path = self._new_path()
        assert self._path is not None
        offer = self._path.offer(wanted.producers, self._view.rank, first=first)
        if offer is not None:
            self._offering = next(self._numbers)
            self._signalling.send(offer.model_copy(update={"id": self._offering}))
        else:
            self._select()
            self._tell_view()

    def _select(self) -> None:
        """Tells the server which pictures nobody looks at, so that it does not send them."""
        inside = self.session.state.phase in (Phase.SECURING, Phase.IN_CALL)
        if self._path is None or self._offering is not None or not inside:
            return  # the answer, or the next welcome, brings us here again
        changes = self._path.selection()
        if changes:
            self._selecting = next(self._numbers)
            self._signalling.send(media.Select(id=self._selecting, receive=changes))

    def _tell_view(self) -> None:
        """Tells the server how large what it sends is shown; it has to know the path first."""
        inside = self.session.state.phase in (Phase.SECURING, Phase.IN_CALL)
        if self._path is None or not self._path.agreed or self._offering is not None or not inside:
            return
        news = self._view.news(self._receiving)
        if news is not None:
            self._viewing = next(self._numbers)
            self._signalling.send(media.View(id=self._viewing, sizes=news[0], main=news[1]))

    def _new_path(self) -> MediaPath:
        if self._certificate is None:
            self._certificate = Certificate()
        path: MediaPath

        def up() -> None:
            if self._path is path:
                if self._join_ms is None and self._joined_at is not None:
                    self._join_ms = (time.monotonic() - self._joined_at) * 1000
                self._on_key_frame_wanted()
                self.happened(i.MediaUp())

        def down() -> None:
            if self._path is path:
                self.happened(i.MediaDown())

        path = MediaPath(
            self._certificate,
            on_up=up,
            on_down=down,
            on_picture=self._picture,
            on_key_frame_wanted=self._on_key_frame_wanted,
            on_receiver=self._receiver,
            on_picture_rate=self._on_picture_rate,
        )
        path.show(self._shown)
        return path

    def _stop_media(self) -> None:
        path, self._path = self._path, None
        self._offering = None
        if path is None:
            return
        path.stop()
        task = asyncio.get_running_loop().create_task(path.close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    # What comes back.

    def _disconnected(self, stranger: bool) -> None:
        # What was under way is lost: it is asked for again after the next welcome.
        self._offering = self._selecting = self._viewing = self._wanted = None
        self._view.forget()
        if self._path is not None:
            self._path.forget_selection()
        self.happened(i.Closed(stranger))

    def _message(self, message: Message) -> None:
        match message:
            case session.Welcome():
                self._resume = message.resume
            case media.Answer():
                if message.re == self._offering and self._path is not None:
                    self._answered(self._path, message)
                return
            case media.Voice():
                owner = next((p.member for p in self._receiving if p.id == message.producer), None)
                self._hearing.told(message.mid, owner)
                return
            case session.Refused() if message.re is not None and message.re == self._offering:
                self._offer_refused(message)
                return
            case session.Refused() if message.re is not None and message.re == self._selecting:
                log.warning("a selection was refused: %s", message.code)
                return
            case session.Refused() if message.re is not None and message.re == self._viewing:
                self._view.refused(message.code)  # an older server sends everything as large as it is
                return
        self.happened(i.Received(message))

    def _answered(self, path: MediaPath, answer: media.Answer) -> None:
        self._offering = None
        try:
            path.answered(answer)
        except SdpError as error:
            log.warning("the server's answer cannot be used: %s", error)
            self.happened(i.MediaDown())
            return
        self._offer()
        self._select()
        self._tell_view()

    def _offer_refused(self, refusal: session.Refused) -> None:
        """Without a path there is no call; with one it goes on as it was agreed before."""
        self._offering = None
        log.warning("an offer was refused: %s", refusal.code)
        if self._path is None or not self._path.agreed:
            self.happened(i.MediaDown(refusal.sentence))
        else:
            self.happened(i.Noted(refusal.sentence, "server", passing=True))
            self._offer()

    def _receiver(self, receiver: Receiver, on: bool) -> None:
        """A receiver came, or goes."""
        if not on:
            self._add(self._past, receiver)
        self._hearing.receiver(receiver, on)

    def _picture(self, member: str, picture: Picture) -> None:
        # From the decoder's thread.
        if member not in self._first_pictures:
            self._first_pictures[member] = time.monotonic()
        self._pictures.slot(member).put(picture)

    def _add(self, into: dict[str, MemberStatistics], receiver: Receiver) -> None:
        member = receiver.producer.member
        if is_loud(receiver.producer):
            return  # of several members, and nobody can tell any more how much of whom
        before = into.get(member) or MemberStatistics(self._names.get(member, ""))
        counts = receiver.stream.statistics
        decoded, errors = receiver.decoded()
        level = receiver.sound.level_dbfs() if receiver.sound is not None else None
        first = self._first_pictures.get(member)
        since = self._announced.get(member)
        into[member] = MemberStatistics(
            name=self._names.get(member, before.name),
            frames_received=before.frames_received + (counts.frames if receiver.sound is None else 0),
            frames_decoded=before.frames_decoded + decoded,
            decode_errors=before.decode_errors + errors,
            audio_packets=before.audio_packets + (counts.packets if receiver.sound is not None else 0),
            audio_level_dbfs=level if level is not None else before.audio_level_dbfs,
            join_to_first_frame_ms=None if first is None or since is None else (first - since) * 1000,
            packets_lost=before.packets_lost + counts.lost,
            packets_recovered=before.packets_recovered + counts.recovered,
        )

    def _tell(self) -> None:
        state = self.session.state
        if state is self._told:
            return
        here = {m.id for m in state.members}
        for gone in {m.id for m in self._told.members} - here:
            self._pictures.forget(gone)
        self._names.update({m.id: m.name for m in state.members})
        self._told = state
        self._on_state(state)
