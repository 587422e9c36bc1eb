"""`python -m bench NAME [--json FILE]`: run one bench, print its table, keep its numbers."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.result import Result, complaints, table, write_json

#: Benches whose `run` takes the names of peers to measure as well.
WITH_PEERS = ("sfu",)
#: name -> (module with `run() -> Result`, what it measures)
BENCHES: dict[str, tuple[str, str]] = {
    "first-call": ("bench.first_call", "a whole call: join time, pixel to pixel, CPU of client and server"),
    "packets": ("bench.packets", "parse, write and rewrite RTP and RTCP packets"),
    "sfu": ("bench.sfu", "CPU of the server per forwarded packet, beside other servers and the floor"),
    "attacks": ("bench.attacks", "what attacks cost the server, and what others notice of them"),
    "media-costs": ("bench.media_costs", "encode, decode, mix and paint, per picture and per sound frame"),
}


def run_bench(name: str, *arguments: Any) -> dict[str, Any]:
    """Run the named bench, with peers and options where it takes them; its JSON form, checked.

    RuntimeError when it does not keep the promised form.
    """
    module = importlib.import_module(BENCHES[name][0])
    outcome = module.run(*arguments)
    result = outcome.to_dict() if isinstance(outcome, Result) else dict(outcome)
    if found := complaints(result):
        raise RuntimeError(f"The bench {name} gave a result in a wrong form: {'; '.join(found)}.")
    return result


def main(argv: Sequence[str] | None = None, benches: Mapping[str, tuple[str, str]] = BENCHES) -> int:
    """Run one bench by name; without a name list them."""
    listing = "\n".join(f"  {name:12} {words}" for name, (_, words) in benches.items())
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description=__doc__,
        epilog=f"benches:\n{listing}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", nargs="?", choices=sorted(benches), metavar="NAME")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the numbers to this file")
    parser.add_argument(
        "--peers", metavar="A,B", help="sfu: other servers to measure in turns (default: those installed)"
    )
    parser.add_argument(
        "--minutes", type=float, default=0.0, metavar="M", help="sfu: hold the room of 100 for so long"
    )
    parser.add_argument(
        "--limits", action="store_true", help="sfu: search for the largest room and the most rooms of four"
    )
    options = parser.parse_args(argv)
    if options.name is None:
        print(f"Which bench?\n{listing}")
        return 2
    special = options.peers is not None or options.minutes or options.limits
    if special and options.name not in WITH_PEERS:
        print(f"The bench {options.name} has no peers to choose and no options.", file=sys.stderr)
        return 2
    if not 0 <= options.minutes <= 60:
        print("Take 0 to 60 minutes.", file=sys.stderr)
        return 2
    try:
        result = run_bench(options.name, *(_sfu_arguments(options) if special else ()))
        print(table(result))
        if options.json is not None:
            write_json(result, options.json)
    except (OSError, RuntimeError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _sfu_arguments(options: argparse.Namespace) -> tuple[list[str] | None, Any]:
    from bench.sfu import Options

    peers = None if options.peers is None else [name for name in options.peers.split(",") if name]
    return peers, Options(options.minutes, options.limits)


if __name__ == "__main__":
    raise SystemExit(main())
