"""The FastAPI application of one server."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable

from fastapi import FastAPI, Request, Response, WebSocket
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from rtc.signalling import ProtocolError
from rtc.socket_address import bind
from rtc.transport import Certificate
from rtc.udp_mux import UdpMux
from server_lite import http_api
from server_lite.addresses import media_addresses
from server_lite.config import Settings
from server_lite.drain import Drainer
from server_lite.media_host import LocalHost, MediaHost, host_sampler
from server_lite.meetings import Meetings
from server_lite.metrics import Tally
from server_lite.peer import MediaPort
from server_lite.signalling import SignallingConnection
from server_lite.state import ServerState
from server_lite.version import VERSION
from server_lite.web_files import HEADERS, add_web_files
from server_lite.workers import WorkerHost


def create_app(
    settings: Settings,
    tally: Tally | None = None,
    tcp_port: int | None = None,
    udp_socket: socket.socket | None = None,
) -> FastAPI:
    """The application. The UDP port is bound when it starts, unless `udp_socket` is, and freed when it stops.

    `tcp_port` is the port of the HTTP socket if the system chose it; it stands in invitations.
    """
    tally = tally or Tally()

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        host = await open_host(settings, udp_socket or bind(settings.host, settings.udp_port))

        def where() -> tuple[str, int]:
            return invitation_host(settings), tcp_port or settings.port

        meetings = Meetings(settings, host, where)
        drainer = Drainer(meetings, settings.drain_notice_s)
        sampling = asyncio.get_running_loop().create_task(host_sampler(meetings.load, host).run())
        app.state.hearth = ServerState(settings, host, meetings, tally, meetings.load, drainer)
        try:
            yield
        finally:
            sampling.cancel()
            await asyncio.gather(sampling, return_exceptions=True)
            await drainer.close()
            await meetings.close()
            await host.close()

    app = FastAPI(title="Hearth server", version=VERSION, lifespan=lifespan, docs_url=None, redoc_url=None)
    app.include_router(http_api.router)
    add_web_files(app)

    @app.websocket("/ws")
    async def signalling(websocket: WebSocket) -> None:
        state: ServerState = app.state.hearth
        await SignallingConnection(websocket, state.meetings, settings, tally).run()

    @app.exception_handler(ProtocolError)
    async def refused(request: Request, error: ProtocolError) -> JSONResponse:
        tally.refusals[error.code] += 1
        return http_api.problem(error)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        return http_api.problem(
            ProtocolError("request-invalid", "The request has a value that is not allowed.")
        )

    @app.exception_handler(HTTPException)
    async def failed(request: Request, error: HTTPException) -> JSONResponse:
        code, sentence = http_api.FAILURES.get(error.status_code, ("request-failed", "This cannot be done."))
        response = http_api.problem_of(error.status_code, code, sentence)
        response.headers.update(error.headers or {})
        return response

    @app.middleware("http")
    async def headers(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        response = await call_next(request)
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        return response

    return app


async def open_host(settings: Settings, udp_socket: socket.socket) -> MediaHost:
    """Media in this process over `udp_socket`, or in workers at its address. Raises OSError."""
    if settings.workers > 1:
        with udp_socket:
            udp_port = udp_socket.getsockname()[1]
        workers = WorkerHost(settings, udp_port, settings.workers)
        await workers.start()
        return workers
    mux = await UdpMux.on(udp_socket, kind=settings.forwarding)
    certificate = await asyncio.to_thread(Certificate)
    candidates = mux.candidates(media_addresses(settings.host, settings.advertise))
    return LocalHost(MediaPort(mux, candidates, certificate), settings)


def invitation_host(settings: Settings) -> str:
    """The address that stands in invitations."""
    if settings.advertise:
        return settings.advertise[0]
    if settings.host in ("0.0.0.0", "::"):
        return media_addresses(settings.host, ())[0]
    return settings.host
