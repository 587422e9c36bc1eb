"""The people of a meeting as a list model that changes as little as it can, so that tiles stay alive."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import IntEnum
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
)
from PySide6.QtQml import QmlElement, QmlUncreatable

from client.bridge.names import initials, name_colour
from client.session.state import MemberView

QML_IMPORT_NAME = "Hearth"
QML_IMPORT_MAJOR_VERSION = 1

_FIRST = int(Qt.ItemDataRole.UserRole) + 1
_Index = QModelIndex | QPersistentModelIndex
_NOWHERE = QModelIndex()


class Role(IntEnum):
    """The roles a delegate reads; their names in QML stand in `ROLE_NAMES`."""

    MEMBER_ID = _FIRST
    NAME = _FIRST + 1
    IS_ME = _FIRST + 2
    MICROPHONE = _FIRST + 3
    CAMERA = _FIRST + 4
    SPEAKING = _FIRST + 5
    CONNECTED = _FIRST + 6
    LEVEL = _FIRST + 7
    INITIALS = _FIRST + 8
    COLOUR = _FIRST + 9
    HELD = _FIRST + 10


ROLE_NAMES = {
    Role.MEMBER_ID: "memberId",
    Role.NAME: "name",
    Role.IS_ME: "isMe",
    Role.MICROPHONE: "microphone",
    Role.CAMERA: "camera",
    Role.SPEAKING: "speaking",
    Role.CONNECTED: "connected",
    Role.LEVEL: "level",
    Role.INITIALS: "initials",
    Role.COLOUR: "colour",
    Role.HELD: "held",
}

#: A level has to move this much (0..1) before a tile hears of it; lower costs more repaints.
LEVEL_STEP = 0.02


@QmlElement
@QmlUncreatable("The meeting holds it")
class MemberModel(QAbstractListModel):  # type: ignore[operator]
    """Members in the order of the session: me first."""

    countChanged = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._members: list[MemberView] = []
        self._levels: dict[str, float] = {}

    def rowCount(self, parent: _Index = _NOWHERE) -> int:
        return 0 if parent.isValid() else len(self._members)

    def roleNames(self) -> dict[int, QByteArray]:
        return {int(role): QByteArray(name.encode()) for role, name in ROLE_NAMES.items()}

    def data(self, index: _Index, role: int = int(Qt.ItemDataRole.DisplayRole)) -> Any:
        if not index.isValid() or index.row() >= len(self._members):
            return None
        member = self._members[index.row()]
        if role == Role.LEVEL:
            return self._levels.get(self._level_key(member), 0.0)
        return _value(member, role)

    def _count(self) -> int:
        return len(self._members)

    count = Property(int, _count, notify=countChanged)

    def update(self, members: Sequence[MemberView]) -> None:
        """Become `members` with the fewest removals, insertions, moves and changes."""
        before = len(self._members)
        self._remove_all_but({member.id for member in members})
        for row, member in enumerate(members):
            self._settle(row, member)
        if len(self._members) != before:
            self.countChanged.emit()

    def set_levels(self, levels: Mapping[str, float]) -> None:
        """Take sound levels (0..1) by member id; the key "me" is this computer's microphone."""
        for row, member in enumerate(self._members):
            key = self._level_key(member)
            level = levels.get(key, 0.0)
            if abs(level - self._levels.get(key, 0.0)) >= LEVEL_STEP:
                self._levels[key] = level
                self.dataChanged.emit(self.index(row), self.index(row), [int(Role.LEVEL)])

    @staticmethod
    def _level_key(member: MemberView) -> str:
        return "me" if member.is_me else member.id

    def _remove_all_but(self, ids: set[str]) -> None:
        for row in reversed(range(len(self._members))):
            if self._members[row].id not in ids:
                self.beginRemoveRows(QModelIndex(), row, row)
                gone = self._members.pop(row)
                self._levels.pop(self._level_key(gone), None)
                self.endRemoveRows()

    def _settle(self, row: int, member: MemberView) -> None:
        """Bring `member` to `row`; all rows before it are settled already."""
        at = next((n for n in range(row, len(self._members)) if self._members[n].id == member.id), None)
        if at is None:
            self.beginInsertRows(QModelIndex(), row, row)
            self._members.insert(row, member)
            self.endInsertRows()
            return
        if at != row:
            self.beginMoveRows(QModelIndex(), at, at, QModelIndex(), row)
            self._members.insert(row, self._members.pop(at))
            self.endMoveRows()
        old, self._members[row] = self._members[row], member
        changed = [int(role) for role in ROLE_NAMES if _value(old, role) != _value(member, role)]
        if changed:
            self.dataChanged.emit(self.index(row), self.index(row), changed)


def _value(member: MemberView, role: int) -> Any:
    match role:
        case Role.MEMBER_ID:
            return member.id
        case Role.NAME | Qt.ItemDataRole.DisplayRole:
            return member.name
        case Role.IS_ME:
            return member.is_me
        case Role.MICROPHONE:
            return member.microphone
        case Role.CAMERA:
            return member.camera
        case Role.SPEAKING:
            return member.speaking
        case Role.CONNECTED:
            return member.connected
        case Role.INITIALS:
            return initials(member.name)
        case Role.COLOUR:
            return name_colour(member.name)
        case Role.HELD:
            return member.held
    return None
