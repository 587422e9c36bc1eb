"""The few things that are asked over HTTP. Failures are problem+json (RFC 9457) with code and sentence."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Header, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from pydantic import BaseModel, Field, ValidationError

from rtc.secret import Secret
from rtc.signalling import PROTOCOL_VERSIONS, ProtocolError
from server_lite import metrics
from server_lite.state import ServerState
from server_lite.version import VERSION

router = APIRouter()

MAX_BODY_BYTES = 4096
#: Seconds, a day: a longer wait is a server that was forgotten.
MAX_DRAIN_S = 86_400.0
#: Seconds of a drain for which nobody said any. Longer disturbs fewer meetings.
USUAL_DRAIN_S = 3600.0
#: Seconds for a request's body to arrive.
BODY_TIMEOUT_S = 10.0
_STATUS = {
    "token-wrong": 404,
    "key-wrong": 403,
    "rooms-full": 503,
    "overloaded": 503,
    "draining": 503,
    "state-not-saved": 503,
    "body-too-large": 413,
    "body-too-slow": 408,
}
#: Code and sentence of failures that no handler of ours knows of.
FAILURES = {
    404: ("not-found", "There is nothing here."),
    405: ("method-not-allowed", "This cannot be asked in this way."),
}


class NewRoom(BaseModel):
    """What to open."""

    title: str = Field(default="Meeting", max_length=500)


class RoomView(BaseModel):
    """A meeting as one who holds its token may see it before joining."""

    room: str
    title: str
    members: int


class OpenedRoom(RoomView):
    """A fresh meeting; the token is said here alone."""

    token: str
    link: str
    code: str


class Drain(BaseModel):
    """How long meetings may go on; what the settings say, or an hour, if it is not said."""

    seconds: float | None = Field(default=None, ge=0, le=MAX_DRAIN_S)


class DrainView(BaseModel):
    """How far the end is: it comes when the last member has left, and at the latest after `seconds_left`."""

    seconds_left: float
    members: int


Authorization = Annotated[str, Header(max_length=300)]


@router.get("/healthz")
async def health(request: Request, response: Response) -> dict[str, object]:
    """503 while the server drains, so that a load balancer sends nobody new."""
    state: ServerState = request.app.state.hearth
    draining = state.meetings.draining
    response.status_code = 503 if draining else 200
    status = "draining" if draining else "ok"
    return {"status": status, "version": VERSION, "protocol": list(PROTOCOL_VERSIONS)}


@router.get("/metrics", response_class=PlainTextResponse)
async def prometheus(request: Request) -> str:
    state: ServerState = request.app.state.hearth
    return metrics.render(state.tally, state.host.counts(), state.meetings, state.load)


@router.post("/api/rooms", status_code=201)
async def open_room(request: Request, authorization: Authorization = "") -> OpenedRoom:
    state: ServerState = request.app.state.hearth
    if _bearer(authorization) != state.settings.owner_key:
        raise ProtocolError("key-wrong", "Only the owner of this server can open meetings on it.")
    body = await _body(request)
    try:
        wanted = NewRoom.model_validate_json(body or b"{}")
    except ValidationError:
        raise ProtocolError("body-invalid", 'Send {"title": "..."} with at most 500 characters.') from None
    opened = state.meetings.open(wanted.title)
    return OpenedRoom(
        room=opened.meeting.room.id,
        title=opened.meeting.room.title,
        members=0,
        token=opened.invitation.token.reveal(),
        link=opened.invitation.link,
        code=opened.invitation.code,
    )


@router.post("/api/drain", status_code=202)
async def drain(request: Request, authorization: Authorization = "") -> DrainView:
    """Lets meetings come to their end and then stops; asked again, it changes the time that is left."""
    state: ServerState = request.app.state.hearth
    if _bearer(authorization) != state.settings.owner_key:
        raise ProtocolError("key-wrong", "Only the owner of this server can stop it.")
    try:
        wanted = Drain.model_validate_json(await _body(request) or b"{}")
    except ValidationError:
        raise ProtocolError(
            "body-invalid", f'Send {{"seconds": ...}} with 0 to {MAX_DRAIN_S:.0f}, or nothing.'
        ) from None
    seconds = wanted.seconds
    if seconds is None:
        seconds = state.settings.drain_s or USUAL_DRAIN_S
    state.drainer.begin(seconds)
    return DrainView(seconds_left=seconds, members=state.meetings.members())


@router.get("/api/rooms/{room}")
async def view_room(room: str, request: Request, authorization: Authorization = "") -> RoomView:
    return _view(request, authorization, room)


@router.get("/api/invitation")
async def view_invitation(request: Request, authorization: Authorization = "") -> RoomView:
    """The meeting of a token that came as a code, without its room."""
    return _view(request, authorization, None)


def problem(error: ProtocolError) -> JSONResponse:
    return problem_of(_STATUS.get(error.code, 400), error.code, error.sentence)


def problem_of(status: int, code: str, sentence: str) -> JSONResponse:
    return JSONResponse(
        {"type": "about:blank", "status": status, "code": code, "title": sentence},
        status_code=status,
        media_type="application/problem+json",
    )


def _view(request: Request, authorization: str, room: str | None) -> RoomView:
    state: ServerState = request.app.state.hearth
    found = state.meetings.by_token(_bearer(authorization), room).meeting.room
    return RoomView(room=found.id, title=found.title, members=len(found))


def _bearer(authorization: str) -> Secret:
    scheme, _, token = authorization.partition(" ")
    return Secret(token.strip() if scheme.lower() == "bearer" else "")


async def _body(request: Request) -> bytes:
    async def read() -> bytes:
        parts = bytearray()
        async for part in request.stream():
            parts += part
            if len(parts) > MAX_BODY_BYTES:
                raise ProtocolError("body-too-large", f"At most {MAX_BODY_BYTES} bytes are taken.")
        return bytes(parts)

    try:
        return await asyncio.wait_for(read(), BODY_TIMEOUT_S)
    except TimeoutError:
        raise ProtocolError("body-too-slow", "The request's body did not arrive in time.") from None
