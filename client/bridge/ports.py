"""What the bridge needs from a call. The real one and the gallery's stand-in both fit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from client.session.state import SessionState


class PictureLike(Protocol):
    """One I420 picture: planes Y, U, V as byte buffers, strides in bytes."""

    width: int
    height: int
    planes: Any
    strides: Any
    captured_at: float


class PictureSlot(Protocol):
    """A place for the latest picture of one member."""

    on_put: Callable[[], None] | None

    def take(self) -> Any: ...


class PictureBoardLike(Protocol):
    """All slots of a call."""

    @property
    def self_view(self) -> Any: ...

    def slot(self, member_id: str) -> Any: ...


class CallPort(Protocol):
    """The verbs of a call. Safe to use from the screen's thread; none of them blocks."""

    @property
    def pictures(self) -> Any: ...

    @property
    def state(self) -> SessionState: ...

    def open(self) -> None: ...

    def choose_video(self, spec: Any) -> None: ...

    def choose_sound(self, spec: Any) -> None: ...

    def join(self, invitation_text: str, name: str) -> None: ...

    def set_microphone(self, on: bool) -> None: ...

    def set_camera(self, on: bool) -> None: ...

    def show(self, member_ids: Sequence[str] | None) -> None: ...

    def view(self, heights: Mapping[str, float], main: str | None = None) -> None: ...

    def leave(self) -> None: ...

    def close(self) -> None: ...


StateListener = Callable[[SessionState], None]
LevelListener = Callable[[Mapping[str, float]], None]
#: Makes a call that reports to the two listeners, from any thread.
MakeCall = Callable[[StateListener, LevelListener], CallPort]
