"""The session of one person in one meeting: a pure state machine.

`handle(input, now)` changes `state` and says what is to be done; time is monotonic seconds. No socket, no
thread, no Qt: whole meetings with cuts and restarts run in a unit test.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from enum import Enum, auto

from client.session import inputs as i
from client.session.held import HeldPictures
from client.session.notes import PASSING_S, Notes
from client.session.state import MemberView, Phase, Problem, SessionState
from rtc.invitation import Invitation, InvitationError
from rtc.names import clean_name
from rtc.signalling import Message, ProtocolError, media, session

#: Seconds between tries to come back: quick at first, since most cuts are short.
RETRY_S = (0.0, 0.3, 0.6, 1.0, 1.0, 2.0)
#: Seconds after which coming back is given up. Longer rides out a reboot of the router.
GIVE_UP_S = 90.0
#: Seconds for the first connection, from the click to the welcome.
JOIN_TIMEOUT_S = 15.0
#: Media paths that may fail in a row before the person is told.
MEDIA_TRIES = 2
#: Seconds for all tries to get a media path together: a guard, each try ends by itself before.
MEDIA_TIMEOUT_S = 100.0
#: Seconds a connection or a path must last to count as sound. One that breaks sooner counts as another
#: failure in a row, so that a server which throws everybody out is not asked again without a pause.
PROVEN_S = 5.0

_ALIVE = (Phase.FINDING, Phase.JOINING, Phase.SECURING, Phase.IN_CALL, Phase.RECONNECTING)
_MEDIA_BLOCKED = (
    "The meeting answered, but sound and picture do not get through. Ask the one who runs the "
    "network to let UDP pass to the meeting's computer."
)


class _Link(Enum):
    """How far the signalling connection is."""

    NONE = auto()
    OPENING = auto()
    GREETING = auto()  # hello was said
    JOINED = auto()


class Session:
    """One member's way through a meeting."""

    def __init__(self) -> None:
        self.state = SessionState()
        self._notes = Notes()
        self._reset()

    def _reset(self) -> None:
        self._invitation: Invitation | None = None
        self._name = ""
        self._members: dict[str, session.Member] = {}
        self._me = ""
        self._speaker: str | None = None
        self._held = HeldPictures()
        self._link = _Link.NONE
        self._resumable = False
        self._media_up_at: float | None = None  # None while there is no path that works
        self._media_failures = 0
        self._deadline: float | None = None  # of joining, of coming back, of a media path
        self._retry_at: float | None = None
        self._tries = 0
        self._welcomed_at: float | None = None

    def handle(self, event: i.Input, now: float) -> list[i.Effect]:
        """Applies one input. Inputs that do not fit the phase (late answers) change nothing."""
        match event:
            case i.Join():
                return self._join(event, now)
            case i.Leave():
                return self._leave()
            case i.SetMicrophone():
                return self._set("microphone", event.on)
            case i.SetCamera():
                return self._set("camera", event.on)
            case i.Noted():
                until = now + PASSING_S if event.passing else float("inf")
                self._note(event.topic, event.sentence, until)
                return []
            case i.Tick():
                self._notes.expire(now)
                self._update(note=self._notes.sentence)
        if self.state.phase not in _ALIVE:
            return []
        match event:
            case i.Opened() if self._link is _Link.OPENING:
                return self._opened()
            case i.Closed() if self._link is not _Link.NONE:
                return self._closed(event, now)
            case i.Received():
                return self._received(event.message, now)
            case i.MediaUp():
                return self._media_is_up(now)
            case i.MediaDown():
                return self._media_is_down(event, now)
            case i.Tick():
                return self._tick(now)
        return []

    # What the person wants.

    def _join(self, event: i.Join, now: float) -> list[i.Effect]:
        effects = self._farewell() if self.state.phase in _ALIVE else []
        self._reset()
        self._notes.put("server", "")
        self.state = SessionState(
            microphone_on=self.state.microphone_on,
            camera_on=self.state.camera_on,
            note=self._notes.sentence,
        )
        try:
            self._name = clean_name(event.name)
            self._invitation = Invitation.parse(event.invitation)
        except InvitationError as error:
            return [*effects, *self._fail("invitation-invalid", str(error))]
        except ProtocolError as error:
            return [*effects, *self._fail(error.code, error.sentence)]
        self._deadline = now + JOIN_TIMEOUT_S
        self._update(phase=Phase.FINDING)
        return [*effects, *self._connect()]

    def _leave(self) -> list[i.Effect]:
        if self.state.phase not in _ALIVE:
            return []
        return self._end(Phase.LEFT, None)

    def _set(self, source: media.Source, on: bool) -> list[i.Effect]:
        before = self.state
        if source == "microphone":
            self._update(microphone_on=on)
        else:
            self._update(camera_on=on)
        if self.state == before:
            return []
        self._show_members()
        return [i.SendMute(source, not on)] if self._link is _Link.JOINED else []

    # The signalling connection.

    def _connect(self) -> list[i.Effect]:
        assert self._invitation is not None
        self._link, self._retry_at = _Link.OPENING, None
        return [i.Connect(self._invitation)]

    def _opened(self) -> list[i.Effect]:
        if self.state.phase is Phase.FINDING:
            self._update(phase=Phase.JOINING)
        return [self._hello(resume=self._resumable)]

    def _hello(self, *, resume: bool) -> i.SendHello:
        assert self._invitation is not None
        self._link, self._resumable = _Link.GREETING, resume
        return i.SendHello(
            self._invitation, self._name, resume, self.state.microphone_on, self.state.camera_on
        )

    def _closed(self, event: i.Closed, now: float) -> list[i.Effect]:
        self._link = _Link.NONE
        if self.state.phase in (Phase.FINDING, Phase.JOINING):
            return self._not_found(event)
        if self.state.phase is not Phase.RECONNECTING:
            self._update(phase=Phase.RECONNECTING)
            self._deadline = now + GIVE_UP_S
            if self._welcomed_at is None or now - self._welcomed_at >= PROVEN_S:
                self._tries = 0
        self._retry_at = now + RETRY_S[min(self._tries, len(RETRY_S) - 1)]
        self._tries += 1
        return []

    def _not_found(self, event: i.Closed) -> list[i.Effect]:
        assert self._invitation is not None
        place = f"{self._invitation.host}, port {self._invitation.port}"
        if event.stranger:
            return self._fail(
                "not-hearth", f"What answers at {place} is not a Hearth meeting. Check the invitation."
            )
        if self.state.phase is Phase.JOINING:
            return self._fail(
                "server-closed", f"The meeting at {place} ended the connection without a word. Try again."
            )
        return self._fail(
            "server-unreachable",
            f"Nobody answers at {place}. Check that the meeting is running and that you are in the "
            "same network, then try again.",
        )

    def _tick(self, now: float) -> list[i.Effect]:
        if self._deadline is not None and now >= self._deadline:
            match self.state.phase:
                case Phase.RECONNECTING:
                    sentence = "The meeting cannot be reached any more. Ask the host, or join again."
                    return self._end(Phase.LEFT, Problem("server-gone", sentence))
                case Phase.SECURING:
                    return self._fail("media-blocked", _MEDIA_BLOCKED)
                case _:
                    return self._fail("join-timeout", "The meeting did not answer in time. Try again.")
        if self._retry_at is not None and now >= self._retry_at:
            return self._connect()
        return []

    # What the server says.

    def _received(self, message: Message, now: float) -> list[i.Effect]:
        match message:
            case session.Welcome() if self._link is _Link.GREETING:
                return self._welcome(message, now)
            case session.Refused() if self._link in (_Link.GREETING, _Link.JOINED):
                return self._refused(message, now)
            case session.Closing() if self._link in (_Link.GREETING, _Link.JOINED):
                return self._closing(message)
        if self._link is not _Link.JOINED:
            return []
        match message:
            case session.Joined() | session.Changed():
                return self._member_changed(message.member)
            case session.Left():
                return self._member_left(message.member)
            case media.Produced():
                return self._produced(message.producer)
            case media.Unproduced():
                return self._unproduced(message.producer)
            case media.Speaker():
                self._speaker = message.member
                self._show_members()
            case media.Forwarded():
                self._held.told(message, self._members.values())
                self._show_members()
        return []

    def _welcome(self, message: session.Welcome, now: float) -> list[i.Effect]:
        again = message.member == self._me
        self._members = {m.id: m for m in message.members}
        self._me, self._link, self._resumable = message.member, _Link.JOINED, True
        self._speaker = None  # the server tells it anew
        self._welcomed_at, self._deadline = now, None
        fresh = not again or self._media_up_at is None
        if fresh:
            self._media_up_at, self._media_failures = None, 0
            self._deadline = now + MEDIA_TIMEOUT_S
        if not fresh:
            self._inside(now)
        else:
            self._update(phase=Phase.SECURING)
        self._update(
            title=message.title,
            invitation_link=message.invitation.link,
            invitation_code=message.invitation.code,
            problem=None,
        )
        self._show_members()
        mine = self._members.get(self._me)
        effects: list[i.Effect] = []
        # Switches that were turned between our hello and this answer.
        if mine is not None and mine.microphone != self.state.microphone_on:
            effects.append(i.SendMute("microphone", not self.state.microphone_on))
        if mine is not None and mine.camera != self.state.camera_on:
            effects.append(i.SendMute("camera", not self.state.camera_on))
        return [*effects, self._receive(fresh=fresh)]

    def _refused(self, message: session.Refused, now: float) -> list[i.Effect]:
        if self._link is _Link.JOINED:
            self._note("server", message.sentence, now + PASSING_S)
            return []
        if message.code == "resume-expired" and self._resumable:
            # The server restarted or gave our place away: come in as somebody new.
            self._media_up_at, self._me = None, ""
            return [i.StopMedia(), self._hello(resume=False)]
        return self._fail(message.code, message.sentence)

    def _closing(self, message: session.Closing) -> list[i.Effect]:
        if message.code == "server-stopping":
            return []  # it may come back: the closing of the connection starts the tries
        self._link = _Link.NONE  # the server lets nobody talk on; no goodbye
        return self._end(Phase.LEFT, Problem(message.code, message.sentence))

    def _member_changed(self, member: session.Member) -> list[i.Effect]:
        before = self._members.get(member.id)
        self._members[member.id] = member
        self._show_members()
        same = member.producers == (before.producers if before is not None else [])
        return [] if same or member.id == self._me else [self._receive()]

    def _member_left(self, member: str) -> list[i.Effect]:
        if member == self._me:
            return []  # what happens to us comes as a closing
        gone = self._members.pop(member, None)
        if self._speaker == member:
            self._speaker = None
        self._show_members()
        return [self._receive()] if gone is not None and gone.producers else []

    def _produced(self, producer: media.Producer) -> list[i.Effect]:
        member = self._members.get(producer.member)
        if member is None or any(p.id == producer.id for p in member.producers):
            return []
        producers = [*member.producers, producer]
        self._members[member.id] = member.model_copy(update={"producers": producers})
        return [self._receive()] if member.id != self._me else []

    def _unproduced(self, producer_id: str) -> list[i.Effect]:
        for member in self._members.values():
            left = [p for p in member.producers if p.id != producer_id]
            if len(left) != len(member.producers):
                self._members[member.id] = member.model_copy(update={"producers": left})
                return [self._receive()] if member.id != self._me else []
        return []

    # Media.

    def _receive(self, *, fresh: bool = False) -> i.Receive:
        if fresh:
            self._held.forget()
            self._show_members()
        others = (m for m in self._members.values() if m.id != self._me)
        return i.Receive(tuple(p for m in others for p in m.producers), fresh)

    def _media_is_up(self, now: float) -> list[i.Effect]:
        self._media_up_at = now
        if self._link is _Link.JOINED and self.state.phase is Phase.SECURING:
            self._deadline = None
            self._inside(now)
        return []

    def _inside(self, now: float) -> None:
        joined_at = now if self.state.joined_at is None else self.state.joined_at
        self._update(phase=Phase.IN_CALL, joined_at=joined_at)

    def _media_is_down(self, event: i.MediaDown, now: float) -> list[i.Effect]:
        proven = self._media_up_at is not None and now - self._media_up_at >= PROVEN_S
        self._media_up_at = None
        if self._link is not _Link.JOINED:
            return []  # the whole network is away, and the next welcome brings a new path
        self._media_failures = 1 if proven else self._media_failures + 1
        if self._media_failures > MEDIA_TRIES:
            if event.reason:
                return self._fail("media-refused", event.reason)
            return self._fail("media-blocked", _MEDIA_BLOCKED)
        self._deadline = now + MEDIA_TIMEOUT_S
        self._update(phase=Phase.SECURING)
        return [self._receive(fresh=True)]

    # Endings and snapshots.

    def _fail(self, code: str, sentence: str) -> list[i.Effect]:
        return self._end(Phase.FAILED, Problem(code, sentence))

    def _farewell(self) -> list[i.Effect]:
        effects: list[i.Effect] = [i.SendLeave()] if self._link is _Link.JOINED else []
        return [*effects, i.StopMedia(), i.Disconnect()]

    def _end(self, phase: Phase, problem: Problem | None) -> list[i.Effect]:
        effects = self._farewell()
        self._members, self._me, self._speaker = {}, "", None
        self._link, self._resumable, self._media_up_at = _Link.NONE, False, None
        self._deadline = self._retry_at = None
        self._note("server", "")
        self._update(phase=phase, problem=problem, members=(), joined_at=None)
        return effects

    def _note(self, topic: i.Topic, sentence: str, until: float = float("inf")) -> None:
        self._notes.put(topic, sentence, until)
        self._update(note=self._notes.sentence)

    def _show_members(self) -> None:
        self._update(members=tuple(self._views(self._members.values())))

    def _views(self, members: Iterable[session.Member]) -> list[MemberView]:
        """Me first, with the switches as I turned them and not as they were when the server last spoke."""
        views = [
            MemberView(
                id=m.id,
                name=m.name,
                is_me=m.id == self._me,
                microphone=self.state.microphone_on if m.id == self._me else m.microphone,
                camera=self.state.camera_on if m.id == self._me else m.camera,
                speaking=m.id == self._speaker,
                connected=m.connected,
                held=self._held.words(m),
            )
            for m in members
        ]
        return sorted(views, key=lambda v: not v.is_me)  # stable: the others keep their order

    def _update(self, **changes: object) -> None:
        changed = replace(self.state, **changes)  # type: ignore[arg-type]
        if changed != self.state:
            self.state = changed
