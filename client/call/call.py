"""One person's call, for the screen and for headless members: verbs in, snapshots and pictures out.

Every method may be called from any thread and none of them waits for the network. What is slow or must be
on time lives on the call thread, which has a loop of its own (uvloop where there is one).
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Literal

from client.call.pictures import PictureBoard
from client.call.runner import CallRunner
from client.call.statistics import CallStatistics
from client.media.codec import default_bitrate
from client.media.playback import Mixer, Speaker, SpeakerSpec, open_speaker
from client.media.sources import SoundSourceSpec, VideoSourceSpec
from client.session import inputs as i
from client.session.state import Phase, SessionState
from client.studio import (
    EncodeSound,
    EncodeVideo,
    KeyFrame,
    Level,
    SelfView,
    SoundEncoded,
    SourceFailed,
    SourceStarted,
    Studio,
    StudioEvent,
    StudioRestarted,
    UseSound,
    UseVideo,
    VideoEncoded,
)
from rtc.tasks import end_tasks, in_thread

log = logging.getLogger(__name__)

#: Seconds between levels for the screen: often enough for a meter, rare enough to cost nothing.
LEVELS_S = 0.1
#: Seconds to leave in order when the program ends.
CLOSE_S = 5.0
#: Seconds for the driver of a speaker to open or close it. More keeps whoever leaves waiting for one that
#: hangs; less gives a slow one up, which then lets the speaker go on its own.
SPEAKER_S = 1.0
RESTARTED = "Camera and microphone stopped working for a moment. They were started again."


class Call:
    """A call. `open()` it, `join()` a meeting, `leave()` it, `join()` another one, `close()` it.

    `on_state` gets every new snapshot and `on_levels` loudness 0..1 by member id (our own as "me"), both from
    the call thread. `studio` says whether capture and encoding run in a process of their own.
    """

    def __init__(
        self,
        studio: Literal["process", "thread"] = "process",
        speaker: SpeakerSpec | None = None,
        on_state: Callable[[SessionState], None] | None = None,
        on_levels: Callable[[Mapping[str, float]], None] | None = None,
        *,
        size: tuple[int, int] = (640, 360),
        fps: float = 30.0,
    ) -> None:
        self.pictures = PictureBoard()
        self.mixer = Mixer()
        self._on_state = on_state or (lambda state: None)
        self._on_levels = on_levels
        self._speaker_spec = speaker or SpeakerSpec()
        self._size, self._fps = size, fps
        self._studio = Studio(studio, self._studio_event)
        self._state = SessionState()
        self._my_level = 0.0
        self._thread: threading.Thread | None = None
        self._encoding = (False, False)
        self._picture_rate: int | None = None  # bit/s, where the path carries less than is good
        self._speaker: asyncio.Future[Speaker | None] | None = None
        # What the call thread offers to the others; the loop is there while it may be asked for things.
        self._lock = threading.Lock()
        self._closed = False
        self._early: list[Callable[[CallRunner], None]] = []  # asked for before `open`
        self._loop: asyncio.AbstractEventLoop | None = None
        self._runner: CallRunner | None = None
        self._stop: asyncio.Event | None = None

    @property
    def state(self) -> SessionState:
        """The latest snapshot."""
        return self._state

    def open(self) -> None:
        """Starts the call thread and the studio, once. What was chosen or asked for before is done then."""
        with self._lock:
            if self._closed:
                raise RuntimeError("this call was closed; make another one")
            if self._thread is not None:
                return
            ready = threading.Event()
            self._thread = threading.Thread(target=self._run, args=(ready,), name="call", daemon=True)
            self._thread.start()
        ready.wait()
        self._studio.start()

    def choose_video(self, spec: VideoSourceSpec | None) -> None:
        """Pictures come from here from now on; None lets the camera go."""
        self._studio.send(UseVideo(spec))
        if spec is None:
            self._note("", "video")

    def choose_sound(self, spec: SoundSourceSpec | None) -> None:
        """Sound comes from here from now on; None lets the microphone go."""
        self._studio.send(UseSound(spec))
        if spec is None:
            self._note("", "sound")

    def join(self, invitation_text: str, name: str) -> None:
        """Goes into a meeting by link or code. What is wrong comes as a state with a problem."""
        self._post(i.Join(invitation_text, name))

    def leave(self) -> None:
        self._post(i.Leave())

    def set_microphone(self, on: bool) -> None:
        self._post(i.SetMicrophone(on))

    def set_camera(self, on: bool) -> None:
        self._post(i.SetCamera(on))

    def show(self, member_ids: Iterable[str] | None) -> None:
        """Decode pictures of these members only, and let the server send no others; None: of everybody."""
        members = None if member_ids is None else frozenset(member_ids)
        self._ask(lambda runner: runner.show(members))

    def view(self, heights: Mapping[str, float], main: str | None = None) -> None:
        """How many pixels high the picture of each member is shown, 0 where its tile cannot be seen, so that
        the server sends what fits; `main` is the member in the big tile, if there is one, who comes first."""
        shown = dict(heights)
        self._ask(lambda runner: runner.view(shown, main))

    def statistics(self) -> CallStatistics:
        """What was measured since the last join; empty before `open`."""
        answer: concurrent.futures.Future[CallStatistics] = concurrent.futures.Future()
        with self._lock:
            loop, runner = self._loop, self._runner
            asked = loop is not None and threading.current_thread() is not self._thread
            if asked and loop is not None and runner is not None:
                loop.call_soon_threadsafe(_answer, answer, runner.statistics)
        if asked:
            try:
                return answer.result(CLOSE_S)
            except TimeoutError:
                log.error("the call thread does not answer")
                return CallStatistics()
        return runner.statistics() if runner is not None else CallStatistics()

    def close(self) -> None:
        """Leaves, lets all devices go and ends all threads, within a few seconds. May be called twice, and
        from any thread but the call's own, for which it would wait."""
        if threading.current_thread() is self._thread:
            raise RuntimeError("close() cannot be called from a callback of the call")
        with self._lock:
            self._closed = True
            if self._loop is not None and self._stop is not None:
                self._loop.call_soon_threadsafe(self._stop.set)
        if self._thread is not None:
            self._thread.join(2 * CLOSE_S)
            if self._thread.is_alive():
                log.error("the call thread does not end")
        self._studio.stop()

    # The call thread.

    def _run(self, ready: threading.Event) -> None:
        try:
            with asyncio.Runner(loop_factory=_loop_factory()) as runner:
                runner.run(self._live(ready))
        finally:
            ready.set()  # whoever opens must not wait for a thread that failed

    async def _live(self, ready: threading.Event) -> None:
        loop = asyncio.get_running_loop()
        stop = self._stop = asyncio.Event()
        runner = CallRunner(
            self.pictures,
            self.mixer,
            self._state_changed,
            lambda: self._studio.send(KeyFrame()),
            self._picture_rate_changed,
        )
        with self._lock:
            self._loop, self._runner = loop, runner
            early, self._early = self._early, []
        for wish in early:
            loop.call_soon(wish, runner)
        chores = [loop.create_task(runner.run()), loop.create_task(self._tell_levels())]
        ready.set()
        try:
            await stop.wait()
            await runner.close()
            await end_tasks(chores, SPEAKER_S)
            await self._let_speaker_go()
        finally:
            with self._lock:
                self._loop = None  # what was asked for until now is still done when the loop is closed

    async def _let_speaker_go(self) -> None:
        opening = self._speaker
        if opening is None:
            return
        done, _ = await asyncio.wait({opening}, timeout=SPEAKER_S)
        speaker = opening.result() if done else None  # one that opens after that closes itself
        if speaker is not None:
            done, _ = await asyncio.wait({in_thread(speaker.close, "speaker's end")}, timeout=SPEAKER_S)
        if not done:
            log.error("the driver of the speaker does not answer")

    def _open_speaker(self) -> Speaker | None:
        try:
            speaker = open_speaker(
                self._speaker_spec, self.mixer.pull, lambda sentence: self._note(sentence, "speaker")
            )
        except Exception:
            log.exception("the speaker could not be opened")
            self._note("The speaker cannot be used, so you hear nothing. Choose another one.", "speaker")
            return None
        if self._closed:
            speaker.close()
            return None
        return speaker

    def _state_changed(self, state: SessionState) -> None:
        self._state = state
        self._encode()
        if self._speaker is None and state.phase is Phase.FINDING:
            # Not before somebody wants to hear a meeting: a choice of devices alone makes no sound.
            self._speaker = in_thread(self._open_speaker, "speaker's begin")
        try:
            self._on_state(state)
        except Exception:
            log.exception("a listener failed")  # the call goes on without it

    def _encode(self) -> None:
        """Encodes what is on while there is a meeting to send it to."""
        state, (width, height) = self._state, self._size
        inside = state.joined_at is not None
        wanted = (inside and state.camera_on, inside and state.microphone_on)
        if wanted != self._encoding:
            self._encoding = wanted
            self._studio.send(EncodeVideo(wanted[0], width, height, self._fps, self._picture_rate))
            self._studio.send(EncodeSound(wanted[1]))

    def _picture_rate_changed(self, carried: int) -> None:
        """The path to the server carries pictures of that many bit/s."""
        width, height = self._size
        rate = carried if carried < default_bitrate(width, height) else None
        if rate != self._picture_rate:
            self._picture_rate = rate
            if self._encoding[0]:
                self._studio.send(EncodeVideo(True, width, height, self._fps, rate))

    async def _tell_levels(self) -> None:
        while self._on_levels is not None:
            await asyncio.sleep(LEVELS_S)
            try:
                self._on_levels({**self.mixer.levels(), "me": self._my_level})
            except Exception:
                log.exception("a listener failed")

    def _note(self, sentence: str, topic: i.Topic, *, passing: bool = False) -> None:
        self._post(i.Noted(sentence, topic, passing))

    def _post(self, event: i.Input) -> None:
        self._ask(lambda runner: runner.happened(event))

    def _ask(self, wish: Callable[[CallRunner], None], *, early: bool = True) -> None:
        """Has `wish` done on the call thread, in order; when it is not there yet and `early`, once it is."""
        with self._lock:
            if self._loop is not None and self._runner is not None:
                self._loop.call_soon_threadsafe(wish, self._runner)
            elif early and not self._closed:
                self._early.append(wish)

    def _studio_event(self, event: StudioEvent) -> None:
        """From the studio's threads."""
        match event:
            case SelfView():
                self.pictures.self_view.put(event.picture)
            case Level():
                self._my_level = event.value
            case VideoEncoded():
                self._ask(lambda runner: runner.send_video(event), early=False)
            case SoundEncoded():
                self._ask(lambda runner: runner.send_sound(event), early=False)
            case SourceFailed():
                self._note(event.sentence, event.kind)
            case SourceStarted():
                self._note("", event.kind)
            case StudioRestarted():
                self._note(RESTARTED, "studio", passing=True)
                self._studio.send(KeyFrame())


def _answer(future: concurrent.futures.Future[CallStatistics], ask: Callable[[], CallStatistics]) -> None:
    try:
        future.set_result(ask())
    except Exception as error:
        future.set_exception(error)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    if sys.platform == "win32":
        return None
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
