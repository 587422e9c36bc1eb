"""Who is in a meeting and what they may do. Pure: `handle(event, now) -> effects`, time in seconds.

The signalling side turns messages into events and carries the effects out; nothing here knows a socket.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from rtc.names import clean_name
from rtc.secret import Secret
from rtc.signalling import PROTOCOL_VERSIONS, Message, ProtocolError, media, session


# What happens to a room.
@dataclass(frozen=True, slots=True)
class Join:
    """Somebody with the right token wants in; `resume` is the key of a place kept for them."""

    hello: session.Hello


@dataclass(frozen=True, slots=True)
class Leave:
    member: str


@dataclass(frozen=True, slots=True)
class ConnectionLost:
    """The signalling connection broke without a goodbye."""

    member: str


@dataclass(frozen=True, slots=True)
class Publish:
    """A member's path now carries these sources and no others."""

    member: str
    sources: tuple[tuple[str, media.Source], ...]  # (mid, source)


@dataclass(frozen=True, slots=True)
class Mute:
    member: str
    source: media.Source
    muted: bool


@dataclass(frozen=True, slots=True)
class SpeakerChanged:
    member: str | None


@dataclass(frozen=True, slots=True)
class Tick:
    """Time passed: places of lost members run out."""


@dataclass(frozen=True, slots=True)
class Announce:
    """Everybody is to read a sentence."""

    code: str
    sentence: str


Event = Join | Leave | ConnectionLost | Publish | Mute | SpeakerChanged | Tick | Announce


# What is to be done about it.
@dataclass(frozen=True, slots=True)
class Admitted:
    """The one who joined is `member` from now on; `resumed` if an old place was taken up."""

    member: str
    resumed: bool


@dataclass(frozen=True, slots=True)
class Tell:
    to: str
    message: Message


@dataclass(frozen=True, slots=True)
class Published:
    """Ids of a member's producers by mid, and those that ended."""

    member: str
    producers: dict[str, str]
    ended: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PauseProducer:
    producer: str
    paused: bool


@dataclass(frozen=True, slots=True)
class Gone:
    """The member's path and producers are to be closed."""

    member: str


Effect = Admitted | Tell | Published | PauseProducer | Gone


@dataclass(slots=True)
class _Member:
    id: str
    name: str
    resume: Secret
    microphone: bool
    camera: bool
    lost_at: float | None = None
    screen_muted: bool = False
    producers: dict[str, media.Producer] = field(default_factory=dict)  # by mid

    def public(self) -> session.Member:
        return session.Member(
            id=self.id,
            name=self.name,
            microphone=self.microphone,
            camera=self.camera,
            connected=self.lost_at is None,
            producers=list(self.producers.values()),
        )


