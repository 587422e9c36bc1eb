"""People in a real call, with ears and eyes that a test can wait for."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any

import numpy as np

from client.call.call import Call
from client.media import mark
from client.media.playback.speaker import SpeakerSpec
from client.media.sound import SAMPLE_RATE, Samples
from client.media.sources import TestPictureSpec, ToneSpec
from client.session.state import MemberView, Phase, SessionState

#: Seconds. A guard against hangs on a busy machine; what is waited for takes a fraction of a second.
WITHIN = 30.0
SIZE, FPS = (320, 180), 12.0


class Person:
    """A call with studio threads and no loudspeaker; sends mark `number` and a tone of `hertz`.

    Remembers every state, every mark by member id, and the sound of the last second.
    """

    def __init__(self, name: str, number: int = 0, hertz: float = 0.0, **options: Any) -> None:
        self.name = name
        self._changed = threading.Condition()
        self.states: list[SessionState] = []
        self.marks: dict[str, list[int]] = {}
        self._sound: list[Samples] = []
        self._silent_frames = 0
        self.call = Call("thread", SpeakerSpec("null"), self._state, size=SIZE, fps=FPS, **options)
        self.call.mixer.tap = self._heard
        if number:
            self.call.choose_video(TestPictureSpec(number, *SIZE, FPS))
        if hertz:
            self.call.choose_sound(ToneSpec(hertz))
        self.call.open()

    def __enter__(self) -> Person:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.call.close()

    # What others do.

    def until(self, what: str, happened: Callable[[], Any]) -> None:
        """Waits until `happened()`, asked after each state, picture and frame of sound."""
        with self._changed:
            if not self._changed.wait_for(happened, WITHIN):
                raise AssertionError(f"{self.name}: {what}: not within {WITHIN:.0f} s; {self.state}")

    def until_phase(self, *phases: Phase) -> SessionState:
        self.until(f"phase {phases}", lambda: self.state.phase in phases)
        return self.state

    def until_among(self, *names: str) -> None:
        """In the call, and these are the others."""
        self.until(
            f"in the call with {names}",
            lambda: (
                self.state.phase is Phase.IN_CALL and sorted(m.name for m in self.others) == sorted(names)
            ),
        )

    def until_sees(self, name: str, number: int, count: int = 3) -> None:
        """`count` more pictures of the member with that mark."""
        member = self.other(name).id
        self._watch()
        before = len(self.marks.get(member, []))
        self.until(f"sees {name}", lambda: len(self.marks.get(member, [])) >= before + count)
        assert set(self.marks[member]) == {number}, "a tile shows somebody else"

    def until_hears(self, hertz: float) -> None:
        """A quarter of a second of that tone, louder than anything else."""
        with self._changed:
            self._sound.clear()
        self.until(f"hears {hertz} Hz", lambda: abs(self.loudest_hertz() - hertz) < 8.0)

    def until_silent(self) -> None:
        """A fifth of a second without any sound from now on."""
        with self._changed:
            self._silent_frames = 0
        self.until("hears nothing", lambda: self._silent_frames >= 20)

    @property
    def state(self) -> SessionState:
        return self.states[-1] if self.states else SessionState()

    @property
    def me(self) -> MemberView:
        return next(m for m in self.state.members if m.is_me)

    @property
    def others(self) -> list[MemberView]:
        return [m for m in self.state.members if not m.is_me]

    def other(self, name: str) -> MemberView:
        return next(m for m in self.others if m.name == name)

    @property
    def phases(self) -> list[Phase]:
        """Phases in order, each change once."""
        phases = [s.phase for s in self.states]
        return [p for n, p in enumerate(phases) if n == 0 or p is not phases[n - 1]]

    def loudest_hertz(self) -> float:
        """The loudest frequency of the last quarter of a second; 0 while there is too little or silence."""
        if len(self._sound) < 25:
            return 0.0
        samples = np.concatenate(self._sound[-25:]).astype(np.float64)
        if np.abs(samples).max() < 100.0:
            return 0.0
        spectrum = np.abs(np.fft.rfft(samples * np.hanning(samples.size)))
        return float(np.argmax(spectrum)) * SAMPLE_RATE / samples.size

    # From the call's threads.

    def _state(self, state: SessionState) -> None:
        with self._changed:
            self.states.append(state)
            self._watch()
            self._changed.notify_all()

    def _watch(self) -> None:
        for member in self.others:
            slot = self.call.pictures.slot(member.id)
            slot.on_put = lambda slot=slot, member=member.id: self._seen(member, slot)

    def _seen(self, member: str, slot: Any) -> None:
        picture = slot.take()
        seen = mark.read(picture) if picture is not None else None
        with self._changed:
            if seen is not None:
                self.marks.setdefault(member, []).append(seen.identity)
            self._changed.notify_all()

    def _heard(self, samples: Samples) -> None:
        with self._changed:
            self._sound = [*self._sound[-99:], samples]
            self._silent_frames = self._silent_frames + 1 if not samples.any() else 0
            self._changed.notify_all()


class Doorway:
    """A TCP port before the server that can be cut: what is open is torn, what comes is turned away."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._open: set[asyncio.Transport | asyncio.WriteTransport] = set()
        self._is_cut = self._deaf = False
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="doorway")
        self.port = 0

    def __enter__(self) -> Doorway:
        self._thread.start()
        self._server = self._do(asyncio.start_server(self._pass, "127.0.0.1", 0))
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._do(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def cut(self) -> None:
        """From now on nothing passes."""
        self._do(self._tear(True))

    def restore(self) -> None:
        self._deaf = False
        self._do(self._tear(False))

    def swallow(self) -> None:
        """From now on the server hears nothing of what is said, and still is heard."""
        self._deaf = True

    def _do(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(WITHIN)

    async def _tear(self, cut: bool) -> None:
        self._is_cut = cut
        for transport in list(self._open):
            transport.abort()

    async def _close(self) -> None:
        self._server.close()
        await self._tear(True)
        while tasks := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.wait(tasks, timeout=1.0)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_cut:
            writer.transport.abort()
            return
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        ends = {writer.transport, far_writer.transport}
        self._open |= ends
        try:
            there = self._pump(reader, far_writer, lambda: self._deaf)
            await asyncio.gather(there, self._pump(far_reader, writer, lambda: False))
        finally:
            self._open -= ends
            for end in ends:
                end.abort()

    @staticmethod
    async def _pump(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, deaf: Callable[[], bool]
    ) -> None:
        try:
            while data := await reader.read(65536):
                if not deaf():
                    writer.write(data)
                    await writer.drain()
        except OSError:
            pass
        writer.close()
