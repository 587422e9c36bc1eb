"""The session of one person in one meeting: a pure state machine.

`handle(input, now)` changes `state` and says what is to be done; time is monotonic seconds. No socket, no
thread, no Qt: whole meetings with cuts and restarts run in a unit test.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from client.session import inputs as i
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

_ALIVE = (Phase.FINDING, Phase.JOINING, Phase.SECURING, Phase.IN_CALL, Phase.RECONNECTING)


class Session:
    """One member's way through a meeting."""

    def __init__(self) -> None:
        self.state = SessionState()
        self._reset()

    def _reset(self) -> None:
        self._invitation: Invitation | None = None
        self._name = ""
        self._members: dict[str, session.Member] = {}
        self._me = ""
        self._speaker: str | None = None
        self._resumable = False
        self._media_up = False
        self._media_failures = 0
        self._connected = False
        self._deadline: float | None = None  # of joining, or of coming back
        self._retry_at: float | None = None
        self._tries = 0

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
                self._update(note=event.sentence)
                return []
        if self.state.phase not in _ALIVE:
            return []
        match event:
            case i.Opened():
                return self._opened()
            case i.Closed():
                return self._closed(event, now)
            case i.Received():
                return self._received(event.message, now)
            case i.MediaUp():
                return self._media_is_up(now)
            case i.MediaDown():
                return self._media_is_down()
            case i.Tick():
                return self._tick(now)

    # What the person wants.

    def _join(self, event: i.Join, now: float) -> list[i.Effect]:
        self._reset()
        self.state = SessionState(microphone_on=self.state.microphone_on, camera_on=self.state.camera_on)
        try:
            self._name = clean_name(event.name)
            self._invitation = Invitation.parse(event.invitation)
        except InvitationError as error:
            return self._fail("invitation-invalid", str(error))
        except ProtocolError as error:
            return self._fail(error.code, error.sentence)
        self._deadline = now + JOIN_TIMEOUT_S
        self._update(phase=Phase.FINDING)
        return [i.Connect(self._invitation)]

    def _leave(self) -> list[i.Effect]:
        if self.state.phase not in _ALIVE:
            return []
        effects: list[i.Effect] = [i.SendLeave()] if self._connected else []
        self._end(Phase.LEFT, None)
        return [*effects, i.StopMedia(), i.Disconnect()]

    def _set(self, source: media.Source, on: bool) -> list[i.Effect]:
        if source == "microphone":
            self._update(microphone_on=on)
        else:
            self._update(camera_on=on)
        mine = self._members.get(self._me)
        if mine is not None:
            self._members[self._me] = mine.model_copy(update={source: on})
            self._show_members()
        return [i.SendMute(source, not on)] if self._connected and mine is not None else []

    # The signalling connection.

    def _opened(self) -> list[i.Effect]:
        assert self._invitation is not None
        if self.state.phase is Phase.FINDING:
            self._update(phase=Phase.JOINING)
        return [self._hello(resume=self._resumable)]

    def _hello(self, *, resume: bool) -> i.SendHello:
        assert self._invitation is not None
        return i.SendHello(
            self._invitation, self._name, resume, self.state.microphone_on, self.state.camera_on
        )

    def _closed(self, event: i.Closed, now: float) -> list[i.Effect]:
        self._connected = False
        assert self._invitation is not None
        if self.state.phase in (Phase.FINDING, Phase.JOINING) and not self._members:
            place = f"{self._invitation.host}, port {self._invitation.port}"
            if event.stranger:
                return self._fail(
                    "not-hearth", f"What answers at {place} is not a Hearth meeting. Check the invitation."
                )
            return self._fail(
                "server-unreachable",
                f"Nobody answers at {place}. Check that the meeting is running and that you are in the "
                "same network, then try again.",
            )
        if self.state.phase is not Phase.RECONNECTING:
            self._update(phase=Phase.RECONNECTING)
            self._deadline, self._tries = now + GIVE_UP_S, 0
        self._retry_at = now + RETRY_S[min(self._tries, len(RETRY_S) - 1)]
        self._tries += 1
        return []

    def _tick(self, now: float) -> list[i.Effect]:
        if self._deadline is not None and now >= self._deadline:
            if self.state.phase is Phase.RECONNECTING:
                self._end(
                    Phase.LEFT,
                    Problem(
                        "server-gone", "The meeting cannot be reached any more. Ask the host, or join again."
                    ),
                )
                return [i.StopMedia(), i.Disconnect()]
            return self._fail("join-timeout", "The meeting did not answer in time. Try again.")
        if self._retry_at is not None and now >= self._retry_at and self._invitation is not None:
            self._retry_at = None
            return [i.Connect(self._invitation)]
        return []

    # What the server says.

    def _received(self, message: Message, now: float) -> list[i.Effect]:
        match message:
            case session.Welcome():
                return self._welcome(message, now)
            case session.Refused():
                return self._refused(message)
            case session.Closing():
                return self._closing(message)
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
        return []

    def _welcome(self, message: session.Welcome, now: float) -> list[i.Effect]:
        again = message.member == self._me
        self._members = {m.id: m for m in message.members}
        self._me, self._connected, self._resumable = message.member, True, True
        self._deadline = self._retry_at = None
        fresh = not (again and self._media_up)
        if fresh:
            self._media_up = False
            self._deadline = now + GIVE_UP_S
        self._update(
            phase=Phase.SECURING if fresh else Phase.IN_CALL,
            title=message.title,
            invitation_link=message.invitation.link,
            invitation_code=message.invitation.code,
            problem=None,
        )
        self._show_members()
        mine = self._members.get(self._me)
        effects: list[i.Effect] = []
        # Switches that were turned while we were away.
        if mine is not None and mine.microphone != self.state.microphone_on:
            effects.append(i.SendMute("microphone", not self.state.microphone_on))
        if mine is not None and mine.camera != self.state.camera_on:
            effects.append(i.SendMute("camera", not self.state.camera_on))
        return [*effects, self._receive(fresh=fresh)]

    def _refused(self, message: session.Refused) -> list[i.Effect]:
        if message.code == "resume-expired":
            # The server restarted or gave our place away: come in as somebody new.
            self._resumable, self._media_up, self._me = False, False, ""
            self._members = {}
            return [i.StopMedia(), self._hello(resume=False)]
        if not self._connected:
            return self._fail(message.code, message.sentence)
        self._update(note=message.sentence)
        return []

    def _closing(self, message: session.Closing) -> list[i.Effect]:
        if message.code == "server-stopping":
            return []  # it may come back: the closing of the connection starts the tries
        self._end(Phase.LEFT, Problem(message.code, message.sentence))
        return [i.StopMedia(), i.Disconnect()]

    def _member_changed(self, member: session.Member) -> list[i.Effect]:
        before = self._members.get(member.id)
        self._members[member.id] = member
        self._show_members()
        if before is not None and before.producers == member.producers:
            return []
        return [self._receive()] if member.id != self._me and member.producers else []

    def _member_left(self, member: str) -> list[i.Effect]:
        gone = self._members.pop(member, None)
        self._show_members()
        return [self._receive()] if gone is not None and gone.producers else []

    def _produced(self, producer: media.Producer) -> list[i.Effect]:
        member = self._members.get(producer.member)
        if member is None or any(p.id == producer.id for p in member.producers):
            return []
        producers = [*member.producers, producer]
        self._members[member.id] = member.model_copy(update={"producers": producers})
        return [self._receive()]

    def _unproduced(self, producer_id: str) -> list[i.Effect]:
        for member in self._members.values():
            left = [p for p in member.producers if p.id != producer_id]
            if len(left) != len(member.producers):
                self._members[member.id] = member.model_copy(update={"producers": left})
                return [self._receive()]
        return []

    # Media.

    def _receive(self, *, fresh: bool = False) -> i.Receive:
        others = (m for m in self._members.values() if m.id != self._me)
        return i.Receive(tuple(p for m in others for p in m.producers), fresh)

    def _media_is_up(self, now: float) -> list[i.Effect]:
        self._media_up, self._media_failures = True, 0
        if self._connected and self.state.phase is Phase.SECURING:
            self._deadline = None
            self._update(phase=Phase.IN_CALL, joined_at=self.state.joined_at or now)
        return []

    def _media_is_down(self) -> list[i.Effect]:
        self._media_up = False
        self._media_failures += 1
        if not self._connected:
            return []  # the next welcome brings a new path
        if self._media_failures > MEDIA_TRIES:
            return self._fail(
                "media-blocked",
                "The meeting answered, but sound and picture do not get through. Ask the one who runs the "
                "network to let UDP pass to the meeting's computer.",
            )
        self._update(phase=Phase.SECURING)
        return [self._receive(fresh=True)]

    # Endings and snapshots.

    def _fail(self, code: str, sentence: str) -> list[i.Effect]:
        self._end(Phase.FAILED, Problem(code, sentence))
        return [i.StopMedia(), i.Disconnect()]

    def _end(self, phase: Phase, problem: Problem | None) -> None:
        self._members, self._me, self._speaker = {}, "", None
        self._connected = self._resumable = self._media_up = False
        self._deadline = self._retry_at = None
        self._update(phase=phase, problem=problem, members=(), joined_at=None, note="")

    def _show_members(self) -> None:
        self._update(members=tuple(self._views(self._members.values())))

    def _views(self, members: Iterable[session.Member]) -> list[MemberView]:
        views = [
            MemberView(
                id=m.id,
                name=m.name,
                is_me=m.id == self._me,
                microphone=m.microphone,
                camera=m.camera,
                speaking=m.id == self._speaker,
                connected=m.connected,
            )
            for m in members
        ]
        return sorted(views, key=lambda v: not v.is_me)  # stable: the others keep their order

    def _update(self, **changes: object) -> None:
        self.state = replace(self.state, **changes)  # type: ignore[arg-type]
