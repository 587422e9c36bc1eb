"""The forwarding kernel in C: built in the checkout when its files have changed and a compiler is there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from bootstrap.environment import Environment
from bootstrap.installer import SetupError
from bootstrap.progress import Step, complain, say
from rtc._fanout import build

#: In the environment's folder: what the kernel was made of when it could not be built last.
FAILED = "kernel-not-built"

#: Verbs whose own work is forwarding: they tell each time that they have to do it without the kernel.
FORWARDING_VERBS = ("serve", "bench")


def provide(environment: Environment, verb: str) -> None:
    """Builds the kernel where it is missing or old. Without it the server forwards in Python, so that only
    `test` insists. Raises SetupError there."""
    if not sys.platform.startswith("linux") or build.is_current():
        return
    reason = build.why_not() or _build(environment, again=verb == "test")
    if not reason:
        return
    if verb == "test":
        raise SetupError(f"The forwarding kernel cannot be built. {reason}")
    if verb in FORWARDING_VERBS:
        say(f"Packets are forwarded in Python, which takes several times the CPU. {reason}")


def _build(environment: Environment, *, again: bool) -> str:
    """Why it could not be built; empty where it was. What failed once is not tried at every start."""
    failed = environment.folder / FAILED
    if not again and _read(failed) == build.fingerprint():
        return f"The kernel could not be built; {environment.python} -m rtc._fanout.build says why."
    with Step("Building the forwarding kernel"):
        done = subprocess.run(
            [str(environment.python), "-m", "rtc._fanout.build"],
            cwd=environment.root,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
        )
    if done.returncode == 0:
        failed.unlink(missing_ok=True)
        return ""
    failed.write_text(build.fingerprint())
    complain(done.stderr.strip())
    return done.stderr.strip().splitlines()[0] if done.stderr.strip() else "The build said nothing."


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
