"""A meeting for the session's tests: what a server would say, and a driver that keeps the time."""

from __future__ import annotations

from typing import Any

from client.session import inputs as i
from client.session.machine import Session
from client.session.state import SessionState
from rtc.invitation import Invitation
from rtc.secret import Secret
from rtc.signalling import Message, media, session

INVITATION = Invitation("192.0.2.7", 8443, Secret("0123456789ABCDEF"), room="abcdef")
LINK = INVITATION.link


def producer(member: str, source: media.Source, number: str = "") -> media.Producer:
    kind: media.Kind = "audio" if source == "microphone" else "video"
    return media.Producer(id=f"p-{member}-{source}{number}", member=member, kind=kind, source=source)


def member(name: str, *sources: media.Source, **more: Any) -> session.Member:
    """A member whose id is `m-NAME`."""
    values: dict[str, Any] = {"microphone": True, "camera": True, "connected": True} | more
    own = f"m-{name}"
    return session.Member(id=own, name=name, producers=[producer(own, s) for s in sources], **values)


def welcome(*members: session.Member, me: str = "m-Ann") -> session.Welcome:
    return session.Welcome(
        re=1,
        protocol=1,
        room="abcdef",
        title="Monday",
        member=me,
        resume=Secret("key-of-" + me),
        invitation=session.Invitation(link=LINK, code="CODE"),
        members=list(members),
    )


def refused(code: str, sentence: str = "That cannot be.") -> session.Refused:
    return session.Refused(re=1, code=code, sentence=sentence)


class Person:
    """A session with a clock."""

    def __init__(self) -> None:
        self.session = Session()
        self.now = 1000.0

    @property
    def state(self) -> SessionState:
        return self.session.state

    def does(self, event: i.Input) -> list[i.Effect]:
        return self.session.handle(event, self.now)

    def hears(self, message: Message) -> list[i.Effect]:
        return self.does(i.Received(message))

    def waits(self, seconds: float, step: float = 0.05) -> list[tuple[float, i.Effect]]:
        """Ticks until `seconds` later; the effects with the seconds after which they came."""
        begin, effects = self.now, []
        while self.now < begin + seconds - 1e-9:
            self.now += step
            effects += [(self.now - begin, effect) for effect in self.does(i.Tick())]
        return effects

    def enters(self, *others: session.Member, name: str = "Ann") -> list[i.Effect]:
        """Joins, is let in and has a media path; the effects of the welcome."""
        self.does(i.Join(LINK, name))
        self.does(i.Opened())
        effects = self.hears(welcome(member(name), *others, me=f"m-{name}"))
        self.does(i.MediaUp())
        return effects


def kinds(effects: list[i.Effect]) -> list[type[i.Effect]]:
    return [type(effect) for effect in effects]
