"""The console command `hearth`: the verbs of run.py for an installed Hearth, without the set-up."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from client.app import launch
from client.app.display import display_problem

PROGRAM = "hearth"

#: Verbs that need files which only a checkout has.
CHECKOUT_ONLY = ("test", "bench")


def checkout() -> Path | None:
    """The root of the checkout that this file lies in, or None when Hearth was installed."""
    root = Path(__file__).resolve().parents[2]
    return root if (root / "run.py").exists() and (root / "pyproject.toml").exists() else None


def _run(command: list[str]) -> int:
    """Run a program to its end; Ctrl+C reaches it as well, so only its exit code matters here."""
    with subprocess.Popen(command) as process:
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:
                continue


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code: that of the verb; 2 for wrong use."""
    verb, rest = launch.split_verb(list(sys.argv[1:] if argv is None else argv))
    if verb == "desktop" and rest[:1] in (["-h"], ["--help"]):
        print(launch.usage(PROGRAM))
        return 0
    if verb in CHECKOUT_ONLY:
        return _in_checkout(verb, rest)
    if verb not in launch.MODULES:
        print(launch.unknown(verb, PROGRAM), file=sys.stderr)
        return 2
    if verb == "desktop" and display_problem(os.environ):
        print(launch.NO_DISPLAY, flush=True)
        verb, rest = "serve", []
    if verb == "serve":  # the server is a program of its own: the client never imports it
        return _run([sys.executable, "-P", "-m", launch.MODULES["serve"], *rest])
    return int(importlib.import_module(launch.MODULES[verb]).main(rest))


def _in_checkout(verb: str, rest: list[str]) -> int:
    root = checkout()
    if root is None:
        sentence = (
            f"`{PROGRAM} {verb}` works in a checkout of the source only: there, type `python3 run.py {verb}`."
        )
        print(sentence, file=sys.stderr)
        return 2
    return _run([sys.executable, str(root / "run.py"), verb, *rest])


if __name__ == "__main__":
    sys.exit(main())
