"""A call without a server: the gallery of the screen, and the stand-in for tests."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from client.bridge.ports import LevelListener, StateListener
from client.media import mark
from client.media.picture import Picture
from client.media.slot import LatestSlot
from client.session.state import MemberView, Phase, Problem, SessionState

#: People who are always at home.
NAMES = (
    "Mei Lindqvist", "Tom Baker", "Amara Okafor", "Jonas Weber", "Sofia Rossi", "Kenji Mori", "Lea Novak",
    "Pedro Alves", "Ingrid Dahl", "Omar Haddad", "Nadia Petrova", "Sam Taylor", "Chloé Martin", "Ravi Nair",
    "Elena Popescu", "Lukas Steiner", "Fatima Zahra", "Oskar Nowak", "Hana Kimura", "Diego Ruiz",
    "Maja Horvat", "Felix Braun", "Aisha Diallo", "Erik Lund",
)  # fmt: skip
FPS = 15
WIDTH, HEIGHT = 640, 360
#: Where each sample lies, in heights of the picture.
_DOWN = np.linspace(0.0, 1.0, HEIGHT, dtype=np.float32)[:, None]
_ACROSS = np.linspace(0.0, WIDTH / HEIGHT, WIDTH, dtype=np.float32)[None, :]


class FakeBoard:
    """The slots of a call that has no network."""

    def __init__(self) -> None:
        self.self_view: LatestSlot[Picture] = LatestSlot()
        self._slots: dict[str, LatestSlot[Picture]] = {}

    def slot(self, member_id: str) -> LatestSlot[Picture]:
        return self._slots.setdefault(member_id, LatestSlot())


class FakeCall:
    """Fits `client.bridge.ports.CallPort`; `others` people are inside, most with a moving picture."""

    def __init__(
        self,
        on_state: StateListener,
        on_levels: LevelListener | None = None,
        *,
        others: int = 3,
        paint: bool = True,
        marked: bool = True,
    ) -> None:
        self.pictures = FakeBoard()
        self.state = SessionState()
        self.admits = True  # False: whoever joins waits before the door
        self.asked: list[tuple[str, Any]] = []  # every verb that was used, in order
        self._on_state = on_state
        self._on_levels = on_levels
        self._others = others
        self._paint = paint
        self._marked = marked
        self._stopping = threading.Event()
        self._painter: threading.Thread | None = None
        self._video: Any = None

    def open(self) -> None:
        self.asked.append(("open", None))
        if self._paint and self._painter is None:
            self._painter = threading.Thread(target=self._run, name="gallery-painter", daemon=True)
            self._painter.start()

    def choose_video(self, spec: Any) -> None:
        self.asked.append(("choose_video", spec))
        self._video = spec

    def choose_sound(self, spec: Any) -> None:
        self.asked.append(("choose_sound", spec))

    def join(self, invitation_text: str, name: str) -> None:
        self.asked.append(("join", (invitation_text, name)))
        if not self.admits:
            self.become(replace(self.state, phase=Phase.SECURING, problem=None))
            return
        self.become(
            SessionState(
                phase=Phase.IN_CALL,
                title="Team weekly",
                invitation_link=invitation_text,
                members=self._people(name),
                microphone_on=self.state.microphone_on,
                camera_on=self.state.camera_on,
                joined_at=time.monotonic(),
            )
        )

    def set_microphone(self, on: bool) -> None:
        self.asked.append(("set_microphone", on))
        self.become(replace(self.state, microphone_on=on, members=self._with_me(microphone=on)))

    def set_camera(self, on: bool) -> None:
        self.asked.append(("set_camera", on))
        self.become(replace(self.state, camera_on=on, members=self._with_me(camera=on)))

    def show(self, member_ids: Sequence[str] | None) -> None:
        self.asked.append(("show", member_ids))

    def view(self, heights: Mapping[str, float], main: str | None = None) -> None:
        self.asked.append(("view", (dict(heights), main)))

    def leave(self) -> None:
        self.asked.append(("leave", None))
        self.become(replace(self.state, phase=Phase.LEFT, members=(), joined_at=None))

    def close(self) -> None:
        self.asked.append(("close", None))
        self._stopping.set()
        if self._painter is not None:
            self._painter.join(2.0)
            self._painter = None

    def become(self, state: SessionState) -> None:
        """Report `state`, as the call thread would."""
        self.state = state
        self._on_state(state)

    def fail(self, code: str, sentence: str) -> None:
        """End with a problem."""
        self.become(replace(self.state, phase=Phase.FAILED, problem=Problem(code, sentence), members=()))

    def report_levels(self, levels: dict[str, float]) -> None:
        """Report sound levels, as the call thread would."""
        if self._on_levels is not None:
            self._on_levels(levels)

    def _people(self, name: str) -> tuple[MemberView, ...]:
        me = MemberView(
            "m0", name, is_me=True, microphone=self.state.microphone_on, camera=self.state.camera_on
        )
        others = tuple(
            MemberView(
                f"m{n}",
                NAMES[(n - 1) % len(NAMES)],
                microphone=n % 3 != 2,
                camera=n % 4 != 3,
                speaking=n == 1,
            )
            for n in range(1, self._others + 1)
        )
        return (me, *others)

    def _with_me(self, **changes: Any) -> tuple[MemberView, ...]:
        return tuple(replace(m, **changes) if m.is_me else m for m in self.state.members)

    def _run(self) -> None:
        started = time.monotonic()
        ticks = 0
        while not self._stopping.wait(max(0.0, started + ticks / FPS - time.monotonic())):
            ticks += 1
            now = time.monotonic()
            if self.state.camera_on:
                self.pictures.self_view.put(draw(0, now, self._marked))
            for member in self.state.members:
                if member.camera and not member.is_me:
                    self.pictures.slot(member.id).put(draw(int(member.id[1:]), now, self._marked))
            if ticks % 2 == 0:
                self.report_levels({"me": _wave(now, 0), **{m.id: _wave(now, 1) for m in self.state.members}})


def draw(identity: int, now: float, marked: bool = True) -> Picture:
    """A moving picture that nobody takes for another: a room with a person in it."""
    picture = Picture.blank(WIDTH, HEIGHT, now)
    luma, blue, red = picture.planes
    hue = identity * 2.4
    luma[:] = (70 + 50 * _DOWN + 10 * np.sin(_ACROSS * 8 + now + identity)).astype(np.uint8)
    blue[:] = int(128 + 18 * math.cos(hue))
    red[:] = int(128 + 18 * math.sin(hue))
    middle = 0.89 + 0.08 * math.sin(now * 0.8 + identity)
    head = ((_ACROSS - middle) / 0.135) ** 2 + ((_DOWN - 0.43) / 0.175) ** 2 < 1
    body = ((_ACROSS - middle) / 0.36) ** 2 + ((_DOWN - 1.04) / 0.41) ** 2 < 1
    luma[body] = 60 + identity * 23 % 80
    luma[head] = 175 - identity * 17 % 60
    blue[body[::2, ::2]] = int(128 + 30 * math.cos(hue + 2))
    red[body[::2, ::2]] = int(128 + 30 * math.sin(hue + 2))
    blue[head[::2, ::2]], red[head[::2, ::2]] = 112, 148
    if marked:
        mark.paint(picture.planes, identity, now)
    return picture


def _wave(now: float, n: int) -> float:
    return 0.35 + 0.3 * math.sin(now * 5 + n) * math.sin(now * 1.7)
