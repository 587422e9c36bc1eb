"""Programs of the tests in processes of their own with the kernel's sanitised build."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from rtc._fanout import build

ROOT = Path(__file__).parents[2]


def libasan() -> Path | None:
    """The run-time library of AddressSanitizer that the compiler has, if any."""
    compiler = os.environ.get("CC") or shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        return None
    asked = [compiler, "-print-file-name=libasan.so"]
    found = Path(subprocess.run(asked, capture_output=True, text=True).stdout.strip())
    return found if found.is_absolute() and found.exists() else None


def why_not() -> str:
    """Why there are no sanitizers here, as a sentence; empty if there are."""
    return build.why_not() or ("" if libasan() else "The compiler has no AddressSanitizer.")


def environment() -> dict[str, str]:
    """For a child that loads the sanitised kernel, which has to be built."""
    library = libasan()
    assert library is not None
    return {
        **os.environ,
        "HEARTH_SANITIZED_KERNEL": "1",
        "LD_PRELOAD": str(library),
        # What Python itself keeps until its end is no leak of the kernel's.
        "ASAN_OPTIONS": "detect_leaks=0",
        "UBSAN_OPTIONS": "print_stacktrace=1",
        # Each of Python's objects alone, so that a byte read too far in one is noticed too.
        "PYTHONMALLOC": "malloc",
    }


def run(module: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """`python -m module arguments` with the sanitised kernel; builds it if it is not there."""
    build.build(sanitize=True)
    return subprocess.run(
        [sys.executable, "-m", module, *map(str, arguments)],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
    )


def reports(done: subprocess.CompletedProcess[str]) -> list[str]:
    """What the sanitizers said."""
    lines = (done.stdout + done.stderr).splitlines()
    return [line for line in lines if "Sanitizer" in line or "runtime error:" in line]
