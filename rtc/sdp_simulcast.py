"""Layers of one source in a session description: `a=rid` (RFC 8851) and `a=simulcast` (RFC 8853)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from rtc.sdp_text import SdpError

Way = Literal["send", "recv"]

#: Encodings of one source: what a server forwards of a simulcast. More would only cost its sender.
MAX_ENCODINGS: Final = 3
#: Encodings that one section may declare or list, those beyond MAX_ENCODINGS and paused ones too, and ways to
#: send one of them. Browsers have three and one.
MAX_RIDS: Final = 16
MAX_ALTERNATIVES: Final = 4
_RID = re.compile(r"[A-Za-z0-9_-]{1,16}")


@dataclass(frozen=True, slots=True)
class Rid:
    """An encoding by name. Restrictions on it are for those who decode, and are not kept."""

    name: str
    way: Way

    @classmethod
    def parse(cls, value: str) -> Rid:
        """Reads the value of a=rid; raises SdpError."""
        words = value.split(maxsplit=2)
        if len(words) < 2 or not _RID.fullmatch(words[0]):
            raise SdpError("An a=rid line is malformed.")
        return cls(words[0], _way(words[1], "rid"))


@dataclass(frozen=True, slots=True)
class Simulcast:
    """The encodings that are sent, and those that are taken: each with its alternatives, in order."""

    send: tuple[tuple[str, ...], ...] = ()
    recv: tuple[tuple[str, ...], ...] = ()

    @classmethod
    def parse(cls, value: str) -> Simulcast:
        """Reads the value of a=simulcast; raises SdpError. Whether an encoding is paused at first ("~") makes
        no difference here: a layer is there when it arrives."""
        words = value.split(maxsplit=4)
        if len(words) not in (2, 4):
            raise SdpError("An a=simulcast line is malformed.")
        found: dict[Way, tuple[tuple[str, ...], ...]] = {}
        for word, encodings in zip(words[::2], words[1::2], strict=True):
            way = _way(word, "simulcast")
            if way in found:
                raise SdpError("An a=simulcast line names one direction twice.")
            found[way] = _encodings(encodings)
        return cls(found.get("send", ()), found.get("recv", ()))

    def names(self, way: Way, declared: Iterable[str]) -> list[str]:
        """The name of each encoding in one direction: of its alternatives the first that is declared. An
        encoding without one is left out (RFC 8853 section 5.1)."""
        known = set(declared)
        chosen = (next((name for name in names if name in known), None) for names in getattr(self, way))
        return list(dict.fromkeys(name for name in chosen if name is not None))


def _way(word: str, line: str) -> Way:
    match word:
        case "send" | "recv":
            return word
    raise SdpError(f"An a={line} line has a direction that is neither send nor recv.")


def _encodings(text: str) -> tuple[tuple[str, ...], ...]:
    parts = text.split(";", MAX_RIDS)
    if len(parts) > MAX_RIDS:
        raise SdpError(f"An a=simulcast line has more than {MAX_RIDS} encodings.")
    return tuple(_alternatives(part) for part in parts)


def _alternatives(text: str) -> tuple[str, ...]:
    parts = text.split(",", MAX_ALTERNATIVES)
    if len(parts) > MAX_ALTERNATIVES:
        raise SdpError(f"An a=simulcast line has more than {MAX_ALTERNATIVES} ways to send an encoding.")
    names = tuple(part.removeprefix("~") for part in parts)
    if not all(_RID.fullmatch(name) for name in names):
        raise SdpError("An a=simulcast line is malformed.")
    return names
