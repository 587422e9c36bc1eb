"""Cameras and microphones to choose from, and the choice handed to the call."""

from __future__ import annotations

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

NO_CAMERA = "No camera was found. Plug one in and open the list again; the others see your initials until then."
NO_MICROPHONE = "No microphone was found. Plug one in and open the list again; you can listen until then."


@dataclass(frozen=True, slots=True)
class Choice:
    """Something to choose: `key` is remembered, `label` is read, `spec` goes to the call (None: nothing)."""

    key: str
    label: str
    spec: Any


@QmlElement
@QmlUncreatable("The devices hold it")
class ChoiceModel(QAbstractListModel):
    """The entries of one picker."""

    countChanged = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.choices: list[Choice] = []

    def rowCount(self, parent: _Index = QModelIndex()) -> int:
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


ListChoices = Callable[[], Sequence[Choice]]


@QmlElement
@QmlUncreatable("The program holds it")
class Devices(QObject):
    """One picker for cameras, one for microphones. Both are listed anew whenever a picker opens."""

    cameraChanged = Signal()
    microphoneChanged = Signal()

    def __init__(
        self,
        list_cameras: ListChoices,
        list_microphones: ListChoices,
        preferences: Preferences,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._list_cameras = list_cameras
        self._list_microphones = list_microphones
        self._preferences = preferences
        self._cameras = ChoiceModel(self)
        self._microphones = ChoiceModel(self)
        self._camera = -1
        self._microphone = -1
        #: Told the chosen spec, or None, whenever it changes; the program connects the call here.
        self.on_camera: Callable[[Any], None] = lambda spec: None
        self.on_microphone: Callable[[Any], None] = lambda spec: None

    @Slot()
    def refresh(self) -> None:
        """List the devices again and keep to the one chosen before, else the first."""
        self._camera = self._relist(self._cameras, self._list_cameras, "camera", self._camera)
        self._microphone = self._relist(
            self._microphones, self._list_microphones, "microphone", self._microphone
        )
        self.cameraChanged.emit()
        self.microphoneChanged.emit()

    def start(self) -> None:
        """List the devices and hand the chosen ones to the call."""
        self.refresh()
        self.on_camera(_spec(self._cameras, self._camera))
        self.on_microphone(_spec(self._microphones, self._microphone))

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

    def _relist(self, model: ChoiceModel, list_choices: ListChoices, key: str, chosen: int) -> int:
        wanted = model.choices[chosen].key if 0 <= chosen < len(model.choices) else self._preferences.text(key)
        model.reset(list_choices())
        keys = [choice.key for choice in model.choices]
        if wanted in keys:
            return keys.index(wanted)
        return 0 if keys else -1

    def _get_cameras(self) -> ChoiceModel:
        return self._cameras

    def _get_microphones(self) -> ChoiceModel:
        return self._microphones

    def _get_camera(self) -> int:
        return self._camera

    def _get_microphone(self) -> int:
        return self._microphone

    def _camera_problem(self) -> str:
        return "" if self._cameras.choices else NO_CAMERA

    def _microphone_problem(self) -> str:
        return "" if self._microphones.choices else NO_MICROPHONE

    cameras = Property(ChoiceModel, _get_cameras, constant=True)
    microphones = Property(ChoiceModel, _get_microphones, constant=True)
    cameraIndex = Property(int, _get_camera, notify=cameraChanged)
    microphoneIndex = Property(int, _get_microphone, notify=microphoneChanged)
    cameraProblem = Property(str, _camera_problem, notify=cameraChanged)
    microphoneProblem = Property(str, _microphone_problem, notify=microphoneChanged)


def _spec(model: ChoiceModel, index: int) -> Any:
    return model.choices[index].spec if 0 <= index < len(model.choices) else None
