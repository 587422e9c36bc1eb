"""The fitted grid for QML: how many tiles and how much room in, one rectangle per tile out."""

from __future__ import annotations

from PySide6.QtCore import Property, QObject, QRectF, Signal
from PySide6.QtQml import QmlElement

from client.bridge.grid import WIDE, fit

QML_IMPORT_NAME = "Hearth"
QML_IMPORT_MAJOR_VERSION = 1


@QmlElement
class FittedGrid(QObject):
    """Lays out `count` tiles in `width` x `height` pixels; `places` has one `QRectF` per tile."""

    inputsChanged = Signal()
    placesChanged = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._count = 0
        self._width = 0.0
        self._height = 0.0
        self._gap = 8.0
        self._places: list[QRectF] = []

    def _lay_out(self) -> None:
        places = [QRectF(*rect) for rect in fit(self._count, self._width, self._height, WIDE, self._gap)]
        self.inputsChanged.emit()
        if places != self._places:
            self._places = places
            self.placesChanged.emit()

    def _get_count(self) -> int:
        return self._count

    def _set_count(self, count: int) -> None:
        if count != self._count:
            self._count = count
            self._lay_out()

    def _get_width(self) -> float:
        return self._width

    def _set_width(self, width: float) -> None:
        if width != self._width:
            self._width = width
            self._lay_out()

    def _get_height(self) -> float:
        return self._height

    def _set_height(self, height: float) -> None:
        if height != self._height:
            self._height = height
            self._lay_out()

    def _get_gap(self) -> float:
        return self._gap

    def _set_gap(self, gap: float) -> None:
        if gap != self._gap:
            self._gap = gap
            self._lay_out()

    def _get_places(self) -> list[QRectF]:
        return self._places

    count = Property(int, _get_count, _set_count, notify=inputsChanged)
    width = Property(float, _get_width, _set_width, notify=inputsChanged)
    height = Property(float, _get_height, _set_height, notify=inputsChanged)
    gap = Property(float, _get_gap, _set_gap, notify=inputsChanged)
    places = Property(list, _get_places, notify=placesChanged)
