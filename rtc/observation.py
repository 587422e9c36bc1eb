"""What is known of a path from the feedback of its other end, and how closely it is listened to.

The forwarding plane gathers it for each peer (`Fanout.observe`), so that an estimator looks at all feedback
of half a second at once while the path is calm, and at each piece while it is not. Times are microseconds,
rates bit/s.
"""

from __future__ import annotations

from enum import Enum
from struct import Struct
from typing import Final, NamedTuple

#: Packets that arrived while a probe was under way which are kept until they are looked at; a probe has some
#: hundred at most. Less measures the largest probes by their beginning.
KEPT_RECEIVED: Final = 2048
#: Pieces of feedback a second, and at once, that are looked at: a receiver that sends more costs no more.
FEEDBACKS_PER_SECOND: Final = 100
#: No delay is as long.
NEVER: Final = 1 << 62


class Usage(Enum):
    """What the delay says of the path."""

    NORMAL = "normal"
    OVER = "over"
    UNDER = "under"


#: In the order of the kernel's numbers.
USAGES: Final = (Usage.NORMAL, Usage.OVER, Usage.UNDER)


class Received(NamedTuple):
    """A packet that arrived. Times in microseconds: sent by our clock, arrived by the receiver's."""

    sent: int
    arrived: int
    size: int  # bytes
    cluster: int  # of a probe, 0 for ordinary packets


class Attention(NamedTuple):
    """When feedback of a peer is to be looked at.

    At once: where a queue grows, a delay is over `alarm`, a packet was lost, or `cluster` is a probe under
    way (whose packets are kept then). Else at the first feedback after `patience` microseconds. What was sent
    from `covered_from` to `covered_until` tells nothing of the path: its delay is the probe's doing.
    """

    patience: int = 0
    alarm: int = NEVER
    cluster: int = 0
    covered_from: int = 0
    covered_until: int = -1


class Observation(NamedTuple):
    """What feedback told since the last look. One-way delays are the receiver's clock less ours."""

    news: int  # packets of which something new was told; where it is 0 the rest is as it was
    received: int  # packets
    lost: int  # packets, told early enough that they will not come any more
    highest: int  # number of the last packet that was told of, counted on through wraps; -1 none
    shortest: int | None  # one-way delay of the last feedback
    least: int | None  # the shortest of all
    round_trip: int | None  # smoothed
    through: int | None  # bit/s that came through over half a second, None where unknown
    recent: int | None  # the same over the shortest time that says anything
    jumps: int  # of the receiver's clock, ever
    trend: float  # milliseconds, as in Trendline
    threshold: float
    usage: Usage
    jumped: bool
    packets: tuple[Received, ...]  # from the first one of the probe on


#: How the kernel lays out an observation (counts, times and rates; trend and threshold; usage, jumped and the
#: count of packets; -1 for what is not known, and whether there is a delay) and a received packet.
OBSERVATION: Final = Struct("<10q2d4i")
RECEIVED: Final = Struct("<qqiI")
