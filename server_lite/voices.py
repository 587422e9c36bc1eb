"""Sections that carry whichever voices are loud just now, for rooms with more members than sections. Pure.

A receiver that has no section of its own for everybody's sound asks for a few of these; the loudest voices
that it does not hear otherwise go into them, and it is told whose they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from server_lite.consumer import Consumer
from server_lite.path import Path

if TYPE_CHECKING:
    from server_lite.producer import Producer
    from server_lite.router import Router

#: Asked for in place of a producer: the section carries loud voices.
VOICE: Final = "*"


class Voices:
    """`told(member, {mid: producer | None})` hears whose voice a section carries from now on."""

    def __init__(
        self, router: Router, told: Callable[[str, Mapping[str, str | None]], None] | None = None
    ) -> None:
        self._router, self._told = router, told
        self._followed = -1  # the version of the choice that has been carried out

    def follow(self) -> None:
        """Carries out who is loud, if that has changed."""
        if self._followed != self._router.loudest.version:
            self._followed = self._router.loudest.version
            for path in self._router.paths.values():
                if path.voice_sections:
                    self.assign(path)

    def assign(self, path: Path) -> None:
        """Gives the sections of one receiver the voices that it has to hear, moving as few as possible."""
        sections = [path.consumers[mid] for mid in path.voice_sections if mid in path.consumers]
        own = {c.source for c in path.consumers.values() if c.plan.mid not in path.voice_sections}
        wanted = [p for p in self._loud() if p.member != path.member and p not in own]
        carried = {c.source for c in sections}
        missing = [p for p in wanted if p not in carried]
        free = [c for c in sections if c.source not in wanted]
        changed: dict[str, str | None] = {}
        for consumer, producer in zip(free, missing, strict=False):
            if consumer.takes(producer):
                self._give(consumer, producer)
                changed[consumer.plan.mid] = producer.id
        if changed and self._told is not None:
            self._told(path.member, changed)

    def _loud(self) -> list[Producer]:
        """In large rooms those that are forwarded, in small ones all."""
        router = self._router
        microphones = [p for p in router.producers.values() if p.kind == "audio"]
        if not router.loudest.chosen:
            return microphones
        return [p for p in microphones if p.member in router.loudest.chosen]

    def _give(self, consumer: Consumer, producer: Producer) -> None:
        self._router.tables.detach(consumer)
        consumer.source = producer
        producer.consumers.append(consumer)
        self._router.chooser.begin(consumer)
