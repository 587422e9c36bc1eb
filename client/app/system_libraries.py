"""What Hearth needs from the operating system, and which Debian package brings it.

Standard library only: `run.py` uses it before anything is installed, the doctor afterwards.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple


class Library(NamedTuple):
    """A shared library and the Debian package that brings it."""

    soname: str
    package: str


class Program(NamedTuple):
    """A program on the PATH and the Debian package that brings it."""

    name: str
    package: str


#: Needed to import QtQuick and QtMultimedia at all.
QT = (
    Library("libEGL.so.1", "libegl1"),
    Library("libGL.so.1", "libgl1"),
    Library("libxkbcommon.so.0", "libxkbcommon0"),
    Library("libdbus-1.so.3", "libdbus-1-3"),
    Library("libfontconfig.so.1", "libfontconfig1"),
    Library("libglib-2.0.so.0", "libglib2.0-0"),
    Library("libgssapi_krb5.so.2", "libgssapi-krb5-2"),
    Library("libbrotlidec.so.1", "libbrotli1"),
    Library("libpulse.so.0", "libpulse0"),
    Library("libXrandr.so.2", "libxrandr2"),
    Library("libXext.so.6", "libxext6"),
    Library("libdrm.so.2", "libdrm2"),
)

#: Needed besides for a window on X11.
WINDOW = (
    Library("libxcb-cursor.so.0", "libxcb-cursor0"),
    Library("libxcb-icccm.so.4", "libxcb-icccm4"),
    Library("libxcb-keysyms.so.1", "libxcb-keysyms1"),
    Library("libxcb-image.so.0", "libxcb-image0"),
    Library("libxcb-randr.so.0", "libxcb-randr0"),
    Library("libxcb-render-util.so.0", "libxcb-render-util0"),
    Library("libxcb-shape.so.0", "libxcb-shape0"),
    Library("libxcb-xkb.so.1", "libxcb-xkb1"),
    Library("libxkbcommon-x11.so.0", "libxkbcommon-x11-0"),
    Library("libxcb-sync.so.1", "libxcb-sync1"),
    Library("libxcb-xfixes.so.0", "libxcb-xfixes0"),
    Library("libX11-xcb.so.1", "libx11-xcb1"),
)

#: Needed for a window where there is no screen.
NO_SCREEN = (Program("Xvfb", "xvfb"),)

#: Needed by the end-to-end tests.
TESTS = (
    Program("chromium", "chromium"),
    Program("chromedriver", "chromium-driver"),
    Program("firefox", "firefox-esr"),
    Program("pulseaudio", "pulseaudio"),
    Program("ip", "iproute2"),
)


def library_folders() -> list[Path]:
    """Where the loader looks on common Linux systems; only a short cut, the loader has the last word."""
    architecture = sysconfig.get_config_var("MULTIARCH") or ""
    named = [folder for folder in os.environ.get("LD_LIBRARY_PATH", "").split(":") if folder]
    usual = [f"/usr/lib/{architecture}", f"/lib/{architecture}", "/usr/lib64", "/usr/lib", "/lib64", "/lib"]
    return [Path(folder) for folder in named + usual]


def can_load(soname: str) -> bool:
    """Whether the loader finds `soname`: a look at the disk first, then the loader itself."""
    if any((folder / soname).exists() for folder in library_folders()):
        return True
    try:
        ctypes.CDLL(soname)
    except OSError:
        return False
    return True


def missing_libraries(libraries: Iterable[Library]) -> list[Library]:
    """Those that the loader does not find. Empty where Qt brings its own (Windows, macOS)."""
    if not sys.platform.startswith("linux"):
        return []
    return [library for library in libraries if not can_load(library.soname)]


def missing_programs(programs: Iterable[Program]) -> list[Program]:
    """Those that are not on the PATH."""
    return [program for program in programs if shutil.which(program.name) is None]


def missing_to_compile() -> dict[str, str]:
    """What the forwarding kernel cannot be compiled without: {Debian package: what is missing in words}."""
    found: dict[str, str] = {}
    if not any(shutil.which(name) for name in ("cc", "gcc")):
        found["gcc"] = "a C compiler"
    if not Path("/usr/include/features.h").exists():
        found["libc6-dev"] = "the C library's headers"
    if not (Path(sysconfig.get_path("include")) / "Python.h").exists():
        own = os.path.realpath(sys.executable) == os.path.realpath("/usr/bin/python3")
        version = "3" if own else f"{sys.version_info.major}.{sys.version_info.minor}"
        found[f"python{version}-dev"] = "Python's headers"
    return found


def has_software_gl() -> bool:
    """Whether Mesa's software renderer is there: Xvfb has no other."""
    patterns = ("dri/swrast_dri.so", "libgallium*.so")
    return any(any(folder.glob(pattern)) for folder in library_folders() for pattern in patterns)


def has_fonts() -> bool:
    """Whether DejaVu is there: a bare system has no font at all, and pictures in tests need this one."""
    folders = ("/usr/share/fonts/truetype/dejavu", "/usr/share/fonts/dejavu", "/usr/share/fonts/TTF")
    return any((Path(folder) / "DejaVuSans.ttf").exists() for folder in folders) or any(
        Path("/usr/share/fonts").glob("dejavu*/DejaVuSans.ttf")
    )


def is_debian() -> bool:
    """Whether packages come by apt here."""
    return Path("/etc/debian_version").exists() and shutil.which("apt-get") is not None
