"""Get one package file with pip, so that the user's own index, proxy and certificate settings hold.

pip runs as a child process and installs nothing. Its raw progress lines ("Progress 262144 of 2252030",
pip 24.1 and later) become calls of `on_bytes`; an older pip downloads just as well and shows no bytes.
"""

from __future__ import annotations

import queue
import re
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from models.errors import FetchCancelledError, FetchError
from models.manifest import Source

_PROGRESS = re.compile(r"^Progress (\d+) of \d+\s*$")
_RAW_SINCE = (24, 1)
_LINES_KEPT = 40  # of pip's output, to tell what went wrong
_TICK = 0.1  # seconds between looks at `cancel`; lower stops sooner and wakes more often
_GRACE = 5.0  # seconds for pip to end by itself before it is killed

_NO_NETWORK = (
    "NewConnectionError",
    "Temporary failure in name resolution",
    "Network is unreachable",
    "ConnectTimeout",
    "ProxyError",
    "Connection refused",
    "Max retries exceeded",
    "Read timed out",
)


def pip_command() -> list[str]:
    """How to call pip here; FetchError when this Python has none."""
    try:
        version("pip")
    except PackageNotFoundError:
        raise FetchError(
            f"This Python ({sys.executable}) has no pip, so nothing can be downloaded. "
            "Add it with: python -m ensurepip"
        ) from None
    return [sys.executable, "-m", "pip"]


def knows_raw_progress(pip_version: str) -> bool:
    """Whether this version of pip can print its progress as plain lines."""
    numbers = [int(part) for part in re.findall(r"\d+", pip_version)[:2]]
    return tuple(numbers) >= _RAW_SINCE


def download_arguments(source: Source, into: Path, raw_progress: bool) -> list[str]:
    """The arguments after `pip` that fetch exactly this file and nothing it depends on."""
    arguments = [
        "download",
        "--no-deps",
        "--only-binary",
        ":all:",
        "--no-input",
        "--disable-pip-version-check",
    ]
    arguments += ["--progress-bar", "raw" if raw_progress else "off", "--dest", str(into)]
    if source.platform:
        arguments += ["--platform", source.platform]
    return [*arguments, f"{source.package}=={source.version}"]


def pip_download(
    source: Source,
    into: Path,
    on_bytes: Callable[[int], None],
    cancel: threading.Event,
    command: Sequence[str] | None = None,
) -> Path:
    """Download the source's file into an existing folder and return its path, unverified.

    `on_bytes` gets the bytes so far. FetchError with a sentence when pip fails, FetchCancelledError when
    `cancel` is set; pip is not left running in either case.
    """
    base = list(command) if command else pip_command()
    raw = bool(command) or knows_raw_progress(version("pip"))
    last_lines = _run([*base, *download_arguments(source, into, raw)], on_bytes, cancel)
    if last_lines is not None:
        raise FetchError(_sentence(source, last_lines))
    path = into / source.file
    if not path.is_file():
        found = ", ".join(sorted(p.name for p in into.iterdir())) or "nothing"
        raise FetchError(
            f"The package index gave {found} instead of {source.file}. "
            f"Check that your index has {source.package} {source.version}."
        )
    return path


def _run(
    command: Sequence[str], on_bytes: Callable[[int], None], cancel: threading.Event
) -> list[str] | None:
    """Run pip; None when it succeeded, else its last lines."""
    child = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    )
    lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    reader = threading.Thread(target=_read_lines, args=(child, lines), name="pip-output", daemon=True)
    reader.start()
    kept: deque[str] = deque(maxlen=_LINES_KEPT)
    try:
        while True:
            if cancel.is_set():
                raise FetchCancelledError
            try:
                line = lines.get(timeout=_TICK)
            except queue.Empty:
                continue
            if line is None:
                break
            if match := _PROGRESS.match(line):
                on_bytes(int(match[1]))
            else:
                kept.append(line.rstrip())
        return None if child.wait() == 0 else list(kept)
    finally:
        _end(child)
        reader.join()
        if child.stdout is not None:
            child.stdout.close()


def _read_lines(child: subprocess.Popen[str], lines: queue.SimpleQueue[str | None]) -> None:
    if child.stdout is not None:
        for line in child.stdout:
            lines.put(line)
    lines.put(None)


def _end(child: subprocess.Popen[str]) -> None:
    if child.poll() is None:
        child.terminate()
        try:
            child.wait(_GRACE)
        except subprocess.TimeoutExpired:
            child.kill()
    child.wait()


def _sentence(source: Source, lines: Sequence[str]) -> str:
    text = "\n".join(lines)
    offline = f"Or put {source.file} into a folder and set HEARTH_OFFLINE to that folder."
    name = f"{source.package} {source.version}"
    if any(sign in text for sign in _NO_NETWORK):
        return (
            f"{name} could not be downloaded: the package index is out of reach. Check the network. {offline}"
        )
    if "No matching distribution" in text:
        return f"{name} could not be downloaded: your package index does not have it. {offline}"
    if "No space left" in text:
        return f"{name} could not be downloaded: the disk is full. Free some space and try again."
    last = next((line for line in reversed(lines) if line.strip()), "no reason given")
    return f"{name} could not be downloaded: {last.strip().rstrip('.')}. {offline}"
