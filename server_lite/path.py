"""One member's path as the router sees it: what comes over it, what goes, and how much it can take. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from rtc.congestion import SendSideEstimator
from rtc.fanout import ExtensionIds, Fanout, SentPacket
from rtc.fanout_peer import Bucket
from rtc.observation import Attention
from rtc.rtcp import ReportBlock
from rtc.transport_feedback import FeedbackRecorder
from server_lite import rtcp_out
from server_lite.allocation import Allocation, Allocator
from server_lite.caps import Came, MemberCap
from server_lite.consumer import Consumer
from server_lite.ladder import Wish
from server_lite.layer import Layer
from server_lite.repairs import RepairBudget

#: bit/s that a path is believed to take at first. Higher shows sharp pictures sooner and floods slow paths
#: for a second; lower begins with thumbnails until probes have shown more.
START_RATE: Final = 2_000_000
#: Never believed to take less (thumbnails and sound), or more (100 pictures do not need it).
MIN_RATE: Final = 60_000
MAX_RATE: Final = 40_000_000
#: bit/s for a peer that neither feeds back nor says what it can take: what a local network carries with ease.
UNKNOWN_RATE: Final = 20_000_000
#: Datagrams of RTCP a second from one member, and as many at once, that are read. A browser that shows 25
#: pictures over a bad path sends some 60. Higher lets one member cost more, lower loses requests for repair.
RTCP_PER_SECOND: Final = 200
#: Microseconds between two looks at the estimate. Shorter probes in finer steps and costs CPU per member.
ESTIMATE_US: Final = 50_000
#: The same where nothing limits. Longer costs less, and sees later that more is wanted than ever was sent.
CALM_US: Final = 1_000_000
#: Microseconds by which a look may come before its time: loops wake a little early, and to wait for the next
#: tick would be late.
EARLY_US: Final = 5_000
#: Probes go beyond what is wanted by this factor, since who is to get more must be able to take more than
#: that (allocation.MARGIN, and SURE after a mistake: DOUBTED). Lower ends with an estimate that is enough and
#: a picture that stays low; higher probes paths on which all is well.
PROBED: Final = 1.2
DOUBTED: Final = 1.4
#: Microseconds without feedback after which it is looked up whether any is due. Shorter costs CPU.
UNHEARD_US: Final = 700_000
#: bit/s tried, and at which packets leave, for TRIAL_US microseconds where no picture flows that could be
#: repeated as a probe: the lowest layer is one itself. After TRIAL_WAIT_US the next time, and twice as long
#: each time up to TRIAL_MAX_WAIT_US. More and sooner is back sooner, and disturbs the sound of paths that
#: carry no picture.
TRIAL_RATE: Final = 300_000
TRIAL_PACE: Final = 450_000
TRIAL_US: Final = 1_500_000
TRIAL_WAIT_US: Final = 2_000_000
TRIAL_MAX_WAIT_US: Final = 8_000_000
#: Microseconds for which pictures wait at most while probes show more and more. Longer is later sharp,
#: shorter goes up in several steps.
CLIMB_US: Final = 1_000_000
#: Microseconds over which is measured what flows to a peer that sends REMB. Longer is calmer and later.
COUNTED_US: Final = 400_000
#: Numbers behind the last acknowledged one that are looked at for it: some never left, or wait.
LOOK_AHEAD: Final = 64
#: Microseconds taken for a round trip that was not measured, and at most.
USUAL_ROUND_TRIP: Final = 100_000
MAX_ROUND_TRIP: Final = 500_000
_NOTHING = [0, 0, 0, 0]


class Downlink:
    """How much may be sent to one member, and how it is spread in time."""

    def __init__(self, plane: Fanout, peer: int) -> None:
        self._plane, self._peer = plane, peer
        self.estimator = SendSideEstimator(START_RATE, MIN_RATE, MAX_RATE)
        #: Whether nothing limits what is sent, as far as is known: then it is looked at rarely.
        self.calm = True
        self._agreed = False  # on feedback for each packet
        self._capped = False  # a REMB came
        self._pace = self._wanted = 0
        self._attention = Attention()
        self._heard = 0  # microseconds: the last feedback
        self._counted, self._flowing = (0, 0), 0  # when, octets; bit/s between the last two
        self._repairs = RepairBudget()
        self._climbs_since: int | None = None
        self._trial_until = self._next_trial = 0  # microseconds
        self._trial_wait = TRIAL_WAIT_US
        self._next = 0  # the first transport-wide number that no feedback told of

    @property
    def agreed(self) -> bool:
        """Whether the member tells of each packet."""
        return self._agreed

    @agreed.setter
    def agreed(self, agreed: bool) -> None:
        if agreed and not self._agreed:
            self._attention = Attention()
            self._plane.listen(self._peer, self._attention)
            self.calm = False
        self._agreed = agreed

    @property
    def budget(self) -> float:
        """bit/s of RTP that may be sent."""
        if not self.agreed and not self._capped:
            return float(UNKNOWN_RATE)
        trial = TRIAL_RATE if self._trial_until else 0
        return float(max(self.estimator.lasting, trial))

    def holds(self, now: int) -> bool:
        """Nothing is to be added just now: a queue stands before the path, or probes are about to show what
        it carries. Each step on the way would cost the sender a key frame, and everybody who watches it."""
        if not self.agreed:
            return False
        if not self.estimator.climbing:
            self._climbs_since = None
        elif self._climbs_since is None:
            self._climbs_since = now
        climbs = self._climbs_since is not None and now - self._climbs_since < CLIMB_US
        return climbs or self.estimator.draining

    @property
    def round_trip(self) -> int:
        """Microseconds, at most MAX_ROUND_TRIP; guessed where it is not known."""
        return min(self.estimator.rtt or USUAL_ROUND_TRIP, MAX_ROUND_TRIP)

    @property
    def again_after(self) -> int:
        """Microseconds after which a repair that was sent is taken for lost."""
        return self.round_trip if self.agreed else 0

    def repairs(self, asked: int, used: float, now: int) -> int:
        """How many of `asked` packets may be sent again; `used` bit/s go to media."""
        if not self.agreed:
            return asked  # nobody knows; the plane has a limit of its own
        return self._repairs.take(asked, self.estimator.lasting, used, now)

    def heard(self, now: int) -> None:
        """Looks at what feedback told. Ignored where it was not agreed on: then packets bear no numbers."""
        seen = self._plane.observe(self._peer, now)
        if not self._agreed or not seen.news:
            return
        self._heard, self._next = now, seen.highest + 1 & 0xFFFF
        self.estimator.observed(seen, now)
        self._attend()

    def _attend(self) -> None:
        attention = self.estimator.attention(self._wanted)
        if attention != self._attention:
            self._attention = attention
            self._plane.listen(self._peer, attention)
        self.calm = attention.patience > 0

    def reported(self, blocks: Iterable[ReportBlock], streams: Mapping[int, Consumer], now: int) -> None:
        """Receiver reports tell the loss of peers that do not feed back."""
        if self.agreed:
            return
        lost = [block.fraction_lost for block in blocks if block.ssrc in streams]
        if lost:
            self.estimator.receiver_report(max(lost) / 256, None, now)

    def remb(self, bitrate: int, streams: Iterable[Consumer], now: int) -> None:
        """What the receiver of `streams` says that it can take."""
        if self.agreed:
            self.estimator.remb(bitrate, now)
            return
        self._capped, self.calm = True, False
        since, before = self._counted
        if now - since >= COUNTED_US:
            octets = sum(self._plane.destination_state(stream.destination).octets for stream in streams)
            self._flowing = (
                (octets - before) * 8_000_000 // (now - since) if since and octets >= before else 0
            )
            self._counted = now, octets
        self.estimator.remb(bitrate, now, self._flowing)

    def tick(self, wanted: float, now: int, *, doubted: bool = False) -> None:
        """Paces, and probes where more than the estimate is `wanted` (bit/s). `doubted`: as much was given
        before, in vain."""
        if not self.agreed:
            return
        self._watch(now)
        estimator, self._wanted = self.estimator, int(wanted * (DOUBTED if doubted else PROBED))
        estimator.tick(now)
        probe = estimator.probe(now, self._wanted)
        pace = estimator.pacing_rate  # while a probe is being sent, that of the probe
        if self._trial_until and not estimator.draining:
            pace = max(pace, TRIAL_PACE // 8)
        if pace != self._pace:
            self._pace = pace
            self._plane.set_pace(self._peer, pace)
        if self._trial_until and now >= self._trial_until:
            self._trial_until = 0
        self._attend()
        if probe is None:
            return
        if self._plane.probe(self._peer, probe.size, probe.cluster, now):
            if not self._trial_until:
                self._trial_wait = TRIAL_WAIT_US
            return
        estimator.unsent(now)
        self._attend()
        if now >= self._next_trial:
            self._trial_until, self._next_trial = now + TRIAL_US, now + self._trial_wait
            self._trial_wait = min(2 * self._trial_wait, TRIAL_MAX_WAIT_US)

    def dump(self) -> dict[str, object]:
        return {"fed_back": self._heard > 0, "budget": round(self.budget), **self.estimator.dump()}

    def _sent(self, first: int, count: int) -> list[SentPacket | None]:
        return self._plane.sent(self._peer, first, count)

    def _watch(self, now: int) -> None:
        """Tells the estimator of packets that nobody has acknowledged, so that it notices a silent path."""
        if now - self._heard < UNHEARD_US:
            return
        self.heard(now)  # nobody is woken for what comes while all is well
        if self._heard == now:
            return
        left = next((packet for packet in self._sent(self._next, LOOK_AHEAD) if packet is not None), None)
        if left is not None:
            self.estimator.sent(left.time)


class Path:
    """The streams of `member` over `peer` of the plane."""

    def __init__(
        self, member: str, plane: Fanout, peer: int, extensions: ExtensionIds, cap: MemberCap
    ) -> None:
        self.member, self.plane, self.peer = member, plane, peer
        self.extensions = extensions
        self.came = [0, 0, 0, 0]  # as in caps.Came, since the last measure
        self.pictures_until = self.sound_until = (
            0  # microseconds; sends too much, nothing is forwarded until then
        )
        self.waits_for_room = False  # the room gets too much, and this member sends the most
        self.pauses = 0  # how often it sent too much
        self._cap, self._pictures_in, self._held = cap, 0, False
        self.consumers: dict[str, Consumer] = {}  # by mid
        self.by_ssrc: dict[int, Consumer] = {}  # by the SSRC that we send under
        self.voice_sections: dict[str, None] = {}  # mids that carry whoever is loud, in order
        self.layers: dict[int, Layer] = {}  # by the SSRC that the member sends under
        self.reports = Bucket(RTCP_PER_SECOND)
        self.downlink = Downlink(plane, peer)
        self.allocator = Allocator()
        self.sizes: dict[str, int] = {}  # heights in pixels that the member shows, by producer; 0 hidden
        self.main: str | None = None
        self.states: dict[str, tuple[str, str]] = {}  # producer -> what was told of it
        self.wishes: tuple[Wish, ...] = ()
        self.allocation: Allocation | None = None  # as it was carried out
        self.sound = 0  # bit/s set aside for voices
        self.wanted = self.used = 0  # bit/s for all that is asked for, and for what is sent of it
        self.due = True  # something has changed, choose anew
        self.looked = self.chosen = self.fed_back = 0  # microseconds
        self._recorder = FeedbackRecorder(rtcp_out.OWN_SSRC)
        plane.set_extensions(peer, extensions)
        self.downlink.agreed = bool(extensions.transport_wide)

    def set_extensions(self, extensions: ExtensionIds) -> None:
        if extensions != self.extensions:
            self.extensions = extensions
            self.plane.set_extensions(self.peer, extensions)
            self.downlink.agreed = bool(extensions.transport_wide)

    def hold_to_cap(self, now: int) -> bool:
        """Counts what came since the last time; True where a pause of pictures has just ended."""
        if self.came == _NOTHING and not self._held:
            return False
        came = Came(*self.came)
        self._pictures_in += came.other_octets
        self.came = [0, 0, 0, 0]
        paused = self._cap.measure(came, now / 1e6)
        self.pictures_until, self.sound_until = int(paused.pictures * 1e6), int(paused.sound * 1e6)
        before, self._held = self._held, self.pictures_until > now
        self.pauses += self._held and not before
        return before and not self._held

    @property
    def flowing(self) -> float:
        """bit/s of the layers that go to the member, as they are just now."""
        layers = [c.current for c in self.consumers.values() if c.plan.kind == "video"]
        return self.sound + sum(layer.rate for layer in layers if layer is not None)

    def pictures_in(self) -> int:
        """Octets of pictures since the last time that was asked."""
        octets, self._pictures_in = self._pictures_in, 0
        return octets

    def feed_back(self, now: int) -> int:
        """Tells the member how its packets arrive; returns how many packets that took."""
        if not self.extensions.transport_wide or not self.layers:
            return 0
        self._recorder.arrived(self.plane.arrivals(self.peer))
        ssrc = next(iter(self.layers))
        packets = self._recorder.build(ssrc, now)
        for packet in packets:
            self.plane.send_rtcp(self.peer, packet.serialize(), now)
        return len(packets)

    def dump(self) -> dict[str, object]:
        return {"member": self.member, "wanted": round(self.wanted), **self.downlink.dump()}
