"""`doctor`: looks at the machine and says in one sentence each what is wrong and what to do.

Standard library only, so that it also runs where set-up has failed; Qt is asked in a child process.
Exit code 0 when a meeting can be held here, 1 when something stands in the way.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import shutil
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

from client.app import system_libraries
from client.app.display import display_problem
from rtc import _fanout

#: The server's TCP port unless told otherwise.
SERVER_PORT = 8443
#: Free bytes below which recordings and updates fail soon.
DISK_WANTED = 1_000_000_000
#: Seconds that Qt gets to start; a cold disk takes ten.
PROBE_LIMIT = 40.0
#: One importable name of each package without which no meeting starts.
REQUIRED = (
    "PySide6",
    "aiortc",
    "av",
    "fastapi",
    "numpy",
    "pydantic",
    "qasync",
    "segno",
    "uvicorn",
    "websockets",
)
SET_UP = "Run `python3 run.py` once, with the network on."


class State(StrEnum):
    """How much a finding matters."""

    OK = "ok"
    NOTE = "note"  # a meeting works, with less
    WRONG = "wrong"  # stands in the way of a meeting


class Finding(NamedTuple):
    """One thing looked at, and a sentence about it."""

    state: State
    sentence: str


def check_python(
    has: Callable[[str], bool] = lambda name: importlib.util.find_spec(name) is not None,
    release: Callable[[str], str] = importlib.metadata.version,
    version: tuple[int, ...] = sys.version_info[:3],
) -> list[Finding]:
    """The interpreter, and whether the program's packages are in it."""
    shown = ".".join(map(str, version))
    missing = [name for name in REQUIRED if not has(name)]
    if missing:
        words = ", ".join(missing)
        return [Finding(State.WRONG, f"The program's packages are not installed ({words} missing). {SET_UP}")]
    qt = release("PySide6-Essentials")
    if version < (3, 12) and tuple(int(part) for part in qt.split(".")[:2]) >= (6, 12):
        sentence = (
            f"PySide6 {qt} crashes after some minutes on Python {shown}: install PySide6-Essentials and "
            "PySide6-Addons 6.11.3, or use Python 3.12."
        )
        return [Finding(State.WRONG, sentence)]
    return [Finding(State.OK, f"Python {shown} with PySide6 {qt} in {sys.prefix}.")]


def check_libraries() -> list[Finding]:
    """The system libraries that Qt needs."""
    missing = system_libraries.missing_libraries(system_libraries.QT + system_libraries.WINDOW)
    if not missing:
        return [Finding(State.OK, "Every system library that Qt needs is there.")]
    names = ", ".join(library.soname for library in missing)
    packages = " ".join(sorted(library.package for library in missing))
    what = f"type: sudo apt install -y {packages}" if system_libraries.is_debian() else "install them"
    return [Finding(State.WRONG, f"Qt lacks {names}; {what}")]


def ask_qt(environment: dict[str, str]) -> dict[str, Any] | str:
    """What the probe found, or a sentence about why it found nothing."""
    if display_problem(environment):
        environment = {**environment, "QT_QPA_PLATFORM": "offscreen"}
    command = [sys.executable, "-P", "-m", "client.app.doctor_probe"]
    paths = os.pathsep.join(path for path in sys.path if path)
    try:
        done = subprocess.run(
            command,
            env={**environment, "PYTHONPATH": paths},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=PROBE_LIMIT,
        )
    except subprocess.TimeoutExpired:
        return f"Qt did not start within {PROBE_LIMIT:.0f} s."
    for line in reversed(done.stdout.splitlines()):
        if line.startswith("{"):
            return dict(json.loads(line))
    said = [line for line in done.stderr.splitlines() if line.strip()]
    reason = next((line for line in said if "could not connect to display" in line), said[-1] if said else "")
    return f"Qt does not start{f' ({reason.strip()})' if reason else ''}."


def check_screen(found: dict[str, Any] | str, environment: dict[str, str]) -> list[Finding]:
    """The display and the GL renderer."""
    if isinstance(found, str):
        hint = "Look at the lines above"
        if environment.get("DISPLAY"):
            hint = f"Is there a display at DISPLAY={environment['DISPLAY']}? Unset it to run without one"
        return [Finding(State.WRONG, f"{found} {hint}.")]
    if problem := display_problem(environment):
        return [Finding(State.NOTE, problem)]
    findings = [Finding(State.OK, f"A display of {found['screen']} pixels ({found['platform']}).")]
    renderer = found["renderer"]
    if not renderer:
        sentence = "No OpenGL context could be made, so pictures stay blank: install libgl1-mesa-dri."
        findings.append(Finding(State.WRONG, sentence))
    elif "llvmpipe" in renderer or "softpipe" in renderer:
        sentence = (
            f"No GPU is in use ({renderer}), so large meetings will stutter: install the driver of your card."
        )
        findings.append(Finding(State.NOTE, sentence))
    else:
        findings.append(Finding(State.OK, f"The GPU draws: {renderer}."))
    return findings


