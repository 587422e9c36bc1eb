"""Cameras and microphones to choose from, and the choice handed to the call."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import (
    Property,
    QAbstractListModel,
    QByteArray,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    Qt,
    Signal,
    Slot,
)
from PySide6.QtQml import QmlElement, QmlUncreatable

from client.bridge.preferences import Preferences

QML_IMPORT_NAME = "Hearth"
QML_IMPORT_MAJOR_VERSION = 1

_LABEL = int(Qt.ItemDataRole.UserRole) + 1
_Index = QModelIndex | QPersistentModelIndex
_NOWHERE = QModelIndex()

NO_CAMERA = "No camera was found. Plug one in; until then the others see your initials."
NO_MICROPHONE = "No microphone was found. Plug one in; until then you can listen."


@dataclass(frozen=True, slots=True)
class Choice:
    """Something to choose: `key` is remembered, `label` is read, `spec` goes to the call (None: nothing)."""

    key: str
    label: str
    spec: Any


@QmlElement
@QmlUncreatable("The devices hold it")
class ChoiceModel(QAbstractListModel):  # type: ignore[operator]
    """The entries of one picker."""

    countChanged = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.choices: list[Choice] = []

    def rowCount(self, parent: _Index = _NOWHERE) -> int:
        return 0 if parent.isValid() else len(self.choices)

    def roleNames(self) -> dict[int, QByteArray]:
        return {_LABEL: QByteArray(b"label")}

    def data(self, index: _Index, role: int = int(Qt.ItemDataRole.DisplayRole)) -> Any:
        if not index.isValid() or role not in (_LABEL, Qt.ItemDataRole.DisplayRole):
            return None
        return self.choices[index.row()].label

    def reset(self, choices: Sequence[Choice]) -> None:
        """Show `choices` instead of what was there."""
        if list(choices) == self.choices:
            return
        self.beginResetModel()
        self.choices = list(choices)
        self.endResetModel()
        self.countChanged.emit()

    def _count(self) -> int:
        return len(self.choices)

    count = Property(int, _count, notify=countChanged)


#: Asks the system for cameras and microphones; may take a second, so it runs in a worker thread.
ListChoices = Callable[[], tuple[Sequence[Choice], Sequence[Choice]]]


@QmlElement
@QmlUncreatable("The program holds it")
class Devices(QObject):  # type: ignore[operator]
    """One picker for cameras, one for microphones. Both are listed anew whenever a picker opens."""

    cameraChanged = Signal()
    microphoneChanged = Signal()

    def __init__(
        self, list_choices: ListChoices, preferences: Preferences, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._list_choices = list_choices
        self._preferences = preferences
        self._task: asyncio.Task[None] | None = None
        self._listed = False
        self._in_use = False
        self._cameras = ChoiceModel(self)
        self._microphones = ChoiceModel(self)
        self._camera = -1
        self._microphone = -1
        #: Told the chosen spec, or None, whenever it changes; the program connects the call here.
        self.on_camera: Callable[[Any], None] = lambda spec: None
        self.on_microphone: Callable[[Any], None] = lambda spec: None

    @Slot()
    def refresh(self) -> None:
        """List the devices again and keep to the ones chosen before, else the first."""
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._refresh())

    async def _refresh(self) -> None:
        cameras, microphones = await asyncio.to_thread(self._list_choices)
        self._listed = True
        self._camera, new_camera = self._relist(self._cameras, cameras, "camera", self._camera)
        self._microphone, new_microphone = self._relist(
            self._microphones, microphones, "microphone", self._microphone
        )
        if new_camera and self._in_use:
            self.on_camera(_spec(self._cameras, self._camera))
        if new_microphone and self._in_use:
            self.on_microphone(_spec(self._microphones, self._microphone))
        self.cameraChanged.emit()
        self.microphoneChanged.emit()

    def use(self) -> None:
        """Hand the chosen devices to the call, and list them anew."""
        if not self._in_use:
            self._in_use = True
            if self._camera >= 0:
                self.on_camera(_spec(self._cameras, self._camera))
            if self._microphone >= 0:
                self.on_microphone(_spec(self._microphones, self._microphone))
        self.refresh()

    def release(self) -> None:
        """Let go of camera and microphone: nobody is looked at outside a meeting."""
        if self._in_use:
            self._in_use = False
            self.on_camera(None)
            self.on_microphone(None)

    def close(self) -> None:
        """List no more."""
        if self._task is not None:
            self._task.cancel()

    @Slot(int)
    def chooseCamera(self, index: int) -> None:
        """Use the camera at `index` of the list."""
        if 0 <= index < len(self._cameras.choices) and index != self._camera:
            self._camera = index
            self._preferences.remember("camera", self._cameras.choices[index].key)
            self.on_camera(_spec(self._cameras, index))
            self.cameraChanged.emit()

    @Slot(int)
    def chooseMicrophone(self, index: int) -> None:
        """Use the microphone at `index` of the list."""
        if 0 <= index < len(self._microphones.choices) and index != self._microphone:
            self._microphone = index
            self._preferences.remember("microphone", self._microphones.choices[index].key)
            self.on_microphone(_spec(self._microphones, index))
            self.microphoneChanged.emit()

    def _relist(
        self, model: ChoiceModel, choices: Sequence[Choice], key: str, chosen: int
    ) -> tuple[int, bool]:
        """Show `choices`; the chosen index, and whether that is another device than before."""
        before = model.choices[chosen] if 0 <= chosen < len(model.choices) else None
        wanted = before.key if before is not None else self._preferences.text(key)
        model.reset(choices)
        keys = [choice.key for choice in model.choices]
        now = keys.index(wanted) if wanted in keys else 0 if keys else -1
        return now, (model.choices[now] if now >= 0 else None) != before

    def _get_cameras(self) -> ChoiceModel:
        return self._cameras

    def _get_microphones(self) -> ChoiceModel:
        return self._microphones

    def _get_camera(self) -> int:
        return self._camera

    def _get_microphone(self) -> int:
        return self._microphone

    def _camera_problem(self) -> str:
        return NO_CAMERA if self._listed and not self._cameras.choices else ""

    def _microphone_problem(self) -> str:
        return NO_MICROPHONE if self._listed and not self._microphones.choices else ""

    cameras = Property(ChoiceModel, _get_cameras, constant=True)
    microphones = Property(ChoiceModel, _get_microphones, constant=True)
    cameraIndex = Property(int, _get_camera, notify=cameraChanged)
    microphoneIndex = Property(int, _get_microphone, notify=microphoneChanged)
    cameraProblem = Property(str, _camera_problem, notify=cameraChanged)
    microphoneProblem = Property(str, _microphone_problem, notify=microphoneChanged)


def _spec(model: ChoiceModel, index: int) -> Any:
    return model.choices[index].spec if 0 <= index < len(model.choices) else None
