"""The member model ends up as it was told, and says only what really changed."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from client.bridge.members import MemberModel, Role
from client.session.state import MemberView

MEMBERS = st.lists(
    st.builds(
        MemberView,
        id=st.sampled_from([f"m{n}" for n in range(8)]),
        name=st.sampled_from(["Mei", "Tom", "Amara"]),
        microphone=st.booleans(),
        speaking=st.booleans(),
    ),
    max_size=8,
    unique_by=lambda member: member.id,
)


class Mirror:
    """What a view believes after following the model's signals."""

    def __init__(self, model: MemberModel) -> None:
        self.model = model
        self.ids: list[str] = []
        self.inserted = self.removed = self.moved = 0
        self.changes: list[tuple[int, list[int]]] = []
        model.rowsInserted.connect(self._insert)
        model.rowsRemoved.connect(self._remove)
        model.rowsMoved.connect(self._move)
        model.dataChanged.connect(lambda top, _bottom, roles: self.changes.append((top.row(), list(roles))))

    def _insert(self, _parent: Any, first: int, _last: int) -> None:
        self.inserted += 1
        self.ids.insert(first, self.model.data(self.model.index(first), Role.MEMBER_ID))

    def _remove(self, _parent: Any, first: int, _last: int) -> None:
        self.removed += 1
        self.ids.pop(first)

    def _move(self, _from: Any, start: int, _end: int, _to: Any, row: int) -> None:
        self.moved += 1
        self.ids.insert(row, self.ids.pop(start))


def test_a_change_touches_its_roles_only(application: Any) -> None:
    model = MemberModel()
    model.update([MemberView("a", "Mei"), MemberView("b", "Tom")])
    mirror = Mirror(model)
    model.update([MemberView("a", "Mei"), MemberView("b", "Tom", microphone=False)])
    assert mirror.changes == [(1, [int(Role.MICROPHONE)])]
    assert (mirror.inserted, mirror.removed, mirror.moved) == (0, 0, 0)


def test_the_same_members_again_say_nothing(application: Any) -> None:
    model = MemberModel()
    model.update([MemberView("a", "Mei")])
    mirror = Mirror(model)
    model.update([MemberView("a", "Mei")])
    assert mirror.changes == []


@given(st.lists(MEMBERS, min_size=1, max_size=5))
def test_a_view_that_follows_the_signals_agrees(application: Any, steps: list[list[MemberView]]) -> None:
    model = MemberModel()
    mirror = Mirror(model)
    before: set[str] = set()
    for members in steps:
        inserted, removed = mirror.inserted, mirror.removed
        model.update(members)
        wanted = [member.id for member in members]
        assert mirror.ids == wanted
        assert [model.data(model.index(n), Role.NAME) for n in range(len(members))] == [
            m.name for m in members
        ]
        # Nobody who stays is rebuilt.
        assert mirror.inserted - inserted == len(set(wanted) - before)
        assert mirror.removed - removed == len(before - set(wanted))
        before = set(wanted)


def test_levels_reach_their_members(application: Any) -> None:
    model = MemberModel()
    model.update([MemberView("a", "Mei", is_me=True), MemberView("b", "Tom")])
    mirror = Mirror(model)
    model.set_levels({"me": 0.5, "b": 0.25, "gone": 1.0})
    assert model.data(model.index(0), Role.LEVEL) == 0.5
    assert model.data(model.index(1), Role.LEVEL) == 0.25
    model.set_levels({"me": 0.501, "b": 0.25})  # too small a step to repaint for
    assert len(mirror.changes) == 2


def test_every_role_has_a_value(application: Any) -> None:
    model = MemberModel()
    model.update([MemberView("a", "Mei Lind")])
    values = {
        bytes(name.data()).decode(): model.data(model.index(0), role)
        for role, name in model.roleNames().items()
    }
    assert values.pop("colour").startswith("#")
    assert values == {
        "memberId": "a", "name": "Mei Lind", "isMe": False, "microphone": True, "camera": True,
        "speaking": False, "connected": True, "level": 0.0, "initials": "ML",
        "held": "",
    }  # fmt: skip
    assert model.data(model.index(5), Role.NAME) is None