def check_devices(found: dict[str, Any] | str) -> list[Finding]:
    """Camera, microphone and speaker."""
    if isinstance(found, str):
        return []
    findings = []
    for key, one, advice in (
        ("cameras", "camera", "plug one in; until then others see your name only"),
        ("microphones", "microphone", "plug one in; until then nobody hears you"),
        ("speakers", "speaker", "plug one in or start the sound server; until then you hear nobody"),
    ):
        names = found[key]
        if names:
            findings.append(Finding(State.OK, f"{one.capitalize()}: {', '.join(names)}."))
        else:
            findings.append(Finding(State.NOTE, f"There is no {one}: {advice}."))
    forbidden = [str(path) for path in Path("/dev").glob("video*") if not os.access(path, os.R_OK | os.W_OK)]
    if forbidden:
        sentence = (
            f"You may not open {', '.join(sorted(forbidden))}: type `sudo usermod -aG video $USER` "
            "and log in again."
        )
        findings.append(Finding(State.NOTE, sentence))
    return findings


def own_address() -> str | None:
    """The address that others in the network reach this machine by, or None. Sends nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # RFC 5737: an address that is nobody's
        except OSError:
            return None
        return str(probe.getsockname()[0])


def check_network(address: Callable[[], str | None] = own_address) -> list[Finding]:
    """Whether others can reach this machine at all."""
    found = address()
    if found is None or found.startswith(("127.", "0.")):
        sentence = (
            "This machine is in no network, so only programs on it can join: connect it, then start again."
        )
        return [Finding(State.NOTE, sentence)]
    return [Finding(State.OK, f"Others in your network reach this machine at {found}.")]


def _is_hearth(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=2) as answer:
            return "protocol" in json.loads(answer.read(4096))
    except (OSError, ValueError, urllib.error.URLError):
        return False


def check_ports(port: int = SERVER_PORT) -> list[Finding]:
    """The server's TCP port, and whether UDP works."""
    findings = []
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("0.0.0.0", port))
            findings.append(Finding(State.OK, f"Port {port} is free for the server."))
        except OSError:
            if _is_hearth(port):
                findings.append(Finding(State.NOTE, f"A Hearth server is already running at port {port}."))
            else:
                words = f"Port {port} is taken by another program: start the server with `serve --port 0`."
                findings.append(Finding(State.WRONG, words))
    try:
        findings += _check_udp()
    except OSError as error:
        words = f"UDP does not work on this machine ({error}), and media needs it: look at the firewall."
        findings.append(Finding(State.WRONG, words))
    return findings


def _check_udp() -> list[Finding]:
    """Send one datagram to ourselves."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other,
    ):
        one.bind(("127.0.0.1", 0))
        one.settimeout(2)
        other.sendto(b"hearth", one.getsockname())
        one.recv(16)
    return [Finding(State.OK, "UDP works.")]


def check_forwarding(reason: Callable[[], str] = _fanout.why_not) -> list[Finding]:
    """Whether the server forwards in C; that is for Linux alone."""
    if not sys.platform.startswith("linux"):
        return []
    why = reason()
    if not why:
        return [Finding(State.OK, "The server forwards packets with its kernel in C.")]
    packages = " ".join(system_libraries.missing_to_compile())
    what = f" Type: sudo apt install -y {packages}" if packages and system_libraries.is_debian() else ""
    words = f"The server forwards in Python, which takes several times the CPU. {why}{what}"
    return [Finding(State.NOTE, words)]


def check_disk(folder: Path | None = None, free: int | None = None) -> list[Finding]:
    """Room for packages, test pictures and later recordings."""
    folder = folder or Path.home()
    while not folder.exists():
        folder = folder.parent
    left = shutil.disk_usage(folder).free if free is None else free
    if left < DISK_WANTED:
        words = f"Only {left / 1e6:.0f} MB are free at {folder}: make room, Hearth needs about 1 GB."
        return [Finding(State.WRONG, words)]
    return [Finding(State.OK, f"{left / 1e9:.0f} GB are free at {folder}.")]


def examine(environment: dict[str, str]) -> list[Finding]:
    """Everything, in the order in which one would mend it."""
    findings = check_python() + check_libraries()
    if all(finding.state is not State.WRONG for finding in findings):
        found = ask_qt(environment)
        findings += check_screen(found, environment) + check_devices(found)
        findings += check_forwarding()
    return findings + check_network() + check_ports() + check_disk()


def main(argv: Sequence[str] | None = None) -> int:
    """Print the findings; 0 when nothing is wrong."""
    arguments = sys.argv[1:] if argv is None else list(argv)
    if arguments:
        wanted_help = arguments[0] in ("-h", "--help")
        print("usage: doctor\n\nChecks this machine and says what is wrong and what to do.")
        return 0 if wanted_help else 2
    findings = examine(dict(os.environ))
    for state, sentence in findings:
        print(f"{state.value:<5}  {sentence}")
    wrong = sum(finding.state is State.WRONG for finding in findings)
    print(
        "Everything is ready for a meeting." if not wrong else f"{wrong} thing(s) to mend before a meeting."
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
