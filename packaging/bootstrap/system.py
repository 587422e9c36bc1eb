"""System packages: find out all that is lacking, then one apt call for everything, or one line to type."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections import deque
from pathlib import Path

from bootstrap.progress import Step, complain
from client.app import system_libraries as needs

#: Exit code for "the system lacks something that you must install".
LACKING = 3

#: Debian package -> what brings the same on Ubuntu.
_ON_UBUNTU = {
    "chromium": "chromium-browser",
    "chromium-driver": "chromium-chromedriver",
    "firefox-esr": "firefox",
}

#: Verbs that open a window, on a screen or on one of their own.
WINDOW_VERBS = ("desktop", "demo", "bench", "test")


class LackingError(Exception):
    """Something is missing that a person must install; the text says what and how."""


def _venv_package() -> str:
    """The Debian package with `ensurepip` for the Python that runs this."""
    if os.path.realpath(sys.executable) == os.path.realpath("/usr/bin/python3"):
        return "python3-venv"
    return f"python{sys.version_info.major}.{sys.version_info.minor}-venv"


def can_make_environment() -> bool:
    """Whether uv, or venv with ensurepip, is there. Debian's plain python3 has neither."""
    if shutil.which("uv"):
        return True
    return all(importlib.util.find_spec(name) is not None for name in ("venv", "ensurepip"))


def lacking(verb: str, *, display: bool, environment_ready: bool) -> dict[str, str]:
    """What the system lacks for `verb`: {Debian package: what is missing in words}."""
    found: dict[str, str] = {}
    if not environment_ready and not can_make_environment():
        found[_venv_package()] = "Python's venv module"
    if verb not in WINDOW_VERBS or not sys.platform.startswith("linux"):
        return found
    for library in needs.missing_libraries(needs.QT + needs.WINDOW):
        found[library.package] = library.soname
    if verb == "test" or not display:
        for program in needs.missing_programs(needs.NO_SCREEN):
            found[program.package] = program.name
        if not needs.has_software_gl():
            found["libgl1-mesa-dri"] = "Mesa's software renderer"
        if not needs.has_fonts():
            found["fonts-dejavu-core"] = "the DejaVu fonts"
    if verb == "test":
        for program in needs.missing_programs(needs.TESTS):
            found[program.package] = program.name
        found.update(needs.missing_to_compile())
    return found


def provide(verb: str, *, display: bool, environment_ready: bool) -> None:
    """Install what is lacking, as root on Debian; else raise `LackingError` with what a person must do."""
    found = lacking(verb, display=display, environment_ready=environment_ready)
    if not found:
        return
    if not needs.is_debian():
        raise LackingError(
            f"This system lacks {', '.join(found.values())}. "
            "Install the packages that bring them, then start again."
        )
    line = "sudo apt install -y " + " ".join(_named_for_this_system(found))
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        raise LackingError(
            f"This system lacks {_in_words(found)}. Type this line, then start again "
            f"(on a fresh system `sudo apt update` comes first):\n{line}"
        )
    _apt_install(_named_for_this_system(found), line)
    importlib.invalidate_caches()
    still = lacking(verb, display=display, environment_ready=environment_ready)
    if still:
        raise LackingError(f"apt ended well, but the system still lacks {', '.join(still.values())}.")


def _in_words(found: dict[str, str]) -> str:
    """What is missing, with the libraries as a number where they are many."""
    libraries = [what for what in found.values() if ".so" in what]
    others = [what for what in found.values() if ".so" not in what]
    if len(libraries) > 3:
        libraries = [f"{len(libraries)} libraries that Qt needs"]
    return ", ".join(libraries + others)


def _named_for_this_system(found: dict[str, str]) -> list[str]:
    """Ubuntu calls the browsers otherwise; all else has the same names there."""
    try:
        ubuntu = "ID=ubuntu" in Path("/etc/os-release").read_text().splitlines()
    except OSError:
        ubuntu = False
    return sorted((_ON_UBUNTU if ubuntu else {}).get(package, package) for package in found)


def _apt_install(packages: list[str], line: str) -> None:
    with Step(f"Installing {len(packages)} system packages") as step:
        # An old list of packages is better than none, so only the installation itself has to succeed.
        _apt(step, ["apt-get", "update"])
        install = ["apt-get", "install", "-y", "--no-install-recommends", *packages]
        code, tail = _apt(step, install)
        if code != 0:
            raise LackingError(
                f"apt could not install the system packages. It said:\n{tail}\n"
                f"When that is mended, type:\n{line}"
            )


def _apt(step: Step, command: list[str]) -> tuple[int, str]:
    """Run apt with a line of progress; (exit code, its last lines)."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
    tail: deque[str] = deque(maxlen=12)
    try:
        process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
    except OSError as error:
        complain(str(error))
        return 1, str(error)
    with process:
        assert process.stdout is not None
        for text in process.stdout:
            tail.append(text.rstrip())
            if told := re.match(r"(Get:\d+ \S+ \S+ \S+ (\S+)|(Unpacking|Setting up) (\S+))", text):
                step.at(told.group(2) or f"{told.group(3).lower()} {told.group(4)}")
    return process.returncode, "\n".join(tail)
