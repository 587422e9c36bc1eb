"""The verbs of `run.py` and of the console command `hearth`, in one table.

Standard library only: `run.py` reads it with the system's Python, before anything is installed.
"""

from __future__ import annotations

#: What each verb runs with `python -m`.
MODULES: dict[str, str] = {
    "desktop": "client.app.desktop",
    "serve": "server_lite",
    "demo": "client.app.demo",
    "bench": "bench",
    "doctor": "client.app.doctor",
}

#: Each verb with its one line of help, in the order shown.
HELP: dict[str, str] = {
    "": "open the desktop program (without a display: serve)",
    "serve": "the server alone; shows the invitation as a link and a QR code",
    "demo": "a meeting to look at: the desktop program and three simulated members",
    "test": "all checks and tests; further arguments go to pytest",
    "bench NAME": "measure, for example: bench first-call",
    "doctor": "check libraries, devices, GPU, network and ports; says what to do",
}

NO_DISPLAY = (
    "No display answers here, so the server is started instead: open its link on a machine that has one."
)


def usage(program: str) -> str:
    """The text of `--help`."""
    lines = [f"usage: {program} [verb] [arguments]", ""]
    lines += [f"  {program + ' ' + verb:<{len(program) + 12}}  {text}" for verb, text in HELP.items()]
    lines += ["", f"`{program} VERB --help` lists the arguments of a verb."]
    return "\n".join(lines)


def unknown(verb: str, program: str) -> str:
    """The sentence for a verb that does not exist."""
    known = ", ".join(word.split()[0] for word in HELP if word)
    return f'There is no verb "{verb}"; use one of {known}, or `{program} --help`.'


def split_verb(arguments: list[str]) -> tuple[str, list[str]]:
    """(verb, its arguments); no verb, or an option first, means the desktop program."""
    if not arguments or arguments[0].startswith("-"):
        return "desktop", arguments
    return arguments[0], arguments[1:]
