"""All meetings of one server: who may open one, which token leads where, what survives a restart."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from rtc.invitation import Invitation, new_token
from rtc.secret import Secret
from rtc.signalling import ProtocolError, session
from server_lite.config import Settings
from server_lite.meeting import Meeting
from server_lite.peer import MediaPort
from server_lite.room import Room
from server_lite.router import Router

MAX_TITLE = 100
#: The answer for a wrong token and for a wrong room is the same: nobody learns which rooms exist.
NOT_VALID = "This invitation is not valid, or the meeting is over. Ask for a new one."
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

    def __init__(self, settings: Settings, port: MediaPort, where: Callable[[], tuple[str, int]]) -> None:
        self._settings, self._port, self._where = settings, port, where
        self._opened: dict[str, Opened] = {}  # by room id
        self._by_token: dict[Secret, Opened] = {}
        for room, title, token in _read_state(settings.state_file):
            self._add(room, title, token)

    def __iter__(self) -> Iterator[Meeting]:
        return (o.meeting for o in self._opened.values())

    def open(self, title: str) -> Opened:
        """A new meeting."""
        if len(self._opened) >= self._settings.max_rooms:
            raise ProtocolError(
                "rooms-full", f"This server holds {self._settings.max_rooms} meetings at most. End one first."
            )
        opened = self._add(new_id(), " ".join(title.split())[:MAX_TITLE] or "Meeting", new_token())
        self._write_state()
        return opened

    def find(self, hello: session.Hello) -> Meeting:
        """The meeting that a hello may enter."""
        opened = self._by_token.get(hello.token)
        if opened is None or (hello.room is not None and hello.room != opened.meeting.room.id):
            raise ProtocolError("token-wrong", NOT_VALID, hello.id)
        return opened.meeting

    def by_token(self, token: Secret, room: str | None = None) -> Opened:
        opened = self._by_token.get(token)
        if opened is None or (room is not None and room != opened.meeting.room.id):
            raise ProtocolError("token-wrong", NOT_VALID)
        return opened

    def invitations(self) -> list[Invitation]:
        """Of all meetings, oldest first."""
        return [o.invitation for o in self._opened.values()]

    async def close(self) -> None:
        for opened in self._opened.values():
            await opened.meeting.close("server-stopping", "The meeting's server is stopping.")

    def _add(self, room_id: str, title: str, token: Secret) -> Opened:
        host, port = self._where()
        invitation = Invitation(host=host, port=port, token=token, room=room_id)
        room = Room(
            room_id,
            title,
            session.Invitation(link=invitation.link, code=invitation.code),
            new_id=new_id,
            max_members=self._settings.max_members,
            lost_grace=self._settings.lost_grace_s,
        )
        meeting = Meeting(room, Router(self._settings.video_bitrate_cap), self._port)
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
        return [(str(r["room"]), str(r["title"]), Secret(str(r["token"]))) for r in rooms]
    except (OSError, ValueError, KeyError, TypeError):
        os.replace(path, path.with_suffix(".unreadable"))
        return []
