"""All meetings of one server: who may open one, which token leads where, what survives a restart."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from rtc.invitation import Invitation, new_token
from rtc.secret import Secret
from rtc.signalling import ProtocolError, session
from server_lite import room as events
from server_lite.config import Settings
from server_lite.load import LoadManager
from server_lite.media_host import MediaHost
from server_lite.meeting import Meeting
from server_lite.observers import Counters
from server_lite.room import Room

MAX_TITLE = 100
#: The answer for a wrong token and for a wrong room is the same: nobody learns which rooms exist.
NOT_VALID = "This invitation is not valid, or the meeting is over. Ask for a new one."
_WORD = re.compile(r"[A-Za-z0-9_-]{1,64}")
_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"


def new_id(prefix: str = "") -> str:
    """48 random bits as letters that are not mistaken for each other."""
    return prefix + "".join(secrets.choice(_ALPHABET) for _ in range(10))


@dataclass(frozen=True, slots=True)
class Opened:
    """A meeting and how to get in."""

    meeting: Meeting
    invitation: Invitation


class Meetings:
    """Raises ProtocolError for what is refused. `where` gives the host and port for invitations."""

    def __init__(
        self,
        settings: Settings,
        host: MediaHost,
        where: Callable[[], tuple[str, int]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings, self._host, self._where, self._clock = settings, host, where, clock
        #: What went through meetings that are gone.
        self.ended = Counters()
        #: Decides whether a meeting may begin.
        self.load = LoadManager(settings.load)
        #: Whether the server is about to stop: meetings go on, but none begins.
        self.draining = False
        self._closing: set[asyncio.Task[None]] = set()
        self._opened: dict[str, Opened] = {}  # by room id
        self._by_token: dict[Secret, Opened] = {}
        for room, title, token in _read_state(settings.state_file)[-settings.max_rooms :]:
            self._add(room, title, token)

    def __iter__(self) -> Iterator[Meeting]:
        return (o.meeting for o in self._opened.values())

    def open(self, title: str) -> Opened:
        """A new meeting. Where there is no place, the one that nobody was in for longest goes."""
        self._hold_to_beginnings(None)
        if len(self._opened) >= self._settings.max_rooms:
            empty = [o for o in self._opened.values() if not len(o.meeting.room)]
            if not empty:
                raise ProtocolError(
                    "rooms-full",
                    f"People are in all {self._settings.max_rooms} meetings that this server holds. "
                    "Wait until one is over.",
                )
            self._end(min(empty, key=lambda o: o.meeting.room.empty_since))
        opened = self._add(new_id(), " ".join(title.split())[:MAX_TITLE] or "Meeting", new_token())
        try:
            self._write_state()
        except OSError:
            self._end(opened)
            raise ProtocolError(
                "state-not-saved",
                "The server cannot write its state file. Its host has to look at the disk.",
            ) from None
        return opened

    def find(self, hello: session.Hello) -> Meeting:
        """The meeting that a hello may enter."""
        opened = self._by_token.get(hello.token)
        if opened is None or (hello.room is not None and hello.room != opened.meeting.room.id):
            raise ProtocolError("token-wrong", NOT_VALID, hello.id)
        if not len(opened.meeting.room):
            self._hold_to_beginnings(hello.id)
        if hello.resume is None and self.members() >= self._settings.max_members_of_all:
            raise ProtocolError(
                "server-full",
                f"This server holds {self._settings.max_members_of_all} people, and they are all there. "
                "Try again later, or ask its host for another server.",
                hello.id,
            )
        return opened.meeting

    def members(self) -> int:
        """In all meetings, with those whose place is kept."""
        return sum(len(o.meeting.room) for o in self._opened.values())

    def announce(self, code: str, sentence: str) -> None:
        """Everybody in every meeting is to read a sentence."""
        for opened in list(self._opened.values()):
            opened.meeting.happened(events.Announce(code, sentence))

    def by_token(self, token: Secret, room: str | None = None) -> Opened:
        opened = self._by_token.get(token)
        if opened is None or (room is not None and room != opened.meeting.room.id):
            raise ProtocolError("token-wrong", NOT_VALID)
        return opened

    def invitations(self) -> list[Invitation]:
        """Of all meetings, oldest first."""
        return [o.invitation for o in self._opened.values()]

    async def close(self) -> None:
        for opened in list(self._opened.values()):
            await opened.meeting.close("server-stopping", "The meeting's server is stopping.")
        await asyncio.gather(*self._closing, return_exceptions=True)

    def _hold_to_beginnings(self, re: int | None) -> None:
        """Refuses a meeting that would begin now. One that has begun goes on, whatever happens."""
        if self.draining:
            raise ProtocolError(
                "draining",
                "This server is about to stop and begins no more meetings. "
                "Try again in a few minutes, or use another server.",
                re,
            )
        if not (self.load.limits.new_rooms and self._host.new_rooms):
            raise ProtocolError(
                "overloaded",
                "This server has too much to do for another meeting. "
                "Try again in a few minutes, or ask its host for a larger one.",
                re,
            )

    def _end(self, opened: Opened) -> None:
        """Forgets a meeting; its invitation is worth nothing from now on."""
        meeting = opened.meeting
        del self._opened[meeting.room.id], self._by_token[opened.invitation.token]
        self.ended.add(meeting.media.snapshot().counters)
        task = asyncio.get_running_loop().create_task(meeting.close("meeting-over", "The meeting is over."))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    def _add(self, room_id: str, title: str, token: Secret) -> Opened:
        host, port = self._where()
        invitation = Invitation(host=host, port=port, token=token, room=room_id)
        room = Room(
            room_id,
            title,
            session.Invitation(link=invitation.link, code=invitation.code),
            new_id=new_id,
            max_members=self._settings.max_members,
            max_publishers=self._settings.max_publishers,
            lost_grace=self._settings.lost_grace_s,
            opened_at=self._clock(),
        )
        meeting = Meeting(room, lambda events: self._host.open(room_id, events))
        opened = Opened(meeting, invitation)
        self._opened[room_id] = self._by_token[token] = opened
        return opened

    def _write_state(self) -> None:
        """Remembers rooms and tokens; the file is for the owner alone, and replaced as a whole."""
        path = self._settings.state_file
        if path is None:
            return
        rooms = [
            {"room": o.meeting.room.id, "title": o.meeting.room.title, "token": o.invitation.token.reveal()}
            for o in self._opened.values()
        ]
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(".new")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump({"rooms": rooms}, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)


def _read_state(path: Path | None) -> list[tuple[str, str, Secret]]:
    """Rooms of an earlier run. A file that cannot be read is set aside, not overwritten."""
    if path is None or not path.exists():
        return []
    try:
        rooms = json.loads(path.read_text(encoding="utf-8"))["rooms"]
        return [_room_of(r["room"], r["title"], r["token"]) for r in rooms]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        with contextlib.suppress(OSError):
            os.replace(path, path.with_suffix(".unreadable"))
        return []


def _room_of(room: str, title: str, token: str) -> tuple[str, str, Secret]:
    if not _WORD.fullmatch(room) or not _WORD.fullmatch(token):
        raise ValueError("no room or no token")
    return room, title[:MAX_TITLE], Secret(token)
