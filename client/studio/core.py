"""The studio itself, wherever it runs: takes commands, gives events."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from client.media.picture import Picture
from client.studio.messages import (
    Command,
    EncodeSound,
    EncodeVideo,
    KeyFrame,
    StudioEvent,
    UseSound,
    UseVideo,
)
from client.studio.video_chain import VideoChain

if TYPE_CHECKING:
    from client.studio.sound_chain import SoundChain


class StudioCore:
    """Commands are handled by one thread, which may wait for a device up to 1.5 s.

    `emit` gets every event but the self view, which goes to `show`; both are called from several threads.
    """

    def __init__(self, emit: Callable[[StudioEvent], None], show: Callable[[Picture], None]) -> None:
        self._emit = emit
        self._video = VideoChain(emit, show)
        self._sound: SoundChain | None = None

    def handle(self, command: Command) -> None:
        """Carry out one command."""
        match command:
            case UseVideo(spec):
                self._video.use(spec)
            case EncodeVideo():
                self._video.encode(command)
            case KeyFrame():
                self._video.key_frame()
            case UseSound(spec):
                self._sound_chain().use(spec)
            case EncodeSound():
                self._sound_chain().encode(command)

    def close(self) -> None:
        """Let all devices go and end all threads."""
        self._video.close()
        if self._sound is not None:
            self._sound.close()

    def _sound_chain(self) -> SoundChain:
        """Made when it is needed first: loading the codec takes time the self view would wait for."""
        if self._sound is None:
            from client.studio.sound_chain import SoundChain

            self._sound = SoundChain(self._emit)
        return self._sound
