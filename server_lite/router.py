"""The media of one room: who sends what, and who gets it. Pure: time comes in, and the forwarding plane
does it.

`handle_packet(record, index, now)` decides about one packet of the plane's batch, `handle_rtcp` about what
members report, `tick` about what time brings. Media is forwarded and never decoded. Times are monotonic
microseconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from rtc.errors import PacketError
from rtc.fanout import DROP, FORWARD, ExtensionIds, Fanout, Flag, Record
from server_lite import rtcp_out
from server_lite.caps import MemberCap
from server_lite.choosing import Chooser
from server_lite.config import Settings
from server_lite.consumer import Consumer
from server_lite.holder import Holder
from server_lite.ladder import Caps
from server_lite.layer import Layer
from server_lite.loudest import LoudestVoices
from server_lite.negotiation import ConsumerPlan, ProducerPlan
from server_lite.observers import ActiveSpeaker, Counters, Tap
from server_lite.path import CALM_US, EARLY_US, Path
from server_lite.producer import Producer
from server_lite.rtcp_in import RtcpIn
from server_lite.tables import Tables
from server_lite.upstream import Upstream
from server_lite.voices import VOICE, Voices

#: Microseconds between reception reports (RFC 3550 section 6.2 allows less for large sessions), between turns
#: of feedback to each sender, and between measurements of rates. Shorter reacts sooner and costs CPU for each
#: member. Bytes of a datagram around a payload: IP, UDP, RTP with extensions, SRTP.
OVERHEAD_BYTES = 70
#: As plain numbers: these are looked at for every packet.
EMPTY, KEY_START = int(Flag.EMPTY), int(Flag.KEY_START)
PROBE = int(Flag.EMPTY | Flag.REPAIRED)
REPORT_US = 1_000_000
FEEDBACK_US = 100_000
MEASURE_US = 500_000


class Router:
    """Streams of one room. `told(member, {producer: (state, reason)})` hears of pictures that are lowered or
    paused for a receiver, `told_voices(member, {mid: producer})` of voices put into its sections, and
    `hurry()` of something that the next `tick` should not be late for."""

    def __init__(
        self,
        plane: Fanout,
        settings: Settings | None = None,
        told: Callable[[str, Mapping[str, tuple[str, str]]], None] | None = None,
        told_voices: Callable[[str, Mapping[str, str | None]], None] | None = None,
        hurry: Callable[[], None] | None = None,
    ) -> None:
        self.plane = plane
        self.settings = settings or Settings()
        self.tables = Tables(plane)
        self.producers, self.paths, self.layers = self.tables.producers, self.tables.paths, self.tables.layers
        self.speaker = ActiveSpeaker()
        self.loudest = LoudestVoices()
        self.counters = Counters()
        self.chooser = Chooser(self, told)
        self.voices = Voices(self, told_voices)
        self.upstream = Upstream(self, hurry)
        self._rtcp = RtcpIn(self)
        self._holder = Holder(self)
        self._microphones = 0  # sources of sound, muted or not
        self._groups = 0
        self._reported = self._measured = self._refreshed = 0

    # Who is here.

    def set_path(self, member: str, peer: int, extensions: ExtensionIds) -> None:
        """From now on the member's streams run over `peer` of the plane; those on an earlier path end."""
        path = self.paths.get(member)
        if path is not None and path.peer == peer:
            path.set_extensions(extensions)
            return
        self.drop_path(member)
        cap = MemberCap(self.settings.member_sound, self.settings.member_pictures)
        self.paths[member] = Path(member, self.plane, peer, extensions, cap)

    def drop_path(self, member: str) -> None:
        """Nothing flows to or from the member until there is a path again. Its sources stay."""
        path = self.paths.get(member)
        if path is None:
            return
        self.tables.close_consumers(path)
        for producer in self.producers.values():
            if producer.member == member:
                self._close_streams(producer)
        del self.paths[member]

    def add_producer(
        self,
        producer_id: str,
        member: str,
        plan: ProducerPlan,
        *,
        restarted: bool = False,
        share: bool = False,
    ) -> None:
        """A source that `member` sends from now on. The same id again with another plan, or `restarted` on a
        new path, is the same source whose numbers begin anew: its receivers stay."""
        old = self.producers.get(producer_id)
        if old is not None and old.plan == plan and not restarted:
            return
        self._groups += 1
        producer = Producer(producer_id, self.paths[member], plan, self._groups, share=share)
        if old is not None:
            producer.consumers, producer.paused = old.consumers, old.paused
            self._close_streams(old)
        elif producer.kind == "audio":
            self._microphones += 1
        self.producers[producer_id] = producer
        if producer.camera:
            self.chooser.camera_came(member)
        for layer in producer.layers:
            if layer.ssrc:
                self.tables.open_stream(producer.path, layer)
        for consumer in producer.consumers:
            consumer.source = producer
            self.chooser.begin(consumer)

    def remove_producer(self, producer_id: str) -> None:
        """The source ends; its receivers keep their sections, empty."""
        producer = self.producers.pop(producer_id, None)
        if producer is None:
            return
        for consumer in producer.consumers:
            consumer.source = None
            consumer.aim(None)
        self._close_streams(producer)
        if producer.kind == "audio":
            self._microphones -= 1
            self._forget_voice(producer.member)
        elif producer.camera:
            self.chooser.camera_went(producer.member)

    def pause(self, producer_id: str, paused: bool, now: int) -> None:
        """While paused, packets of the source are counted and dropped."""
        producer = self.producers.get(producer_id)
        if producer is None or producer.paused == paused:
            return
        producer.paused = paused
        if producer.camera:
            self.chooser.choose_last_n()
        if paused:
            if producer.kind == "audio":
                self._forget_voice(producer.member)
            return
        for layer in producer.layers:
            if layer.stream >= 0:
                self.plane.restart_stream(layer.stream)
        for consumer in producer.consumers:
            self.chooser.begin(consumer)
        self.upstream.ask_waiting(producer, now)

    def set_consumers(self, member: str, plans: Iterable[ConsumerPlan]) -> None:
        """The sections in which `member` can receive; those not named any more end."""
        path = self.paths.get(member)
        if path is None:
            return
        wanted = {plan.mid: plan for plan in plans}
        for mid in [m for m, c in path.consumers.items() if wanted.get(m) != c.plan]:
            self.tables.detach(path.consumers[mid])
            path.consumers.pop(mid).close()
        for mid, plan in wanted.items():
            if mid not in path.consumers:
                path.consumers[mid] = Consumer(member, plan, self.plane, path.peer)
        path.by_ssrc = {c.plan.ssrc: c for c in path.consumers.values()}

    def show(self, member: str, mid: str, producer: str | None, now: int) -> None:
        """Sends `producer` to `member` in section `mid`; None ends what was sent there.

        An unknown section is ignored. A producer that is gone, or of another kind, shows nothing: what was
        there before would be taken for it.
        """
        path = self.paths.get(member)
        consumer = path.consumers.get(mid) if path is not None else None
        if path is None or consumer is None:
            return
        path.voice_sections.pop(mid, None)
        if producer == VOICE and consumer.plan.kind == "audio":
            path.voice_sections[mid] = None
            self.voices.assign(path)
            return
        source = self.producers.get(producer) if producer is not None else None
        if source is not None and not consumer.takes(source):
            source = None
        if consumer.source is source:
            return
        self.tables.detach(consumer)
        consumer.source = source
        if source is None:
            consumer.aim(None)
            return
        source.consumers.append(consumer)
        self.chooser.begin(consumer)
        self.upstream.ask_waiting(source, now)

    def view(self, member: str, sizes: Mapping[str, int], main: str | None, now: int) -> None:
        """What `member` shows: heights in pixels by producer (0 hidden), and the big picture."""
        path = self.paths.get(member)
        if path is not None:
            path.sizes, path.main = dict(sizes), main
            self.chooser.choose(path, now)

    def wants(self, member: str) -> dict[str, str]:
        """What is sent to `member`: section -> producer."""
        path = self.paths.get(member)
        found = path.consumers.items() if path is not None else ()
        return {mid: c.source.id for mid, c in found if c.source is not None}

    def remove_member(self, member: str) -> None:
        for producer in [p.id for p in self.producers.values() if p.member == member]:
            self.remove_producer(producer)
        self.drop_path(member)
        self._forget_voice(member)

    def tap(self, producer_id: str, tap: Tap) -> Callable[[], None]:
        """An observer gets every packet of the source as it came, whatever receivers get; returns how to end
        it."""
        producer = self.producers[producer_id]
        producer.taps.append(tap)
        return lambda: producer.taps.remove(tap) if tap in producer.taps else None

    # What happens.

    def handle_packet(self, member: str, record: Record, index: int, now: int) -> int:
        """FORWARD or DROP for a packet of `member`. What cannot be used is counted and dropped."""
        self.counters.packets_in += 1
        self.counters.bytes_in += record.size
        layer = self.layers.get(record.stream)
        if layer is None:
            found = self.tables.adopt(member, record, index, now)
            if found is None:
                self.counters.unknown_stream += 1
                return DROP
            layer, record = found
            self._begin_waiting(layer.producer, now)
        flags = record.flags
        producer = layer.producer
        if flags & PROBE == PROBE:  # repairs without content: a test of the path
            return DROP
        layer.received(record, now)
        if layer.nacks is not None and layer.nacks.missing:
            self.upstream.gap(layer)
        if flags & KEY_START:
            layer.key_frame_began(self.plane.packet(index), record.codec, now)
        path = producer.path
        came = path.came
        place = 0 if producer.is_sound else 2
        came[place] += 1
        came[place + 1] += record.size + OVERHEAD_BYTES
        if producer.paused:
            self.counters.muted += 1
            return DROP
        if now < path.sound_until if place == 0 else now < path.pictures_until or path.waits_for_room:
            self.counters.over_cap += 1
            return DROP
        if producer.taps:
            producer.let_see(self.plane.packet(index), record, layer, now)
        if flags & EMPTY:  # padding: the plane closes its gap
            return FORWARD
        if place == 0:
            return self._sound(producer, layer, record, now)
        if layer.waiting:
            self._waiting(layer, record, now)
        return FORWARD

    def handle_rtcp(self, member: str, data: bytes, now: int) -> None:
        """Reports, feedback and requests of `member`. What cannot be read, or is too much, is counted and
        dropped."""
        self.counters.packets_in += 1
        self.counters.bytes_in += len(data)
        path = self.paths.get(member)
        if path is None:
            return
        if not path.reports.take(now):
            self.counters.rtcp_over_limit += 1
            return
        try:
            self._rtcp.handle(path, data, now)
        except PacketError:
            self.counters.malformed += 1

    def handle_feedback(self, member: str, now: int) -> None:
        """There is something in what the plane gathered of the member's transport-wide feedback."""
        path = self.paths.get(member)
        if path is not None:
            path.downlink.heard(now)

    def tick(self, now: int) -> bool:
        """Time passed: repairs and key frames that are due, feedback, estimates, and reports each second;
        whether the rate of any path is being found out."""
        seconds = now / 1e6
        self.upstream.tick(now)
        trying = False
        for path in self.paths.values():
            if path.layers and now - path.fed_back >= FEEDBACK_US - EARLY_US:
                path.fed_back = now
                self.counters.packets_out += path.feed_back(now)
                self._holder.hold(path, now)
            calm = path.downlink.calm or not path.wanted
            trying = trying or not calm
            if path.due or not calm or now - path.looked >= CALM_US:
                self.chooser.tick(path, now)
        if now - self._refreshed >= FEEDBACK_US - EARLY_US:
            self._refreshed = now
            self._refresh(now)
        if now - self._measured >= MEASURE_US:
            elapsed, self._measured = (now - self._measured) / 1e6, now
            for layer in self.layers.values():
                layer.measure(elapsed)
        if now - self._reported >= REPORT_US:
            elapsed, self._reported = (now - self._reported) / 1e6, now
            rtcp_out.report(self, now)
            self._holder.hold_room(elapsed, now)
        if self.speaker.tick(seconds):
            self.chooser.spoke(self.speaker.current)
        return trying

    def limit(self, caps: Caps, last_n: int | None) -> None:
        """What an overloaded server allows."""
        self.chooser.limit(caps, last_n)

    def dump(self) -> dict[str, object]:
        return {
            "producers": [p.dump() for p in self.producers.values()],
            "consumers": [c.dump() for p in self.paths.values() for c in p.consumers.values()],
            "paths": [p.dump() for p in self.paths.values()],
            "speaker": self.speaker.current,
            "voices": sorted(self.loudest.chosen),
        }

    # Packets.

    def _sound(self, producer: Producer, layer: Layer, record: Record, now: int) -> int:
        if record.level == 255:  # a sender that does not say how loud it is is always forwarded
            return FORWARD
        seconds = now / 1e6
        self.speaker.heard(producer.member, record.level, seconds)
        if not self.loudest.passes(producer.member, record.level, self._microphones, seconds):
            self.counters.not_loudest += 1
            producer.held_back = True
            return DROP
        self.voices.follow()
        if producer.held_back:  # as after a mute: once, not for each packet that was left out
            producer.held_back = False
            self.plane.restart_stream(layer.stream)
        return FORWARD

    def _begin_waiting(self, producer: Producer, now: int) -> None:
        """The first layer of a source has been found: those who want it have had nothing so far."""
        for consumer in producer.consumers:
            if consumer.aimed is None:
                self.chooser.begin(consumer)
        self.upstream.ask_waiting(producer, now)

    def _waiting(self, layer: Layer, record: Record, now: int) -> None:
        """Some wait for a key frame of this layer: here it is, or it is asked for once more."""
        ready = [consumer for consumer in layer.waiting if consumer.reads(record.codec)]
        if not ready:
            return
        if record.flags & KEY_START:
            for consumer in ready:
                consumer.went_over()
            layer.waiting.difference_update(ready)
        elif not layer.key_frames.waiting:
            # Nobody asked yet: the source began anew on another path, or its key frame was lost.
            self.upstream.ask_key_frame(layer, now)

    def _refresh(self, now: int) -> None:
        """Who receives a source of which there is more or less than before is looked at anew."""
        for producer in self.producers.values():
            if producer.kind == "video" and producer.refresh(now):
                for consumer in producer.consumers:
                    self.paths[consumer.member].due = True

    def _close_streams(self, producer: Producer) -> None:
        for layer in producer.layers:
            self.upstream.forget(layer)
        self.tables.close_streams(producer)

    def _forget_voice(self, member: str) -> None:
        self.speaker.forget(member)
        self.loudest.forget(member)
