"""The report of a demo, pure: one entry a member, the server's counters, and whether the meeting was good."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from client.app.figures import summary

#: What a member's own report gives of its entry; `name`, `kind` and `cpu_seconds` come from the demo.
MEMBER_FIELDS = (
    "frames_received",
    "frames_shown",
    "distinct_pictures",
    "audio_packets",
    "audio_level_dbfs",
    "join_to_first_frame_ms",
    "glass_to_glass_ms",
)
#: The server's counters in `/metrics`, by their name in the report.
SERVER_COUNTERS = {
    "packets_in": "hearth_packets_in_total",
    "packets_out": "hearth_packets_out_total",
    "decoders_opened": "hearth_decoders_opened_total",
}

#: What the window does not see itself: its call counts it.
_COUNTED_BY_CALL = ("frames_received", "audio_packets", "audio_level_dbfs", "join_to_first_frame_ms")

_SAMPLE = re.compile(r"(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)(\{[^}]*\})?\s+(?P<value>[0-9.eE+-]+)\s*")


@dataclass(frozen=True, slots=True)
class Person:
    """A member as the demo planned it: `identity` is the mark painted into all its pictures."""

    name: str
    kind: str  # "desktop" or "simulated"
    identity: int
    speaks: bool = True  # whether the others must have heard something of it


def parse_metrics(text: str) -> dict[str, float]:
    """Prometheus text to sums by name: samples that differ by labels alone are added up."""
    sums: dict[str, float] = {}
    for line in text.splitlines():
        if match := _SAMPLE.fullmatch(line):
            sums[match["name"]] = sums.get(match["name"], 0.0) + float(match["value"])
    return sums


def server_entry(metrics: Mapping[str, float], cpu_seconds: float, rss_bytes: int) -> dict[str, Any]:
    """The report's "server". A counter that the server does not have is null, never a made-up 0."""
    counters = {name: metrics.get(metric) for name, metric in SERVER_COUNTERS.items()}
    entry: dict[str, Any] = {name: None if value is None else int(value) for name, value in counters.items()}
    return {**entry, "cpu_seconds": cpu_seconds, "rss_bytes": rss_bytes}


def member_entry(person: Person, own: Mapping[str, Any], cpu_seconds: float) -> dict[str, Any]:
    """One entry of the report's "members", from the member's own report."""
    entry = {name: own.get(name) for name in MEMBER_FIELDS}
    return {"name": person.name, "kind": person.kind, **entry, "cpu_seconds": cpu_seconds}


def window_report(stats: Mapping[str, Any], me: str = "me") -> dict[str, Any]:
    """What the window wrote with --stats, in the form of a member's own report (`figures.summary`)."""
    heard = stats.get("call", {}).get("members", {})
    sources = []
    for tile in stats["members"]:
        if tile["id"] != me:
            counted = heard.get(tile["id"], {})
            fields = {name: counted.get(name) for name in _COUNTED_BY_CALL}
            sources.append({**tile, **fields, "identities": tile["marks"]})
    report = summary("", sources, ())
    return {
        **report,
        "glass_to_glass_ms": {name: stats["glass_to_glass_ms"][name] for name in ("p50", "p99")},
    }


def failures(people: Sequence[Person], reports: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """A sentence for everything that a good meeting does not have; empty when all went well."""
    found = []
    for person in people:
        own = reports.get(person.name)
        if own is None:
            found.append(f"{person.name} gave no report: its program ended too early.")
            continue
        if own.get("problem"):
            found.append(f"{person.name}: {own['problem']}")
        sources = {source.get("name"): source for source in own.get("sources", ())}
        for other in people:
            if other is not person:
                found += _tile_failures(person, other, sources.get(other.name))
    return found


def _tile_failures(person: Person, other: Person, source: Mapping[str, Any] | None) -> list[str]:
    where = f"{person.name}'s tile of {other.name}"
    if source is None or not source.get("frames_shown"):
        return [f"No picture was shown in {where}."]
    found = []
    strange = sorted(set(source.get("identities", {})) - {str(other.identity)})
    if strange:
        found.append(f"{where} showed pictures of somebody else (mark {', '.join(strange)}).")
    if not source.get("identities", {}).get(str(other.identity)):
        shown = source["frames_shown"]
        found.append(f"No mark of {other.name} could be read in the {shown} pictures shown in {where}.")
    if other.speaks and not source.get("audio_packets"):
        found.append(f"{person.name} heard no sound of {other.name}.")
    return found


_HEADER = ("member", "pictures", "per second", "sound", "first", "delay p50", "p99", "CPU")


def summary_table(report: Mapping[str, Any]) -> str:
    """The report for people: one line a member and one for the server."""
    rows = [_HEADER, *(_cells(member, report["seconds"]) for member in report["members"])]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADER))]
    lines = [
        "  ".join([row[0].ljust(widths[0])] + [row[i].rjust(widths[i]) for i in range(1, len(widths))])
        for row in rows
    ]
    server = report["server"]
    lines.append(
        f"server: {_text(server['packets_in'])} packets in, {_text(server['packets_out'])} out, "
        f"{_text(server['decoders_opened'])} decoders opened, {_text(server['cpu_seconds'], ' s')} of CPU, "
        f"{server['rss_bytes'] / 1e6:.0f} MB"
    )
    return "\n".join(lines)


def _cells(member: Mapping[str, Any], seconds: float) -> tuple[str, ...]:
    shown = member["frames_shown"]
    delay = member["glass_to_glass_ms"] or {}
    return (
        member["name"],
        _text(shown),
        _text(None if shown is None or not seconds else shown / seconds),
        _text(member["audio_level_dbfs"], " dB"),
        _text(member["join_to_first_frame_ms"], " ms"),
        _text(delay.get("p50"), " ms"),
        _text(delay.get("p99"), " ms"),
        _text(member["cpu_seconds"], " s"),
    )


def _text(value: float | None, unit: str = "") -> str:
    return "-" if value is None else f"{value:.0f}{unit}"
