"""Whether a peer really is where it says it is: it has to answer a check of ours from there.

A check proves that somebody once knew the password, not that he is where the datagram came from: whoever
overheard one can send it again from another address, or under another's. Believing it would send the peer's
media elsewhere, or to somebody who never asked for it (RFC 8445 section 19.5.1, RFC 7675 section 4). An
address counts only when the peer has answered, which takes its own password and cannot be recorded before.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from rtc import checks

if TYPE_CHECKING:
    from rtc.mux_link import MuxLink

#: Addresses of one peer that may be asked at once; the oldest is forgotten for one more. More lets a peer
#: that moves in through a flood of overheard checks (at most 50 a second are looked at) over slower paths;
#: each costs some 2 kB.
MAX_ASKED: Final = 8
#: Seconds within which the answer must come. Longer helps paths that no call works on, shorter is safer.
ANSWER_S: Final = 5.0
#: Of a candidate that we know by its checks only (RFC 8445 section 5.1.2.1): nobody chooses by it.
_PRIORITY: Final = 1853824767


@dataclass(slots=True)
class Asked:
    """A peer that wants to be reached at `address`; `at` is in seconds, of the first question."""

    link: MuxLink
    address: bytes
    transaction: bytes
    request: checks.Check  # the latest, to be answered when the proof is there
    nominated: bool
    at: float


class AddressProofs:
    """The questions of one port. `worker` is in them, so that an answer finds back to who asked."""

    def __init__(self, worker: int | None = None) -> None:
        self._worker = worker
        self._tie_breaker = secrets.randbits(63)
        self._open: dict[bytes, Asked] = {}  # by transaction
        self._by_link: dict[MuxLink, OrderedDict[bytes, Asked]] = {}  # by address, the oldest first

    def __len__(self) -> int:
        return len(self._open)

    def ask(self, link: MuxLink, address: bytes, request: checks.Check, now: float) -> bytes:
        """The check that goes to `address`; the same again while no answer came, as one may get lost."""
        assert link.remote is not None
        asked = self._by_link.setdefault(link, OrderedDict())
        found = asked.get(address)
        if found is not None and now - found.at > ANSWER_S:
            self._close(found)
            found = None
        if found is None:
            while len(asked) >= MAX_ASKED:
                self._close(next(iter(asked.values())))
            transaction = bytes((255 if self._worker is None else self._worker,)) + secrets.token_bytes(11)
            found = Asked(link, address, transaction, request, False, now)
            self._by_link.setdefault(link, asked)[address] = self._open[transaction] = found
        found.request = request
        found.nominated = found.nominated or request.nominates
        ufrag, password = link.remote
        return checks.question(
            found.transaction, f"{ufrag}:{link.ufrag}", password, _PRIORITY, self._tie_breaker
        )

    def answered(self, data: bytes, address: bytes, now: float) -> Asked | None:
        """Who has proven by `data` that it is at `address`; None where nobody was asked under that number.
        Raises CheckError where the answer is not the peer's."""
        found = self._open.get(checks.transaction(data))
        if found is None:
            return None
        if found.address != address or now - found.at > ANSWER_S or found.link.remote is None:
            raise checks.CheckError("stun-not-authorised")
        checks.authentic(data, found.link.remote[1])
        self._close(found)
        return found

    def worker_of(self, data: bytes) -> str | None:
        """How the user fragments of the worker begin that asked what `data` answers; None: no other did."""
        number = checks.transaction(data)[0]
        return None if self._worker is None or number == self._worker else f"{number}x"

    def forget(self, link: MuxLink) -> None:
        """It is closed."""
        for asked in list(self._by_link.get(link, {}).values()):
            self._close(asked)

    def _close(self, asked: Asked) -> None:
        del self._open[asked.transaction]
        of_link = self._by_link[asked.link]
        del of_link[asked.address]
        if not of_link:
            del self._by_link[asked.link]
