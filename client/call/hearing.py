"""Under whose name the mixer hears each voice."""

from __future__ import annotations

from client.call.places import is_loud
from client.call.receiver import Receiver
from client.media.playback.mixer import Mixer
from rtc.signalling import MAX_STREAMS


class Hearing:
    """Voices with a section of their own, and those in sections that carry whoever is loud. The server tells
    whose voice is in one of those, perhaps before the answer that agrees on it."""

    def __init__(self, mixer: Mixer) -> None:
        self._mixer = mixer
        self._own: set[str] = set()  # members with a section
        self._loud: dict[str, Receiver] = {}  # by mid
        self._names: dict[str, str] = {}  # mid of a loud one -> its name in the mixer
        self._told: dict[str, str | None] = {}  # mid -> member

    def forget(self) -> None:
        """A new path: its sections are others."""
        self._told.clear()

    def receiver(self, receiver: Receiver, on: bool) -> None:
        """A receiver came, or goes."""
        if receiver.sound is None:
            return
        member, mid = receiver.producer.member, receiver.mid
        if is_loud(receiver.producer):
            if on:
                self._loud[mid], self._names[mid] = receiver, member
                self._mixer.set_source(member, receiver.sound.pull)
                self._name(mid)
            elif self._loud.pop(mid, None) is not None:
                self._mixer.remove(self._names.pop(mid))
        elif on:
            self._own.add(member)
            for other in self._loud:
                self._name(other)  # gives the name back
            self._mixer.set_source(member, receiver.sound.pull)
        else:
            self._own.discard(member)
            self._mixer.remove(member)
            for other in self._loud:
                self._name(other)

    def told(self, mid: str, member: str | None) -> None:
        """From now on section `mid` carries the voice of `member`."""
        for other, carried in self._told.items():
            if carried == member:
                self._told[other] = None
                self._name(other)
        self._told[mid] = member
        while len(self._told) > MAX_STREAMS:
            del self._told[next(iter(self._told))]  # of a section that is no more
        self._name(mid)

    def _name(self, mid: str) -> None:
        receiver = self._loud.get(mid)
        if receiver is None:
            return
        member = self._told.get(mid)
        name = receiver.producer.member if member is None or member in self._own else member
        if name != self._names[mid]:
            self._mixer.rename(self._names[mid], name)
            self._names[mid] = name
