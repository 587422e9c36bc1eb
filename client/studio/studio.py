"""The handle on the studio, in the process of the call."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from client.studio.hosts import Host, ProcessHost, ThreadHost
from client.studio.messages import (
    Command,
    EncodeSound,
    EncodeVideo,
    KeyFrame,
    SoundEncoded,
    Stop,
    StudioEvent,
    UseSound,
    UseVideo,
    VideoEncoded,
)

log = logging.getLogger(__name__)

Mode = Literal["process", "thread"]


@dataclass(slots=True)
class _Wanted:
    """The last command of each sort: what a new studio process has to be told."""

    use_video: UseVideo | None = None
    use_sound: UseSound | None = None
    encode_video: EncodeVideo | None = None
    encode_sound: EncodeSound | None = None

    def note(self, command: Command) -> None:
        match command:
            case UseVideo():
                self.use_video = command
            case UseSound():
                self.use_sound = command
            case EncodeVideo():
                self.encode_video = command
            case EncodeSound():
                self.encode_sound = command

    def commands(self) -> list[Command]:
        wanted = (self.encode_video, self.encode_sound, self.use_video, self.use_sound)
        return [command for command in wanted if command is not None]


class Studio:
    """Capture and encoding, in a process of its own or (mode "thread") in threads of this one.

    `on_event` is called from the studio's reader thread (mode "thread": from several) and must be quick. A
    process that dies is started again with the last wanted settings, sooner at first, then slower; then
    StudioRestarted comes. All methods may be called from any thread; `send` never waits.
    """

    def __init__(self, mode: Mode = "process", on_event: Callable[[StudioEvent], None] | None = None) -> None:
        self._on_event = on_event or (lambda event: None)
        self._lock = threading.Lock()
        self._wanted = _Wanted()
        self._stopped = False
        host = ProcessHost if mode == "process" else ThreadHost
        self._host: Host = host(self._received, self._commands)

    @property
    def alive(self) -> bool:
        """Whether a studio runs just now."""
        return self._host.alive

    @property
    def pid(self) -> int | None:
        """The process id of the studio; None in mode "thread" or while none runs."""
        return self._host.pid

    def start(self) -> None:
        """Start; returns at once. Commands sent before are carried out then."""
        self._host.start()

    def send(self, command: KeyFrame | UseVideo | UseSound | EncodeVideo | EncodeSound) -> None:
        """Tell the studio what is wanted from now on."""
        with self._lock:
            if self._stopped:
                return
            self._wanted.note(command)
            self._host.send(command)

    def stop(self) -> None:
        """End the studio and let all devices go, within 2 s. May be called twice."""
        with self._lock:
            if self._stopped:
                return
            self._stopped = True
            self._host.send(Stop())
        self._host.stop()

    def _commands(self) -> list[Command]:
        return self._wanted.commands()

    def _received(self, event: StudioEvent) -> None:
        """What was still under way when somebody muted is thrown away here: off means off at once."""
        if isinstance(event, SoundEncoded):
            if self._wanted.encode_sound is None or not self._wanted.encode_sound.on:
                return
        elif isinstance(event, VideoEncoded) and (
            self._wanted.encode_video is None or not self._wanted.encode_video.on
        ):
            return
        if self._stopped:
            return
        try:
            self._on_event(event)
        except Exception:
            log.exception("an event of the studio could not be handled")