class Room:
    """One meeting. `new_id` makes ids that are unique on this server."""

    def __init__(
        self,
        room_id: str,
        title: str,
        invitation: session.Invitation,
        *,
        new_id: Callable[[str], str],
        new_key: Callable[[], Secret] = Secret.random,
        max_members: int = 100,
        max_publishers: int = 100,
        lost_grace: float = 5.5,
        opened_at: float = 0.0,
    ) -> None:
        self.id, self.title, self.invitation = room_id, title, invitation
        self._new_id, self._new_key = new_id, new_key
        self._max_members, self._max_publishers = max_members, max_publishers
        self._lost_grace = lost_grace
        self._members: dict[str, _Member] = {}
        self._speaker: str | None = None
        #: Since when nobody is here, monotonic seconds; has no meaning while somebody is.
        self.empty_since = opened_at

    def __len__(self) -> int:
        return len(self._members)

    def __contains__(self, member: str) -> bool:
        return member in self._members

    def handle(self, event: Event, now: float) -> list[Effect]:
        """Applies one event. Raises ProtocolError where it is refused; then nothing was changed."""
        match event:
            case Join():
                return self._join(event.hello, now)
            case Leave():
                return self._remove([event.member], "left", now)
            case ConnectionLost():
                return self._lost(event.member, now)
            case Publish():
                return self._publish(event)
            case Mute():
                return self._mute(event)
            case SpeakerChanged():
                speaker = event.member if event.member in self._members else None
                if speaker == self._speaker:
                    return []
                self._speaker = speaker
                return self._tell_all(media.Speaker(member=speaker))
            case Tick():
                overdue = [
                    m.id
                    for m in self._members.values()
                    if m.lost_at is not None and now - m.lost_at >= self._lost_grace
                ]
                return self._remove(overdue, "lost", now)
            case Announce():
                # Programs show a refusal that answers nothing as a passing note.
                return self._tell_all(session.Refused(code=event.code, sentence=event.sentence))

    @property
    def next_overdue(self) -> float | None:
        """When the next lost member's place ends, if any is lost."""
        lost = [m.lost_at for m in self._members.values() if m.lost_at is not None]
        return min(lost) + self._lost_grace if lost else None

    def dump(self) -> dict[str, object]:
        """For diagnosis; holds no secret and no name."""
        return {
            "room": self.id,
            "members": [
                {"id": m.id, "connected": m.lost_at is None, "producers": len(m.producers)}
                for m in self._members.values()
            ],
            "speaker": self._speaker,
        }

    def _join(self, hello: session.Hello, now: float) -> list[Effect]:
        version = _common_version(hello.protocol, hello.id)
        if hello.resume is not None:
            member = next((m for m in self._members.values() if m.resume == hello.resume), None)
            if member is None:
                raise ProtocolError(
                    "resume-expired",
                    "You were away too long, or left. Join the meeting again.",
                    hello.id,
                )
            member.lost_at = None
            member.microphone, member.camera = hello.microphone, hello.camera
            effects: list[Effect] = [Admitted(member.id, resumed=True), *self._pauses(member)]
            effects += self._tell_all(session.Changed(member=member.public()), but=member.id)
        else:
            if len(self._members) >= self._max_members:
                raise ProtocolError(
                    "room-full",
                    f"The meeting is full: {self._max_members} people are inside. "
                    "Ask somebody to make room, then join again.",
                    hello.id,
                )
            member = _Member(
                id=self._new_id("m"),
                name=clean_name(hello.name, hello.id),
                resume=self._new_key(),
                microphone=hello.microphone,
                camera=hello.camera,
            )
            self._members[member.id] = member
            effects = [Admitted(member.id, resumed=False)]
            effects += self._tell_all(session.Joined(member=member.public()), but=member.id)
        effects.append(Tell(member.id, self._welcome(hello.id, version, member)))
        if self._speaker is not None:
            effects.append(Tell(member.id, media.Speaker(member=self._speaker)))
        return effects

    def _welcome(self, re: int, version: int, member: _Member) -> session.Welcome:
        return session.Welcome(
            re=re,
            protocol=version,
            room=self.id,
            title=self.title,
            member=member.id,
            resume=member.resume,
            invitation=self.invitation,
            members=[m.public() for m in self._members.values()],
        )

    def _lost(self, member_id: str, now: float) -> list[Effect]:
        member = self._members.get(member_id)
        if member is None or member.lost_at is not None:
            return []
        member.lost_at = now
        return self._tell_all(session.Changed(member=member.public()), but=member_id)

    def _remove(self, members: list[str], reason: Literal["left", "lost"], now: float) -> list[Effect]:
        """All of them first, so that nobody is told of another who goes at the same moment."""
        gone = [member for member in members if self._members.pop(member, None) is not None]
        if not gone:
            return []
        self.empty_since = now
        effects: list[Effect] = [Gone(member) for member in gone]
        for member in gone:
            effects += self._tell_all(session.Left(member=member, reason=reason))
        if self._speaker in gone:
            self._speaker = None
            effects += self._tell_all(media.Speaker(member=None))
        return effects

    def _publish(self, event: Publish) -> list[Effect]:
        member = self._members[event.member]
        wanted = dict(event.sources)
        if len(set(wanted.values())) != len(wanted):
            raise ProtocolError("source-twice", "The same source can be sent once only.")
        self._hold_to_publishers(member, wanted)
        ended = [mid for mid, p in member.producers.items() if wanted.get(mid) != p.source]
        effects: list[Effect] = []
        gone = [member.producers.pop(mid).id for mid in ended]
        for producer in gone:
            effects += self._tell_all(media.Unproduced(producer=producer), but=member.id)
        for mid, source in wanted.items():
            if mid in member.producers:
                continue
            producer_view = media.Producer(
                id=self._new_id("p"),
                member=member.id,
                kind="audio" if source == "microphone" else "video",
                source=source,
            )
            member.producers[mid] = producer_view
            effects += self._tell_all(media.Produced(producer=producer_view), but=member.id)
        ids = {mid: p.id for mid, p in member.producers.items()}
        effects.insert(0, Published(member.id, ids, tuple(gone)))
        return effects + self._pauses(member)

    def _hold_to_publishers(self, member: _Member, wanted: dict[str, media.Source]) -> None:
        """Who publishes pictures already may publish others."""
        if not any(source != "microphone" for source in wanted.values()) or _has_pictures(member):
            return
        if sum(map(_has_pictures, self._members.values())) >= self._max_publishers:
            raise ProtocolError(
                "publishers-full",
                f"{self._max_publishers} people send their picture already, and no more can. "
                "Ask somebody to stop, or join with sound alone.",
            )

    def _mute(self, event: Mute) -> list[Effect]:
        member = self._members[event.member]
        if self._is_muted(member, event.source) == event.muted:
            return []
        if event.source == "microphone":
            member.microphone = not event.muted
        elif event.source == "camera":
            member.camera = not event.muted
        else:
            member.screen_muted = event.muted
        return self._pauses(member) + self._tell_all(session.Changed(member=member.public()))

    def _pauses(self, member: _Member) -> list[Effect]:
        return [PauseProducer(p.id, self._is_muted(member, p.source)) for p in member.producers.values()]

    @staticmethod
    def _is_muted(member: _Member, source: media.Source) -> bool:
        match source:
            case "microphone":
                return not member.microphone
            case "camera":
                return not member.camera
            case "screen":
                return member.screen_muted

    def _tell_all(self, message: Message, but: str | None = None) -> list[Effect]:
        return [Tell(to, message) for to in self._members if to != but]


def _has_pictures(member: _Member) -> bool:
    return any(producer.kind == "video" for producer in member.producers.values())


def _common_version(offered: list[int], re: int) -> int:
    for version in PROTOCOL_VERSIONS:
        if version in offered:
            return version
    if max(offered) > PROTOCOL_VERSIONS[0]:
        sentence = "This program is newer than the meeting's server. Ask the host to update Hearth."
    else:
        sentence = "This program is older than the meeting's server. Update Hearth, then join again."
    raise ProtocolError("protocol-mismatch", sentence, re)
