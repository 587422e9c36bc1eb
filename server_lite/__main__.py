"""`python -m server_lite`: the server alone, or as the bundled server of the desktop program."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType

import uvicorn

from rtc import collector
from rtc.invitation import Invitation
from rtc.signalling import MAX_MESSAGE_BYTES
from rtc.socket_address import bind_in_range
from server_lite.app import create_app
from server_lite.config import Settings
from server_lite.doorkeeper import Doorkeeper
from server_lite.http_api import MAX_DRAIN_S
from server_lite.load import NO_MARKS, LoadMarks
from server_lite.metrics import Tally
from server_lite.state import ServerState

#: Seconds for goodbyes to get out before sockets are closed; all but the slowest need one turn of the loop.
GOODBYE_S = 0.1


def main(argv: Sequence[str] | None = None) -> int:
    """Runs until it is stopped; returns the exit code."""
    options = _parser().parse_args(argv)
    settings = Settings(
        host=options.host,
        port=options.port,
        udp_ports=options.udp_ports,
        advertise=tuple(options.advertise),
        state_file=options.state,
        # The desktop program's server stops when told to; it has nowhere to send people.
        drain_s=0.0 if options.announce else options.drain,
        forwarding=options.forwarding,
        workers=options.workers,
        load=NO_MARKS if options.never_shed else LoadMarks(),
    )
    _raise_file_limit()
    listener = _bound(
        lambda host, ports: _listen(host, ports[0]),
        settings.host,
        range(settings.port, settings.port + 1),
        "--port",
    )
    if listener is None:
        return 2
    udp_socket = _bound(bind_in_range, settings.host, settings.udp_ports, "--udp-port")
    if udp_socket is None:
        listener.close()
        return 2
    server = _server(settings, listener, udp_socket)
    if options.announce:
        _stop_with_parent(server)
    try:
        _run(server, listener, announce=options.announce, title=options.title)
    except KeyboardInterrupt:
        pass
    return 0 if server.started else 2


class HearthServer(uvicorn.Server):
    """uvicorn that tells when it is ready, and does not wake up ten times a second to see whether it should
    exit."""

    def __init__(self, config: uvicorn.Config, state_of: object) -> None:
        self._over = asyncio.Event()
        self._should_exit = False
        self._loop: asyncio.AbstractEventLoop | None = None
        super().__init__(config)
        self.app = state_of
        self.ready = asyncio.Event()

    @property
    def should_exit(self) -> bool:
        """Set it, from any thread or signal handler, to stop."""
        return self._should_exit

    @should_exit.setter
    def should_exit(self, value: bool) -> None:
        self._should_exit = value
        if value and self._loop is not None:
            self._loop.call_soon_threadsafe(self._over.set)

    async def main_loop(self) -> None:
        if not await self.on_tick(0):  # this also makes the headers that every answer has
            await self._over.wait()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._loop = asyncio.get_running_loop()
            self.hearth.drainer.when_over = self._drained
            self.ready.set()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A first SIGTERM lets meetings come to their end, if they are given time; a second one stops."""
        if sig == signal.SIGTERM and self._loop is not None and not self.should_exit:
            state = self.hearth
            if state.meetings.draining:
                self.should_exit = True
                return
            if state.settings.drain_s > 0:
                self._loop.call_soon_threadsafe(state.drainer.begin, state.settings.drain_s)
                return
        super().handle_exit(sig, frame)

    def _drained(self) -> None:
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # uvicorn would close every socket with no word of why before it tells the application.
        for server in self.servers:
            server.close()
        await self.hearth.meetings.close()
        await asyncio.sleep(GOODBYE_S)
        await super().shutdown(sockets)

    @property
    def hearth(self) -> ServerState:
        state: ServerState = self.app.state.hearth  # type: ignore[attr-defined]
        return state


def _server(settings: Settings, listener: socket.socket, udp_socket: socket.socket) -> HearthServer:
    tally = Tally()
    keeper = Doorkeeper(settings, tally)
    app = create_app(settings, tally, tcp_port=listener.getsockname()[1], udp_socket=udp_socket)
    config = uvicorn.Config(
        app,
        http=keeper.http_protocol(),
        ws=keeper.websocket_protocol(),
        # A message beyond our own limit still gets its code and sentence; beyond this one it is cut off.
        ws_max_size=4 * MAX_MESSAGE_BYTES,
        ws_ping_interval=settings.ping_interval_s,
        ws_ping_timeout=settings.ping_timeout_s,
        ws_per_message_deflate=False,  # nothing to unpack, nothing to blow up
        h11_max_incomplete_event_size=16 * 1024,
        timeout_keep_alive=5,
        timeout_graceful_shutdown=3,
        backlog=512,
        log_level="warning",
        access_log=False,
        server_header=False,
        date_header=False,
    )
    return HearthServer(config, app)


def _run(server: HearthServer, listener: socket.socket, *, announce: bool, title: str) -> None:
    async def serve() -> None:
        task = asyncio.get_running_loop().create_task(server.serve(sockets=[listener]))
        ready = asyncio.create_task(server.ready.wait())
        await asyncio.wait({task, ready}, return_when=asyncio.FIRST_COMPLETED)
        if not ready.done():
            ready.cancel()
        else:
            collector.settle()
            (_announce_to_parent if announce else _invite)(server, listener, title)
        await task

    with asyncio.Runner(loop_factory=server.config.get_loop_factory()) as runner:
        runner.run(serve())


