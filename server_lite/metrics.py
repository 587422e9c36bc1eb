"""Counts of one server as Prometheus text (exposition format 0.0.4). No labels by room or person."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from server_lite.load import LoadManager
from server_lite.media_host import PortCounts
from server_lite.meetings import Meetings


@dataclass(slots=True)
class Tally:
    """What is counted outside of rooms."""

    messages: int = 0
    refusals: Counter[str] = field(default_factory=Counter)
    slow_readers: int = 0
    connections_refused: int = 0
    #: Decoders this process opened. The server forwards; anything but 0 is a defect.
    decoders_opened: int = 0


def render(tally: Tally, port: PortCounts, all_meetings: Meetings, load: LoadManager) -> str:
    """The text of /metrics; counts of rooms that are gone stay in it."""
    meetings = list(all_meetings)
    snapshots = [meeting.media.snapshot() for meeting in meetings]
    all_counters = [all_meetings.ended, *(s.counters for s in snapshots)]
    lines: list[str] = []

    def metric(name: str, kind: str, meaning: str, *values: tuple[str, float]) -> None:
        lines.append(f"# HELP hearth_{name} {meaning}")
        lines.append(f"# TYPE hearth_{name} {kind}")
        lines.extend(f"hearth_{name}{labels} {value:.15g}" for labels, value in values)

    def total(field_name: str) -> float:
        return float(sum(getattr(c, field_name) for c in all_counters))

    metric("rooms", "gauge", "Rooms that exist.", ("", len(meetings)))
    metric(
        "members", "gauge", "Members with a connection.", ("", sum(m.connected_members() for m in meetings))
    )
    metric("draining", "gauge", "1 while the server waits for its end.", ("", all_meetings.draining))
    sample = load.sample
    metric("load_packets_per_second", "gauge", "Datagrams in and out.", ("", round(sample.packets)))
    metric("load_bits_per_second", "gauge", "Bits in and out.", ("", round(sample.bits)))
    metric(
        "load_delay_seconds", "gauge", "How late the event loop is.", ("", round(sample.delay_ms / 1000, 4))
    )
    metric("load_cores", "gauge", "Cores that the process uses.", ("", round(sample.cores, 3)))
    metric("load_step", "gauge", "Steps in force that leave out pictures; 0 none.", ("", load.step))
    metric("load_sheds_total", "counter", "Steps taken under load.", ("", load.sheds))
    metric("load_recoveries_total", "counter", "Steps taken back.", ("", load.recoveries))
    for name, meaning in _ROUTER_COUNTERS.items():
        metric(f"{name}_total", "counter", meaning, ("", total(name)))
    metric(
        "decoders_opened_total",
        "counter",
        "Decoders opened; forwarding opens none.",
        ("", tally.decoders_opened),
    )
    metric("messages_total", "counter", "Signalling messages read.", ("", tally.messages))
    metric(
        "slow_readers_total", "counter", "Connections cut for reading too slowly.", ("", tally.slow_readers)
    )
    metric(
        "connections_refused_total", "counter", "Sockets beyond the limits.", ("", tally.connections_refused)
    )
    refusals = [(f'{{code="{code}"}}', float(n)) for code, n in sorted(tally.refusals.items())]
    metric("refusals_total", "counter", "Messages refused, by code.", *refusals)
    dropped = [(f'{{reason="{reason}"}}', float(n)) for reason, n in sorted(port.dropped.items())]
    metric("datagrams_dropped_total", "counter", "Datagrams dropped, by reason.", *dropped)
    metric("packets_out_total", "counter", "RTP packets sent to receivers.", ("", port.forwarded))
    metric("bytes_out_total", "counter", "Bytes of all datagrams sent.", ("", port.octets_out))
    metric("datagrams_in_total", "counter", "Datagrams received.", ("", port.packets_in))
    metric("datagrams_out_total", "counter", "Datagrams sent.", ("", port.packets_out))
    return "\n".join(lines) + "\n"


_ROUTER_COUNTERS = {
    "packets_in": "Decrypted RTP and RTCP packets received.",
    "bytes_in": "Bytes of packets received.",
    "malformed": "Packets that could not be parsed.",
    "rtcp_over_limit": "Datagrams of RTCP of members who sent too many, dropped unread.",
    "unknown_stream": "Packets of no agreed stream.",
    "muted": "Packets of muted sources, dropped.",
    "not_loudest": "Packets of sound in large rooms, dropped because others were louder.",
    "over_cap": "Packets of members who sent too much, dropped.",
    "member_pauses": "Pauses of members who sent too much.",
    "room_pauses": "Pauses of members whose room sent too much.",
    "nacks_sent": "Packets asked for again.",
    "nacks_answered": "Packets sent again.",
    "key_frames_asked": "Key frames asked of senders.",
}
