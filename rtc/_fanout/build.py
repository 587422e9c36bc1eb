"""Builds the kernel beside this file: `python -m rtc._fanout.build [--sanitize]`. Linux, a C compiler,
Python's headers.

cffi writes the glue between Python and the C files; the compiler is called directly, so that nothing else
is needed.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).resolve().parent
#: Of the ordinary build; the sanitised one lies in a folder of its own.
LIBRARY: Final = "_native.abi3.so"
SANITIZED: Final = "sanitized"
_STAMP: Final = ".built-from"
_FLAGS: Final = ("-std=gnu11", "-O3", "-fPIC", "-ffp-contract=off", "-Wall", "-Wextra", "-fvisibility=hidden")
_SANITIZER: Final = ("-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=undefined")


class BuildError(RuntimeError):
    """The kernel cannot be built here; the text is a sentence that says why."""


def sources() -> list[Path]:
    """The C files."""
    return sorted(HERE.glob("*.c"))


def fingerprint() -> str:
    """A hash over all that the kernel is made of."""
    digest = hashlib.sha256()
    for path in [*sources(), *sorted(HERE.glob("*.h")), HERE / "build.py"]:
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


def folder(*, sanitize: bool = False) -> Path:
    """Where the library lies."""
    return HERE / SANITIZED if sanitize else HERE


def is_current(*, sanitize: bool = False) -> bool:
    """Whether the library is there and was built from the files as they are. An installed one without its
    sources is taken as it is."""
    place = folder(sanitize=sanitize)
    if not (place / LIBRARY).exists():
        return False
    if not sources():
        return True
    try:
        return (place / _STAMP).read_text() == fingerprint()
    except OSError:
        return False


def why_not() -> str:
    """Why the kernel cannot be built on this machine, as a sentence; empty if it can."""
    if not sys.platform.startswith("linux"):
        return "The kernel in C is for Linux."
    if _compiler() is None:
        return "There is no C compiler (the Debian package is gcc)."
    if not (Path(sysconfig.get_path("include")) / "Python.h").exists():
        return "Python's headers are missing (the Debian package is python3-dev)."
    return ""


def build(*, sanitize: bool = False) -> Path:
    """Builds what is not built yet and returns the library. Raises BuildError."""
    place = folder(sanitize=sanitize)
    if is_current(sanitize=sanitize):
        return place / LIBRARY
    reason = why_not()
    if reason:
        raise BuildError(reason)
    try:
        place.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=place, prefix=".build-") as scratch:
            made = _compile(Path(scratch), sanitize=sanitize)
            os.replace(made, place / LIBRARY)
        (place / _STAMP).write_text(fingerprint())
    except OSError as error:
        raise BuildError(f"{place} cannot be written: {error.strerror}.") from error
    return place / LIBRARY


def _compiler() -> str | None:
    named = os.environ.get("CC")
    return shutil.which(named) if named else shutil.which("cc") or shutil.which("gcc")


def _glue(scratch: Path) -> Path:
    """What cffi generates from the header's declarations."""
    from cffi import FFI

    header = (HERE / "fanout.h").read_text()
    numbers = "".join(f"#define {name} ...\n" for name in re.findall(r"#define (HF_\w+) \(", header))
    declarations = re.sub(r"/\*.*?\*/|^#.*?$", "", header, flags=re.DOTALL | re.MULTILINE)
    ffi = FFI()
    ffi.cdef(numbers + declarations)
    ffi.set_source("_native", '#include "fanout.h"')
    written = scratch / "glue.c"
    ffi.emit_c_code(str(written))
    return written


def _compile(scratch: Path, *, sanitize: bool) -> Path:
    library = scratch / LIBRARY
    command = [
        _compiler() or "cc",
        *_FLAGS,
        *(_SANITIZER if sanitize else ()),
        f"-I{HERE}",
        f"-I{sysconfig.get_path('include')}",
        "-shared",
        str(_glue(scratch)),
        *map(str, sources()),
        "-o",
        str(library),
        "-lm",
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise BuildError(f"The C compiler failed. It said: {done.stderr.strip()[-2000:]}")
    return library


def main() -> int:
    """See the module."""
    try:
        print(build(sanitize="--sanitize" in sys.argv[1:]))
    except BuildError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