def _announce_to_parent(server: HearthServer, listener: socket.socket, title: str) -> None:
    state = server.hearth
    host, port = listener.getsockname()[:2]
    reach = "127.0.0.1" if host == "0.0.0.0" else "[::1]" if host == "::" else host
    line = {
        "url": f"http://{reach}:{port}",
        "port": port,
        "udp_port": state.host.udp_port,
        "owner_key": state.settings.owner_key.reveal(),
        "pid": os.getpid(),
    }
    print(json.dumps(line), flush=True)


def _invite(server: HearthServer, listener: socket.socket, title: str) -> None:
    """Opens a meeting, unless one was remembered, and prints how to get in."""
    state = server.hearth
    remembered = state.meetings.invitations()
    invitation = remembered[0] if remembered else state.meetings.open(title).invitation
    print(f"Hearth is ready at {invitation.http_url} (media: UDP port {state.host.udp_port}).")
    print_invitation(invitation)
    print("Stop with Ctrl+C.", flush=True)


def print_invitation(invitation: Invitation) -> None:
    """Link, code and a QR code for a phone's camera."""
    import segno

    print(f"Link: {invitation.link}")
    if invitation.code:
        print(f"Code: {invitation.code}")
    with contextlib.suppress(UnicodeEncodeError):  # a terminal without block characters
        segno.make(invitation.link, error="m").terminal(out=sys.stdout, compact=True, border=2)


def _stop_with_parent(server: uvicorn.Server) -> None:
    """The parent holds our standard input open; when it closes, the parent is gone or wants us to stop."""

    def watch() -> None:
        with contextlib.suppress(OSError):
            while os.read(0, 4096):
                pass
        server.should_exit = True

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()


def _bound(
    bind_socket: Callable[[str, range], socket.socket], host: str, ports: range, option: str
) -> socket.socket | None:
    """The socket; None after a sentence about why not."""
    one, first, last = len(ports) == 1, ports[0], ports[-1]
    try:
        return bind_socket(host, ports)
    except OverflowError:
        print(f"There is no port {last}. Choose one from 0 to 65535 with {option}.", file=sys.stderr)
    except OSError as error:
        which = f"Port {first} of {host} cannot" if one else f"No port of {host} from {first} to {last} can"
        print(
            f"{which} be used: {error.strerror or error}. "
            f"Stop the program that uses it, or choose another with {option} (or another address with "
            "--host).",
            file=sys.stderr,
        )
    return None


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        if host == "::":
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        if os.name == "posix":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except OSError:
        listener.close()
        raise
    return listener


def _raise_file_limit() -> None:
    """A socket is a file; the usual 1,024 are too few for a thousand people."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 65536 if hard == resource.RLIM_INFINITY else hard
    if soft < wanted:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _ports(text: str) -> range:
    """A port, or a range as 40000-40100. The system says whether there is such a port."""
    first, dash, last = text.partition("-")
    try:
        ports = range(int(first), int(last if dash else first) + 1)
    except ValueError:
        ports = range(0)
    if not ports or (dash and not 1 <= ports[0] <= ports[-1] <= 65535):
        raise argparse.ArgumentTypeError("must be a port (0 takes any free one) or a range like 40000-40100")
    return ports


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 <= seconds <= MAX_DRAIN_S:
        raise argparse.ArgumentTypeError(f"must be 0 to {MAX_DRAIN_S:.0f} seconds")
    return seconds


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="hearth serve", description="Hearth's server, alone.")
    parser.add_argument("--host", default="0.0.0.0", help="address to listen on (default: all)")
    parser.add_argument("--port", type=int, default=8443, help="TCP port; 0 takes any free one")
    parser.add_argument(
        "--udp-port",
        dest="udp_ports",
        type=_ports,
        default=range(1),
        metavar="PORT",
        help="media port, UDP and where it is free TCP too, or a range like 40000-40100 of which the first "
        "free one is taken; 0 takes any free one",
    )
    parser.add_argument(
        "--advertise",
        action="append",
        default=[],
        metavar="ADDRESS",
        help="address told to clients; repeatable",
    )
    parser.add_argument("--title", default="Meeting", help="title of the meeting that is opened")
    parser.add_argument("--state", type=Path, metavar="FILE", help="remember meetings over a restart")
    parser.add_argument(
        "--drain",
        type=_seconds,
        default=0.0,
        metavar="SECONDS",
        help="after a first SIGTERM let meetings go on for so long and begin no others (default: 0)",
    )
    parser.add_argument(
        "--forwarding",
        choices=("auto", "native", "python"),
        default=os.environ.get("HEARTH_FORWARDING", "auto"),
        help="how packets are forwarded: in C where that is built, else in Python (default: auto)",
    )
    parser.add_argument(
        "--workers",
        type=int,
        choices=range(65),
        default=0,
        metavar="N",
        help="processes that carry media, on one address (default: 0, this one alone)",
    )
    parser.add_argument(
        "--never-shed",
        action="store_true",
        help="for benches: leave out no picture and refuse no meeting, whatever the load",
    )
    parser.add_argument(
        "--announce",
        action="store_true",
        help="for the desktop program: print one JSON line when ready, stop when standard input closes",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
