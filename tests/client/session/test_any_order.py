"""Whatever happens in whatever order: the session never raises and keeps its promises."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from client.session import inputs as i
from client.session.machine import GIVE_UP_S, RETRY_S
from client.session.state import Phase
from rtc.signalling import Message, media, session
from tests.client.session.meetings import LINK, Person, member, producer, refused, welcome

NAMES = st.sampled_from(["Ann", "Ben", "Carl"])
SOURCES = st.lists(st.sampled_from(["camera", "microphone", "screen"]), unique=True)
MEMBERS = st.builds(
    lambda name, sources, switches: member(
        name, *sources, microphone=switches[0], camera=switches[1], connected=switches[2]
    ),
    NAMES,
    SOURCES,
    st.tuples(st.booleans(), st.booleans(), st.booleans()),
)
MESSAGES: st.SearchStrategy[Message] = st.one_of(
    st.lists(MEMBERS, max_size=3, unique_by=lambda m: m.id).map(lambda ms: welcome(*ms)),
    st.lists(MEMBERS, max_size=2, unique_by=lambda m: m.id).map(
        lambda ms: welcome(member("Ann"), *[m for m in ms if m.id != "m-Ann"])
    ),
    MEMBERS.map(lambda m: session.Joined(member=m)),
    MEMBERS.map(lambda m: session.Changed(member=m)),
    NAMES.map(lambda name: session.Left(member=f"m-{name}", reason="left")),
    st.sampled_from(["resume-expired", "room-full", "token-wrong"]).map(refused),
    st.sampled_from(["server-stopping", "replaced"]).map(
        lambda code: session.Closing(code=code, sentence="The meeting is over.")
    ),
    st.builds(
        lambda name, source: media.Produced(producer=producer(f"m-{name}", source)),
        NAMES,
        st.sampled_from(["camera", "microphone", "screen"]),
    ),
    NAMES.map(lambda name: media.Unproduced(producer=f"p-m-{name}-camera")),
    st.none().map(lambda _: media.Speaker(member=None)) | NAMES.map(lambda n: media.Speaker(member=f"m-{n}")),
)
#: Where one input may lead. Everything alive may also fail or be left.
GRAPH = {
    Phase.IDLE: {Phase.FINDING},
    Phase.FINDING: {Phase.JOINING},
    Phase.JOINING: {Phase.SECURING, Phase.FINDING},
    Phase.SECURING: {Phase.IN_CALL, Phase.RECONNECTING, Phase.FINDING},
    Phase.IN_CALL: {Phase.SECURING, Phase.RECONNECTING, Phase.FINDING},
    Phase.RECONNECTING: {Phase.IN_CALL, Phase.SECURING, Phase.FINDING},
    Phase.LEFT: {Phase.FINDING},
    Phase.FAILED: {Phase.FINDING},
}
ENDED = (Phase.IDLE, Phase.LEFT, Phase.FAILED)


class AnyOrder(RuleBasedStateMachine):
    """Feeds anything at any time and mirrors what the server said while we were let in."""

    @initialize()
    def begin(self) -> None:
        self.person = Person()
        self.link = "none"  # none, opening, greeting, joined: as the effects and the inputs have it
        self.resumes = False
        self.closed_at = 0.0
        self.tries = 0
        self.away_since: float | None = None
        self.members: list[str] = []  # ids in the server's order

    def feed(self, event: i.Input) -> list[i.Effect]:
        before = self.person.state
        link = self.link
        effects = self.person.does(event)
        after = self.person.state
        if after.phase is not before.phase:
            allowed = GRAPH[before.phase] | {Phase.FAILED}
            if before.phase not in ENDED:
                allowed |= {Phase.LEFT}
            assert after.phase in allowed, f"{before.phase} -> {after.phase} by {event}"
        if isinstance(event, i.Closed) and link != "none":
            self.link, self.closed_at = "none", self.person.now
        if before.phase in ENDED and not isinstance(event, i.Join):
            assert effects == []
            assert after.phase is before.phase
        for effect in effects:
            self.effect(effect)
        if after.phase in ENDED:
            assert self.link == "none"
        return effects

    def effect(self, effect: i.Effect) -> None:
        match effect:
            case i.Connect():
                assert self.link == "none", "two connections at a time"
                self.link = "opening"
            case i.Disconnect():
                self.link = "none"
            case i.SendHello():
                assert self.link in ("opening", "greeting")
                self.link = "greeting"
                assert self.resumes or not effect.resume
            case i.SendLeave() | i.SendMute():
                assert self.link == "joined", "nobody would hear it"
            case i.Receive():
                assert self.link == "joined"
                assert all(p.member != "m-Ann" for p in effect.producers)
                assert len({p.id for p in effect.producers}) == len(effect.producers)

    @rule(link=st.sampled_from([LINK, LINK, "nonsense"]), name=st.sampled_from(["Ann", "", "x" * 65]))
    def join(self, link: str, name: str) -> None:
        effects = self.feed(i.Join(link, name))
        self.resumes, self.members = False, []
        good = link == LINK and name == "Ann"
        assert (self.person.state.phase is Phase.FINDING) == good
        assert any(isinstance(e, i.Connect) for e in effects) == good

    @rule(others=st.lists(MEMBERS, max_size=2, unique_by=lambda m: m.id), media_up=st.booleans())
    def come_in(self, others: list[session.Member], media_up: bool) -> None:
        """The usual way, or back again: without it random order would seldom get inside."""
        if self.link == "none" and self.person.state.phase in ENDED:
            self.join(LINK, "Ann")
        self.tick(2.5)
        self.opened()
        if self.link == "greeting":
            self.received(welcome(*[m for m in others if m.id != "m-Ann"], member("Ann")))
        if media_up:
            self.media_up()

    @rule()
    def leave(self) -> None:
        self.feed(i.Leave())
        assert self.person.state.phase in ENDED

    @rule(on=st.booleans())
    def microphone(self, on: bool) -> None:
        self.feed(i.SetMicrophone(on))
        assert self.person.state.microphone_on is on

    @rule(on=st.booleans())
    def camera(self, on: bool) -> None:
        self.feed(i.SetCamera(on))
        assert self.person.state.camera_on is on

    @rule()
    def opened(self) -> None:
        self.feed(i.Opened())

    @rule(stranger=st.booleans())
    def closed(self, stranger: bool) -> None:
        self.feed(i.Closed(stranger))

    @rule()
    def media_up(self) -> None:
        self.feed(i.MediaUp())

    @rule(reason=st.sampled_from(["", "Update this program."]))
    def media_down(self, reason: str) -> None:
        self.feed(i.MediaDown(reason))

    @rule(
        sentence=st.sampled_from(["", "There is no camera."]),
        topic=st.sampled_from(["video", "sound", "speaker", "studio", "server"]),
        passing=st.booleans(),
    )
    def noted(self, sentence: str, topic: i.Topic, passing: bool) -> None:
        self.feed(i.Noted(sentence, topic, passing))

    @rule(message=MESSAGES)
    def received(self, message: Message) -> None:
        link = self.link
        if isinstance(message, session.Welcome) and link == "greeting":
            self.link, self.resumes = "joined", True
            self.members = [m.id for m in message.members]
        elif isinstance(message, session.Refused) and message.code == "resume-expired" and link == "greeting":
            pass
        elif isinstance(message, session.Closing) and message.code == "replaced" and link == "joined":
            self.link = "greeting"  # nothing may be sent any more
        elif link == "joined":
            self.mirror(message)
        effects = self.feed(i.Received(message))
        if any(isinstance(e, i.SendHello) and not e.resume for e in effects):
            self.resumes = False

    def mirror(self, message: Message) -> None:
        match message:
            case session.Joined() | session.Changed() if message.member.id not in self.members:
                self.members.append(message.member.id)
            case session.Left() if message.member in self.members and message.member != "m-Ann":
                self.members.remove(message.member)

    @rule(seconds=st.sampled_from([0.01, 0.3, 1.0, 2.5, GIVE_UP_S + 15.0]))
    def tick(self, seconds: float) -> None:
        self.person.now += seconds
        waiting = self.person.state.phase is Phase.RECONNECTING and self.link == "none"
        effects = self.feed(i.Tick())
        if waiting and self.person.now - self.closed_at >= max(RETRY_S):
            assert self.link == "opening" or self.person.state.phase is Phase.LEFT
        if seconds > GIVE_UP_S + 10.0:  # whatever was waited for is over by now
            assert self.person.state.phase in (*ENDED, Phase.IN_CALL), effects

    @invariant()
    def the_snapshot_is_sound(self) -> None:
        if not hasattr(self, "person"):
            return
        state = self.person.state
        assert state.note == "" or state.note.endswith(".")
        assert (state.problem is not None) == (state.phase is Phase.FAILED) or state.phase is Phase.LEFT
        if state.problem is not None:
            assert state.problem.code
            assert state.problem.sentence.endswith(".")
            assert state.words == state.problem.sentence
        if state.phase in ENDED:
            assert state.members == ()
            assert state.joined_at is None
        if state.phase is Phase.IN_CALL:
            assert state.joined_at is not None

    @invariant()
    def members_are_as_the_server_said_and_me_first(self) -> None:
        if not hasattr(self, "person") or self.link != "joined":
            return
        state = self.person.state
        shown = [m.id for m in state.members]
        others = [m for m in self.members if m != "m-Ann"]
        assert shown == (["m-Ann", *others] if "m-Ann" in self.members else others)
        for view in state.members:
            assert view.is_me == (view.id == "m-Ann")
            if view.is_me:
                assert (view.microphone, view.camera) == (state.microphone_on, state.camera_on)


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=50, stateful_step_count=40, deadline=None)
