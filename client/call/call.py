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
from client.media.playback import Mixer, Speaker, SpeakerSpec, open_speaker
from client.media.sources import SoundSourceSpec, VideoSourceSpec
from client.session import inputs as i
from client.session.state import SessionState
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
    UseSound,
    UseVideo,
    VideoEncoded,
)

log = logging.getLogger(__name__)

#: Seconds between levels for the screen: often enough for a meter, rare enough to cost nothing.
LEVELS_S = 0.1
#: Seconds to leave in order when the program ends.
CLOSE_S = 5.0


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
        self._loop: asyncio.AbstractEventLoop | None = None
        self._runner: CallRunner | None = None
        self._stop: asyncio.Event | None = None
        self._thread: threading.Thread | None = None
        self._encoding = (False, False)

    @property
    def state(self) -> SessionState:
        """The latest snapshot."""
        return self._state

    def open(self) -> None:
        """Starts the call thread and the studio, once."""
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

    def choose_sound(self, spec: SoundSourceSpec | None) -> None:
        """Sound comes from here from now on; None lets the microphone go."""
        self._studio.send(UseSound(spec))

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
        """Decode pictures of these members only; None: of everybody."""
        members = None if member_ids is None else frozenset(member_ids)
        if self._loop is not None and self._runner is not None:
            self._loop.call_soon_threadsafe(self._runner.show, members)

    def statistics(self) -> CallStatistics:
        """What was measured so far; empty before `open` and after `close`."""
        loop, runner = self._loop, self._runner
        if loop is None or runner is None or loop.is_closed():
            return CallStatistics()
        answer: concurrent.futures.Future[CallStatistics] = concurrent.futures.Future()
        loop.call_soon_threadsafe(lambda: answer.set_result(runner.statistics()))
        return answer.result(CLOSE_S)

    def close(self) -> None:
        """Leaves, lets all devices go and ends all threads, within a few seconds. May be called twice."""
        thread, loop, stop = self._thread, self._loop, self._stop
        if thread is None or loop is None or stop is None:
            return
        self._thread = None
        loop.call_soon_threadsafe(stop.set)
        thread.join(2 * CLOSE_S)
        self._studio.stop()

    # The call thread.

    def _run(self, ready: threading.Event) -> None:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(self._live(ready))

    async def _live(self, ready: threading.Event) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        self._runner = CallRunner(
            self.pictures, self.mixer, self._state_changed, lambda: self._studio.send(KeyFrame())
        )
        opening = self._loop.create_task(asyncio.to_thread(self._open_speaker))
        chores = [self._loop.create_task(self._runner.run()), self._loop.create_task(self._tell_levels())]
        ready.set()
        await self._stop.wait()
        await self._runner.close()
        for chore in chores:
            chore.cancel()
        await asyncio.gather(*chores, return_exceptions=True)
        speaker = await opening
        if speaker is not None:
            await asyncio.to_thread(speaker.close)
        self._loop = None

    def _open_speaker(self) -> Speaker | None:
        try:
            return open_speaker(self._speaker_spec, self.mixer.pull, lambda text: self._post(i.Noted(text)))
        except Exception:
            log.exception("the speaker could not be opened")
            return None

    def _state_changed(self, state: SessionState) -> None:
        self._state = state
        self._encode()
        self._on_state(state)

    def _encode(self) -> None:
        """Encodes what is on while there is a meeting to send it to."""
        state, (width, height) = self._state, self._size
        inside = state.joined_at is not None
        wanted = (inside and state.camera_on, inside and state.microphone_on)
        if wanted != self._encoding:
            self._encoding = wanted
            self._studio.send(EncodeVideo(wanted[0], width, height, self._fps))
            self._studio.send(EncodeSound(wanted[1]))

    async def _tell_levels(self) -> None:
        while True:
            await asyncio.sleep(LEVELS_S)
            if self._on_levels is not None:
                self._on_levels({**self.mixer.levels(), "me": self._my_level})

    def _post(self, event: i.Input) -> None:
        loop, runner = self._loop, self._runner
        if loop is not None and runner is not None:
            try:
                loop.call_soon_threadsafe(runner.happened, event)
            except RuntimeError:
                log.debug("the call is closed already")

    def _studio_event(self, event: StudioEvent) -> None:
        """From the studio's reader thread."""
        loop, runner = self._loop, self._runner
        match event:
            case SelfView():
                self.pictures.self_view.put(event.picture)
            case Level():
                self._my_level = event.value
            case VideoEncoded() if loop is not None and runner is not None:
                self._call_soon(loop, lambda: runner.send_video(event))
            case SoundEncoded() if loop is not None and runner is not None:
                self._call_soon(loop, lambda: runner.send_sound(event))
            case SourceFailed():
                self._post(i.Noted(event.sentence))
            case SourceStarted():
                self._post(i.Noted(""))

    @staticmethod
    def _call_soon(loop: asyncio.AbstractEventLoop, what: Callable[[], None]) -> None:
        try:
            loop.call_soon_threadsafe(what)
        except RuntimeError:
            log.debug("the call is closed already")


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    if sys.platform == "win32":
        return None
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
