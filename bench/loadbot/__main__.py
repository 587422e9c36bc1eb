"""`python -m bench.loadbot`: fill a meeting with light members and check everything that they get."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.loadbot.crew import run_load
from bench.loadbot.member import LoadError
from bench.loadbot.scenarios import SCENARIOS
from rtc.invitation import Invitation, InvitationError
from rtc.signalling import MAX_STREAMS

#: Members that one call of this program starts at most, and seconds that it lasts at most.
MOST_MEMBERS = 1000
MOST_SECONDS = 3600.0
#: Seconds after a trouble in which it must be mended.
_AFTERWARDS = 6.0


def main(argv: Sequence[str] | None = None) -> int:
    """0 when all is as it should be, 1 with a sentence for each thing that is not, 2 for a wrong command."""
    listing = "\n".join(f"  {name:18} {scenario.words}" for name, scenario in SCENARIOS.items())
    parser = argparse.ArgumentParser(
        prog="python -m bench.loadbot",
        description=__doc__,
        epilog=f"scenarios:\n{listing}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--join", required=True, metavar="LINK", help="the meeting's link or code")
    parser.add_argument("--members", type=int, default=3, metavar="N")
    parser.add_argument(
        "--publishers", type=int, default=None, metavar="M", help="who send; all unless given"
    )
    parser.add_argument("--scenario", choices=sorted(SCENARIOS), default="everybody", metavar="NAME")
    parser.add_argument("--seconds", type=float, default=10.0, metavar="S", help="after all have come in")
    parser.add_argument("--report", type=Path, metavar="FILE", help="write what was found as JSON")
    options = parser.parse_args(argv)
    publishers = options.members if options.publishers is None else options.publishers
    if problem := _problem(options.join, options.members, publishers, options.seconds, options.scenario):
        print(problem, file=sys.stderr)
        return 2
    try:
        report = run_load(options.join, options.members, publishers, options.scenario, options.seconds)
        if options.report is not None:
            options.report.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    except (LoadError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    print(summary(report))
    for sentence in report["complaints"]:
        print(sentence, file=sys.stderr)
    return 1 if report["complaints"] else 0


def summary(report: dict[str, Any]) -> str:
    """Two lines for a person."""
    delay, joins = report["forward_delay_ms"], report["join_ms"]
    troubled = report.get("troubled")
    return (
        f"{report['joined']} of {report['members']} members joined (p99 {joins['p99']} ms); "
        f"{report['streams']['seen']} streams, {report['frames']} frames, {report['packets']} packets, "
        f"{report['lost']} lost\nforward delay: p50 {delay['p50']} ms, p99 {delay['p99']} ms; "
        f"{report['cpu_us_per_packet']} us of our CPU a packet"
        + (
            ""
            if troubled is None
            else f"\nwith trouble: {troubled['lost']} lost, {troubled['repaired']} repaired, "
        )
        + ("" if troubled is None else f"longest gap {troubled['longest_gap_ms']:.0f} ms")
    )


def _problem(link: str, members: int, publishers: int, seconds: float, scenario: str) -> str:
    try:
        Invitation.parse(link)
    except InvitationError as error:
        return str(error)
    if not 1 <= members <= MOST_MEMBERS or not 0 <= publishers <= members:
        return f"Take 1 to {MOST_MEMBERS} members, and no more publishers than members."
    if not 0 < seconds <= MOST_SECONDS:
        return f"Take more than 0 and at most {MOST_SECONDS:.0f} seconds."
    chosen = SCENARIOS[scenario]
    if chosen.sections(publishers) > MAX_STREAMS - 2:
        return (
            f"With {publishers} publishers a member would receive {chosen.sections(publishers)} streams, and "
            f"it can receive {MAX_STREAMS - 2} at most: take fewer, or the scenario conference."
        )
    if chosen.trouble is not None:
        least = max(t for t in (chosen.trouble.begin, chosen.trouble.end) if t < MOST_SECONDS) + _AFTERWARDS
        if seconds < least:
            return f"The scenario {scenario} takes {least:.0f} seconds at least."
        if members < 2:
            return f"The scenario {scenario} takes 2 members at least."
    return ""


if __name__ == "__main__":
    raise SystemExit(main())
