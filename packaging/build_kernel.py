"""Hatch's hook for wheels: on Linux they carry the forwarding kernel built, for every Python from 3.11 on.

Where it cannot be built, an editable install goes on without it, and a wheel is refused: it would look like
one for all machines and be slow on each.
"""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class BuildKernel(BuildHookInterface):  # type: ignore[type-arg]
    """Found by hatch through pyproject.toml."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called before the files are collected."""
        if not sys.platform.startswith("linux"):
            return
        root = Path(self.root)
        done = subprocess.run(
            [sys.executable, "-m", "rtc._fanout.build"], cwd=root, capture_output=True, text=True
        )
        if done.returncode:
            if version == "editable":
                return
            raise RuntimeError(f"the forwarding kernel cannot be built: {done.stderr.strip()}")
        platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["pure_python"] = False
        build_data["tag"] = f"cp311-abi3-{platform}"
        build_data["artifacts"] += ["/rtc/_fanout/_native.abi3.so", "/rtc/_fanout/.built-from"]
