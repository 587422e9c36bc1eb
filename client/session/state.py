"""What the screen may know of a meeting: immutable snapshots, replaced as a whole.

State flows one way: session -> bridge -> QML. Nobody changes a snapshot; a click becomes a command.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Phase(StrEnum):
    """Where a member is on the way into and out of a meeting."""

    IDLE = "idle"
    FINDING = "finding"  # looking for the server
    JOINING = "joining"  # the server is asked to let us in
    SECURING = "securing"  # ICE and DTLS are under way
    IN_CALL = "in-call"
    RECONNECTING = "reconnecting"
    LEFT = "left"
    FAILED = "failed"  # `problem` says why and what to do


#: What a person reads while waiting, one sentence per phase.
PHASE_WORDS: dict[Phase, str] = {
    Phase.IDLE: "",
    Phase.FINDING: "Finding the server",
    Phase.JOINING: "Joining the meeting",
    Phase.SECURING: "Securing the connection",
    Phase.IN_CALL: "Connected",
    Phase.RECONNECTING: "Connection lost. Trying again",
    Phase.LEFT: "You left the meeting",
    Phase.FAILED: "",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """A failure: a stable code for programs and a sentence a person can act on."""

    code: str
    sentence: str


@dataclass(frozen=True, slots=True)
class MemberView:
    """One person in the meeting as others see them."""

    id: str
    name: str
    is_me: bool = False
    microphone: bool = True
    camera: bool = True
    speaking: bool = False
    connected: bool = True
    held: str = ""  # why the server sends no picture just now, in words; empty while it does


@dataclass(frozen=True, slots=True)
class SessionState:
    """Everything the screen shows of a meeting, except pictures and levels (they are too fast)."""

    phase: Phase = Phase.IDLE
    title: str = ""
    invitation_link: str = ""
    invitation_code: str = ""
    members: tuple[MemberView, ...] = ()  # me first, then in the order of joining
    microphone_on: bool = True
    camera_on: bool = True
    problem: Problem | None = None  # why the phase is FAILED, or LEFT against one's will
    note: str = ""  # a sentence about something that went wrong without ending the call
    joined_at: float | None = None  # monotonic seconds

    @property
    def words(self) -> str:
        """The connection state in words; empty when there is nothing to say."""
        if self.problem is not None:
            return self.problem.sentence
        return PHASE_WORDS[self.phase]
