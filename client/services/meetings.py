"""Meetings asked for over HTTP: open a room, look into one before going in. Failures are sentences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import httpx

from client.services.embedded import Announcement
from rtc.invitation import Invitation

#: How long a server may take to answer, in seconds.
TIMEOUT = httpx.Timeout(10.0, connect=5.0)
#: The largest answer that is read, in bytes.
ANSWER_LIMIT = 64 * 1024


class MeetingError(RuntimeError):
    """A server did not give what was asked; str() is a sentence for a person."""


@dataclass(frozen=True, slots=True)
class MeetingInfo:
    """What the door says of a meeting: its title and how many people are inside."""

    title: str
    members: int


async def open_room(server: Announcement, title: str) -> str:
    """Open a room on one's own server and return the link into it; raises MeetingError."""
    headers = {"Authorization": f"Bearer {server.owner_key.reveal()}"}
    answer = await _ask("POST", f"{server.url}/api/rooms", headers, {"title": title})
    link = answer.get("link")
    if not isinstance(link, str):
        raise MeetingError("Your own server gave an answer that makes no sense. Start Hearth again.")
    return link


async def look_up(invitation: Invitation) -> MeetingInfo:
    """Look at the meeting behind an invitation without going in; raises MeetingError."""
    headers = {"Authorization": f"Bearer {invitation.token.reveal()}"}
    path = f"/api/rooms/{invitation.room}" if invitation.room else "/api/invitation"
    answer = await _ask("GET", f"{invitation.http_url}{path}", headers, None)
    title, members = answer.get("title"), answer.get("members")
    return MeetingInfo(
        title=title[:200] if isinstance(title, str) else "",
        members=members if isinstance(members, int) and members >= 0 else 0,
    )


async def _ask(method: str, url: str, headers: dict[str, str], body: Any) -> dict[str, Any]:
    where = httpx.URL(url)
    place = f"{where.host}:{where.port or (443 if where.scheme == 'https' else 80)}"
    try:
        # No proxy from the environment: a meeting in this building must not go out of it.
        async with (
            httpx.AsyncClient(timeout=TIMEOUT, trust_env=False) as client,
            client.stream(method, url, headers=headers, json=body) as response,
        ):
            content = bytearray()
            async for chunk in response.aiter_bytes():
                content += chunk
                if len(content) > ANSWER_LIMIT:
                    raise MeetingError(f"What answers at {place} is not a Hearth server. Check the link.")
            status = response.status_code
    except httpx.TimeoutException as error:
        raise MeetingError(
            f"{place} does not answer. Check your network, and that both computers are in the same one."
        ) from error
    except (httpx.HTTPError, OSError) as error:
        raise MeetingError(
            f"Nobody answers at {place}. The meeting may be over; ask for a new invitation."
        ) from error
    return _understand(status, bytes(content), place)


def _understand(status: int, content: bytes, place: str) -> dict[str, Any]:
    """The JSON object of a good answer; a sentence for every other one."""
    try:
        answer = httpx.Response(200, content=content).json()
    except ValueError:
        answer = None
    if status in (200, 201) and isinstance(answer, dict):
        return answer
    said = answer.get("title") if isinstance(answer, dict) else None
    if isinstance(said, str) and 0 < len(said) <= 300:
        raise MeetingError(said)
    if status in (401, 403, 404, 410):
        raise MeetingError("This invitation does not open a meeting any more. Ask for a new one.")
    if status in (200, 201):
        raise MeetingError(f"What answers at {place} is not a Hearth server. Check the link.")
    raise MeetingError(f"The server at {place} cannot help right now. Try again in a moment.")
