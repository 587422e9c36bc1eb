"""The verbs of run.py: see that everything is there, then hand over to the program itself."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from bootstrap import checks, kernel, system
from bootstrap.environment import Environment
from bootstrap.installer import SetupError
from bootstrap.progress import complain, say
from client.app import launch
from client.app.display import display_problem

PROGRAM = "python3 run.py"


def main(arguments: list[str], root: str) -> int:
    """Exit code: 0 well, 1 set-up failed, 2 wrong use, 3 the system lacks something, 130 interrupted."""
    verb, rest = launch.split_verb(arguments)
    if verb == "desktop" and rest[:1] in (["-h"], ["--help"]):
        say(launch.usage(PROGRAM))
        return 0
    if verb != "test" and verb not in launch.MODULES:
        complain(launch.unknown(verb, PROGRAM))
        return 2
    display = not display_problem(os.environ)
    if verb == "desktop" and not display:
        say(launch.NO_DISPLAY)
        verb, rest = "serve", []
    try:
        return start(verb, rest, Path(root), display)
    except system.LackingError as error:
        complain(str(error))
        return system.LACKING
    except SetupError as error:
        complain(str(error))
        return 1
    except KeyboardInterrupt:
        complain("\nInterrupted. Start again when you like; what was fetched is kept.")
        return 130


def start(verb: str, arguments: list[str], root: Path, display: bool) -> int:
    """Set up what `verb` needs and run it; does not return where the process can be replaced."""
    environment = Environment.of(root)
    if verb == "doctor":
        # The doctor must speak even where set-up cannot work, so it changes nothing.
        python = environment.python if environment.python.exists() else Path(sys.executable)
        return hand_over(python, verb, arguments, root)
    layers = ("app", "test") if verb == "test" else ("app",)
    system.provide(verb, display=display, environment_ready=environment.ready(("app",)))
    environment.prepare(layers)
    kernel.provide(environment, verb)
    if verb == "test":
        return checks.run_checks(root, environment.python, surroundings(root), arguments)
    return hand_over(environment.python, verb, arguments, root)


def surroundings(root: Path) -> dict[str, str]:
    """The environment of the program: our rooms can be imported, a person's own Python settings cannot."""
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONHOME", "VIRTUAL_ENV")}
    return {**kept, "PYTHONPATH": str(root)}


def hand_over(python: Path, verb: str, arguments: list[str], root: Path) -> int:
    """Become the program (on Windows: run it and pass its exit code on)."""
    command = [str(python), "-P", "-m", launch.MODULES[verb], *arguments]
    sys.stdout.flush()
    if os.name != "nt":
        os.execve(command[0], command, surroundings(root))
    return subprocess.run(command, env=surroundings(root)).returncode
