"""Who is in a meeting: any order of events, in virtual time, leaves everybody with the same view."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, multiple, rule

from rtc.secret import Secret
from rtc.signalling import ProtocolError, media, session
from server_lite import room as events
from server_lite.room import Effect, Room

GRACE = 5.5
CAP = 6
INVITATION = session.Invitation(link="http://192.0.2.1:1/join/r#t", code="")


def make_room(cap: int = CAP, publishers: int = 100) -> Room:
    numbers, keys = itertools.count(), itertools.count()
    return Room(
        "room1",
        "Monday",
        INVITATION,
        new_id=lambda prefix: f"{prefix}{next(numbers)}",
        new_key=lambda: Secret(f"key{next(keys)}"),
        max_members=cap,
        max_publishers=publishers,
        lost_grace=GRACE,
    )


def hello(name: str = "Ann", **changes: Any) -> events.Join:
    fields: dict[str, Any] = {"id": 1, "protocol": [1], "token": Secret("t"), "name": name} | changes
    return events.Join(session.Hello(**fields))


def told(effects: list[Effect], member: str) -> list[Any]:
    return [e.message for e in effects if isinstance(e, events.Tell) and e.to == member]


def join(room: Room, name: str = "Ann", now: float = 0.0, **changes: Any) -> tuple[str, session.Welcome]:
    effects = room.handle(hello(name, **changes), now)
    member = next(e.member for e in effects if isinstance(e, events.Admitted))
    return member, next(m for m in told(effects, member) if isinstance(m, session.Welcome))


class View:
    """What one member knows of the room from what it was told, as a client would keep it."""

    def __init__(self, welcome: session.Welcome) -> None:
        self.me = welcome.member
        self.members = {m.id: m for m in welcome.members}
        self.speaker: str | None = None

    def hear(self, message: Any) -> None:
        match message:
            case session.Joined() | session.Changed():
                if isinstance(message, session.Joined):
                    assert message.member.id not in self.members
                else:
                    assert message.member.id in self.members
                self.members[message.member.id] = message.member
            case session.Left():
                del self.members[message.member]
            case media.Produced():
                self._edit(message.producer.member, lambda old: [*old, message.producer])
            case media.Unproduced():
                for member in list(self.members):
                    self._edit(member, lambda old: [p for p in old if p.id != message.producer])
            case media.Speaker():
                self.speaker = message.member

    def _edit(self, member: str, change: Any) -> None:
        old = self.members[member]
        self.members[member] = old.model_copy(update={"producers": change(old.producers)})


SOURCES = st.lists(
    st.tuples(st.sampled_from(["a", "b", "c"]), st.sampled_from(["microphone", "camera", "screen"])),
    max_size=3,
    unique_by=lambda pair: pair[0],
)


class RoomMachine(RuleBasedStateMachine):
    """Members come, go, get lost, come back, send and mute, while time passes."""

    members: Bundle[str] = Bundle("members")

    @initialize()
    def open(self) -> None:
        self.room, self.now = make_room(), 0.0
        self.views: dict[str, View] = {}  # of members, connected or not
        self.lost: dict[str, float] = {}
        self.keys: dict[str, Secret] = {}
        self.old_keys: list[Secret] = []
        self.ids: set[str] = set()
        self.paused: dict[str, bool] = {}
        self.mine: dict[str, dict[str, str]] = {}  # member -> mid -> producer, as the member was answered

    def do(self, event: events.Event) -> list[Effect]:
        effects = self.room.handle(event, self.now)
        gone = [e.member for e in effects if isinstance(e, events.Gone)]
        for effect in effects:
            if isinstance(effect, events.Tell):
                assert effect.to not in gone, "told to one who is gone"
            elif isinstance(effect, events.PauseProducer):
                self.paused[effect.producer] = effect.paused
        for member in gone:
            self.old_keys.append(self.keys.pop(member))
            for producer in self.mine.pop(member, {}).values():
                self.paused.pop(producer, None)
            del self.views[member]
            self.lost.pop(member, None)
        for effect in effects:
            if isinstance(effect, events.Tell) and effect.to in self.views and effect.to not in self.lost:
                self.views[effect.to].hear(effect.message)
        return effects

    def admit(self, effects: list[Effect]) -> str:
        admitted = next(e for e in effects if isinstance(e, events.Admitted))
        member = admitted.member
        messages = told(effects, member)
        assert isinstance(messages[0], session.Welcome), "the welcome comes first"
        self.lost.pop(member, None)
        self.views[member] = View(messages[0])
        for message in messages[1:]:
            self.views[member].hear(message)
        self.keys[member] = messages[0].resume
        return member

    @rule(target=members, name=st.sampled_from(["Ann", " Ben ", "Cem\u202e"]), on=st.booleans())
    def join(self, name: str, on: bool) -> Any:
        if len(self.views) >= CAP:
            with pytest.raises(ProtocolError, match="room-full"):
                self.do(hello(name))
            return multiple()
        member = self.admit(self.do(hello(name, microphone=on)))
        assert member not in self.ids, "an id was given twice"
        self.ids.add(member)
        self.mine[member] = {}
        return member

    @rule(name=st.sampled_from(["", "x" * 65, "\x00"]))
    def join_with_a_bad_name(self, name: str) -> None:
        with pytest.raises(ProtocolError):
            self.do(hello(name))

    @rule(member=consumes(members))
    def leave(self, member: str) -> None:
        here = member in self.views
        effects = self.do(events.Leave(member))
        assert bool(effects) == here

    @rule(member=members)
    def lose(self, member: str) -> None:
        if member in self.views and member not in self.lost:
            effects = self.room.handle(events.ConnectionLost(member), self.now)
            self.lost[member] = self.now
            assert not told(effects, member)
            for effect in effects:
                if isinstance(effect, events.Tell) and effect.to not in self.lost:
                    self.views[effect.to].hear(effect.message)
        else:
            assert self.do(events.ConnectionLost(member)) == []

    @rule(member=members, on=st.booleans())
    def resume(self, member: str, on: bool) -> None:
        """Also while the connection is still there: it may be dead without our knowing."""
        if member in self.views:
            effects = self.do(hello("Whoever", resume=self.keys[member], microphone=on))
            assert self.admit(effects) == member

    @rule()
    def resume_with_the_key_of_one_who_is_gone(self) -> None:
        for key in [*self.old_keys[-3:], Secret("made-up")]:
            with pytest.raises(ProtocolError, match="resume-expired"):
                self.do(hello("Ann", resume=key))

    @rule(member=members, sources=SOURCES)
    def publish(self, member: str, sources: list[tuple[str, media.Source]]) -> None:
        if member not in self.views:
            return
        event = events.Publish(member, tuple(sources))
        if len({source for _, source in sources}) != len(sources):
            with pytest.raises(ProtocolError, match="source-twice"):
                self.do(event)
            return
        effects = self.do(event)
        published = next(e for e in effects if isinstance(e, events.Published))
        assert set(published.producers) == {mid for mid, _ in sources}
        before = set(self.mine[member].values())
        assert set(published.ended) == before - set(published.producers.values())
        fresh = set(published.producers.values()) - before
        assert not fresh & self.ids
        self.ids |= fresh
        for ended in published.ended:
            self.paused.pop(ended, None)
        self.mine[member] = published.producers

    @rule(member=members, source=st.sampled_from(["microphone", "camera", "screen"]), muted=st.booleans())
    def mute(self, member: str, source: media.Source, muted: bool) -> None:
        if member in self.views:
            self.do(events.Mute(member, source, muted))

    @rule(member=members | st.just("m-nobody"))
    def speak(self, member: str) -> None:
        self.do(events.SpeakerChanged(member))

    @rule(seconds=st.sampled_from([0.02, 1.0, GRACE]))
    def tick(self, seconds: float) -> None:
        self.now += seconds
        due = {member for member, at in self.lost.items() if self.now - at >= GRACE}
        effects = self.do(events.Tick())
        assert {e.member for e in effects if isinstance(e, events.Gone)} == due

    @invariant()
    def everybody_knows_the_same(self) -> None:
        connected = [view for member, view in self.views.items() if member not in self.lost]
        shown = [self._comparable(view) for view in connected]
        assert all(one == shown[0] for one in shown)
        assert all(
            list(view.members) == list(self.views) or set(view.members) == set(self.views)
            for view in connected
        )
        for view in connected:
            assert {m for m, v in view.members.items() if not v.connected} == set(self.lost)

    def _comparable(self, view: View) -> Any:
        members = {}
        for member, known in view.members.items():
            ids = {p.id for p in known.producers} if member != view.me else set(self.mine[member].values())
            members[member] = (known.name, known.microphone, known.camera, frozenset(ids))
        return members, view.speaker

    @invariant()
    def sources_are_paused_as_their_members_wish(self) -> None:
        for view in self.views.values():
            if view.me in self.lost:
                continue
            others = [known for known in view.members.values() if known.id != view.me]
            for known in others:
                for producer in known.producers:
                    if producer.source != "screen":
                        assert self.paused[producer.id] == (not getattr(known, producer.source))

    @invariant()
    def there_are_no_more_than_fit(self) -> None:
        assert len(self.room) == len(self.views) <= CAP


RoomMachine.TestCase.settings = settings(max_examples=150, stateful_step_count=50, deadline=None)
TestRoom = RoomMachine.TestCase


def test_a_lost_member_is_waited_for_and_then_gone() -> None:
    room = make_room()
    ann, _ = join(room, "Ann")
    ben, _ = join(room, "Ben")
    (changed,) = told(room.handle(events.ConnectionLost(ben), 10.0), ann)
    assert not changed.member.connected
    assert room.handle(events.Tick(), 10.0 + GRACE - 0.01) == []
    effects = room.handle(events.Tick(), 10.0 + GRACE)
    assert effects[0] == events.Gone(ben)
    assert told(effects, ann) == [session.Left(member=ben, reason="lost")]


def test_who_leaves_by_himself_is_gone_at_once() -> None:
    room = make_room()
    ann, _ = join(room, "Ann")
    ben, welcome = join(room, "Ben")
    effects = room.handle(events.Leave(ben), 1.0)
    assert told(effects, ann) == [session.Left(member=ben, reason="left")]
    with pytest.raises(ProtocolError, match="resume-expired"):
        room.handle(hello("Ben", resume=welcome.resume), 1.1)


def test_what_was_muted_while_away_is_muted_on_return() -> None:
    """The old path may still carry sound when the signalling comes back."""
    room = make_room()
    ann, welcome = join(room, "Ann")
    room.handle(events.Publish(ann, (("0", "microphone"), ("1", "camera"))), 0.0)
    room.handle(events.ConnectionLost(ann), 1.0)
    effects = room.handle(hello("Ann", resume=welcome.resume, microphone=False), 2.0)
    pauses = {e.producer: e.paused for e in effects if isinstance(e, events.PauseProducer)}
    kinds = {p.id: p.source for p in told(effects, ann)[0].members[0].producers}
    assert {kinds[producer]: paused for producer, paused in pauses.items()} == {
        "microphone": True,
        "camera": False,
    }


def test_a_muted_screen_stays_muted_over_another_offer() -> None:
    room = make_room()
    ann, _ = join(room, "Ann")
    sources = (("0", "microphone"), ("1", "screen"))
    room.handle(events.Publish(ann, sources), 0.0)  # type: ignore[arg-type]
    room.handle(events.Mute(ann, "screen", True), 0.0)
    effects = room.handle(events.Publish(ann, sources), 1.0)  # type: ignore[arg-type]
    assert sorted(e.paused for e in effects if isinstance(e, events.PauseProducer)) == [False, True]


def test_muting_twice_is_told_once() -> None:
    room = make_room()
    ann, _ = join(room, "Ann")
    ben, _ = join(room, "Ben")
    assert len(told(room.handle(events.Mute(ann, "camera", True), 0.0), ben)) == 1
    assert room.handle(events.Mute(ann, "camera", True), 0.1) == []


def test_the_one_who_sends_is_not_told_of_his_own_sources() -> None:
    room = make_room()
    ann, _ = join(room, "Ann")
    ben, _ = join(room, "Ben")
    effects = room.handle(events.Publish(ann, (("0", "camera"),)), 0.0)
    assert told(effects, ann) == []
    (produced,) = told(effects, ben)
    assert (produced.producer.member, produced.producer.kind) == (ann, "video")


def test_a_source_keeps_its_id_over_another_offer() -> None:
    room = make_room()
    ann, _ = join(room, "Ann")
    first = room.handle(events.Publish(ann, (("0", "microphone"),)), 0.0)[0]
    again = room.handle(events.Publish(ann, (("0", "microphone"), ("1", "camera"))), 1.0)[0]
    changed = room.handle(events.Publish(ann, (("0", "screen"),)), 2.0)[0]
    assert isinstance(first, events.Published)
    assert isinstance(again, events.Published)
    assert isinstance(changed, events.Published)
    assert again.producers["0"] == first.producers["0"]
    assert set(changed.ended) == set(again.producers.values())


def test_the_speaker_who_leaves_speaks_no_more() -> None:
    room = make_room()
    ann, _ = join(room, "Ann")
    ben, _ = join(room, "Ben")
    assert told(room.handle(events.SpeakerChanged(ben), 0.0), ann) == [media.Speaker(member=ben)]
    assert room.handle(events.SpeakerChanged(ben), 0.1) == []
    assert media.Speaker(member=None) in told(room.handle(events.Leave(ben), 1.0), ann)
    assert room.handle(events.SpeakerChanged(None), 1.1) == []
    assert room.handle(events.SpeakerChanged(ben), 1.2) == []


def test_one_who_comes_later_learns_who_speaks() -> None:
    room = make_room()
    ann, _ = join(room, "Ann")
    room.handle(events.SpeakerChanged(ann), 0.0)
    effects = room.handle(hello("Ben"), 1.0)
    ben = next(e.member for e in effects if isinstance(e, events.Admitted))
    assert told(effects, ben)[-1] == media.Speaker(member=ann)


@pytest.mark.parametrize(
    ("versions", "older"), [([2], "server"), ([7, 9], "server"), ([0], "program"), ([0, 0], "program")]
)
def test_versions_that_do_not_fit_say_which_end_is_older(versions: list[int], older: str) -> None:
    room = make_room()
    with pytest.raises(ProtocolError, match="protocol-mismatch") as refused:
        room.handle(hello("Ann", protocol=versions), 0.0)
    newer = "newer" if older == "server" else "older"
    assert f"This program is {newer}" in refused.value.sentence
    assert len(room) == 0


def test_the_best_common_version_is_taken() -> None:
    _, welcome = join(make_room(), "Ann", protocol=[9, 1, 0])
    assert welcome.protocol == 1


def test_since_when_a_room_is_empty() -> None:
    room = make_room()
    assert room.empty_since == 0.0
    ann, _ = join(room, "Ann", now=3.0)
    room.handle(events.Leave(ann), 7.0)
    assert room.empty_since == 7.0


def test_the_dump_holds_no_name_and_no_key() -> None:
    room = make_room()
    ann, welcome = join(room, "Ann Unmistakable")
    dump = str(room.dump())
    assert ann in dump
    assert "Unmistakable" not in dump
    assert welcome.resume.reveal() not in dump


def test_no_more_send_pictures_than_the_room_takes() -> None:
    room = make_room(publishers=2)
    ann, ben, cem = (join(room, name)[0] for name in ("Ann", "Ben", "Cem"))
    sound, picture, screen = ("0", "microphone"), ("1", "camera"), ("2", "screen")

    def publish(member: str, *sources: tuple[str, Any]) -> list[Effect]:
        return room.handle(events.Publish(member, sources), 0.0)

    publish(ann, sound, picture)
    publish(ben, sound, screen)
    publish(ann, sound, picture, screen)  # who has a place may use it for more
    publish(cem, sound)
    with pytest.raises(ProtocolError, match="publishers-full"):
        publish(cem, sound, picture)
    published = publish(cem, sound)[0]
    assert isinstance(published, events.Published)
    assert (list(published.producers), published.ended) == (["0"], ())  # the refusal changed nothing
    publish(ann, sound)
    publish(cem, sound, picture)
    room.handle(events.Leave(ben), 0.0)
    publish(ann, sound, screen)


def test_everybody_reads_what_is_announced() -> None:
    room = make_room()
    ann, ben = join(room, "Ann")[0], join(room, "Ben")[0]
    effects = room.handle(events.Announce("draining", "Soon."), 1.0)
    for member in (ann, ben):
        assert told(effects, member) == [session.Refused(code="draining", sentence="Soon.")]
