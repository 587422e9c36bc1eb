"""What a server can be told, with units and what each tunable costs."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from rtc.secret import Secret
from server_lite.caps import Rate
from server_lite.load import LoadMarks

MEMBER_PICTURES = Rate(bits=8_000_000, packets=2_000)
MEMBER_SOUND = Rate(bits=320_000, packets=250)


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of one server process."""

    host: str = "0.0.0.0"
    port: int = 8443  # TCP; 0 takes any free one
    udp_port: int = 0  # media; 0 takes any free one
    forwarding: Literal["auto", "native", "python"] = "auto"  # the forwarding plane (docs/fanout.md)
    #: Processes that carry media, on one address. More use more cores; 0 and 1 are this process.
    workers: int = 0
    advertise: tuple[str, ...] = ()  # addresses told to clients; empty: those of this machine
    owner_key: Secret = field(default_factory=lambda: Secret.random(24))  # right to open meetings
    state_file: Path | None = None  # remembers rooms and tokens over a restart

    #: Members of one room. More need more CPU per packet: everyone gets everyone's packets.
    max_members: int = 100
    #: Members of one room whose camera or screen is published. More need more of everybody's line and CPU.
    max_publishers: int = 100
    #: Members of all rooms together. More need memory, some 0.3 MB each, and files.
    max_members_of_all: int = 1000
    #: When one more is opened, the one that is empty for longest goes; with nobody gone it is refused.
    max_rooms: int = 200
    #: WebSockets of one address. A company behind one NAT needs many; a flood costs about 50 kB each.
    max_connections_per_address: int = 300
    max_connections: int = 3000
    #: Seconds from connecting to a valid hello. Longer helps slow phones; shorter frees half-open sockets.
    hello_timeout_s: float = 10.0
    #: Seconds a lost member's place is kept. Together with the ping below it must stay under 10 s,
    #: since a dead tile should be gone by then; longer rides out longer network cuts.
    lost_grace_s: float = 4.0
    ping_interval_s: float = 3.0
    ping_timeout_s: float = 2.5
    #: Messages per second of one member, and the burst. Renegotiation in a join storm needs a burst.
    message_rate: float = 20.0
    message_burst: float = 100.0
    #: Messages waiting to be read by a slow client before it is cut off. More rides out longer pauses and
    #: costs memory: up to some 50 kB each in a large room.
    max_send_queue: int = 512
    #: Bit/s that a sender of video is told it may use, until the estimator decides.
    video_bitrate_cap: int = 2_500_000
    #: What one member may send before it is paused (server_lite/caps.py). Three layers of a camera and a
    #: share need some 5 Mbit/s and 700 packets a second; higher lets one member take more of the server's
    #: line. Sound is below 100 kbit/s and at most 100 packets a second, RED included.
    member_pictures: Rate = MEMBER_PICTURES
    member_sound: Rate = MEMBER_SOUND
    #: Bit/s of all pictures that come into one room. Higher lets one room take more from the others.
    room_pictures: int = 250_000_000
    #: Cameras that are sent in one room: those of the last who spoke. More costs n packets of each receiver.
    last_n: int = 25
    #: When to leave out pictures, and then to refuse new meetings.
    load: LoadMarks = field(default_factory=LoadMarks)
    #: Seconds that meetings may go on after a first SIGTERM; 0 stops at once. Longer disturbs fewer people
    #: and makes an update wait.
    drain_s: float = 0.0
    #: Seconds before the end at which members are told. Longer warns sooner, also of an end that the meeting
    #: would not have lived to see.
    drain_notice_s: float = 60.0
