"""What is there when a process has started stays out of later collections."""

from __future__ import annotations

import subprocess
import sys


def test_settling_freezes_what_exists() -> None:
    code = (
        "import gc; from rtc import collector; kept = [[] for _ in range(1000)]; collector.settle();"
        "assert gc.get_freeze_count() > 1000, gc.get_freeze_count();"
        "assert gc.isenabled() and gc.get_threshold()[0] > 2000"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
