"""The invitation to a meeting: as a link, and as a code that can be read out.

The link carries the secret token in its fragment, which no browser sends to a server or a proxy.
The code is for people in one network: address, port and token in Crockford's base32, with a checksum,
so a mistyped letter is found before anything is sent.
"""

from __future__ import annotations

import base64
import ipaddress
import re
import secrets
import zlib
from dataclasses import dataclass
from urllib.parse import urlsplit

from rtc.secret import Secret

TOKEN_BYTES = 10  # 80 random bits: out of reach for guessing, short enough to be read out
_CODE_BYTES = 1 + 4 + 2 + TOKEN_BYTES + 3  # version, IPv4 address, port, token, checksum
_VERSION = 1
_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_RFC4648 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_TO_CROCKFORD = str.maketrans(_RFC4648, _CROCKFORD)
_FROM_CROCKFORD = str.maketrans(_CROCKFORD + "OIL", _RFC4648 + "ABB")  # O is 0; I and L are 1
_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,100}")
_HOST = re.compile(r"[\w.-]{1,253}")
_ROOM = re.compile(r"[A-Za-z0-9_-]{1,64}")

NOT_AN_INVITATION = "This is not an invitation. Paste the whole link or the whole code that you were sent."
MISTYPED = "A letter of the code is wrong. Compare it with the one that you were sent."


class InvitationError(ValueError):
    """The text is no invitation; str() is a sentence for the person who typed it."""


def new_token() -> Secret:
    """A fresh token for a room; fits into a code."""
    return Secret(_to_base32(secrets.token_bytes(TOKEN_BYTES)))


@dataclass(frozen=True, slots=True)
class Invitation:
    """Where a meeting is and what lets one in.

    `room` is None when the invitation came as a code: the server finds the room by the token.
    """

    host: str
    port: int
    token: Secret
    room: str | None = None
    secure: bool = False

    @property
    def link(self) -> str:
        return f"{self.http_url}/join/{self.room or '-'}#{self.token.reveal()}"

    @property
    def code(self) -> str:
        """Groups of four letters; empty where host or token do not fit into a code."""
        try:
            address = ipaddress.IPv4Address(self.host).packed
            token = _from_base32(self.token.reveal())
        except ValueError:
            return ""
        if len(token) != TOKEN_BYTES or self.secure:
            return ""
        body = bytes([_VERSION]) + address + self.port.to_bytes(2, "big") + token
        text = _to_base32(body + _checksum(body))
        return "-".join(text[i : i + 4] for i in range(0, len(text), 4))

    @property
    def http_url(self) -> str:
        return f"http{'s' if self.secure else ''}://{self._authority}"

    @property
    def ws_url(self) -> str:
        return f"ws{'s' if self.secure else ''}://{self._authority}/ws"

    @property
    def _authority(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @classmethod
    def parse(cls, text: str) -> Invitation:
        """Reads a link or a code as a person pastes it; raises InvitationError."""
        text = text.strip()
        if len(text) > 500:
            raise InvitationError(NOT_AN_INVITATION)
        if "://" in text or "#" in text:
            return cls._from_link(text)
        return cls._from_code(text)

    @classmethod
    def _from_link(cls, text: str) -> Invitation:
        try:
            parts = urlsplit(text if "://" in text else f"http://{text}")
            port = parts.port
        except ValueError:
            raise InvitationError(NOT_AN_INVITATION) from None
        token, room = parts.fragment, parts.path.removeprefix("/join/").strip("/")
        secure = parts.scheme == "https"
        if parts.scheme not in ("http", "https") or not parts.hostname or not parts.path.startswith("/join/"):
            raise InvitationError(NOT_AN_INVITATION)
        if not _TOKEN.fullmatch(token):
            raise InvitationError(
                "The end of the link is missing: the part after the # lets you in. Copy the whole link."
            )
        if not _ROOM.fullmatch(room) or not _is_host(parts.hostname) or port == 0:
            raise InvitationError(NOT_AN_INVITATION)
        return cls(
            host=parts.hostname,
            port=port or (443 if secure else 80),
            token=Secret(token),
            room=None if room == "-" else room,
            secure=secure,
        )

    @classmethod
    def _from_code(cls, text: str) -> Invitation:
        letters = re.sub(r"[\s\-\u2010-\u2015]", "", text).upper()
        if not letters.isascii() or not letters.isalnum():
            raise InvitationError(NOT_AN_INVITATION)
        if "U" in letters:  # the one letter that no code has
            raise InvitationError(MISTYPED)
        try:
            raw = _from_base32(letters)
        except ValueError:
            raise InvitationError(NOT_AN_INVITATION) from None
        if len(raw) != _CODE_BYTES:
            raise InvitationError(NOT_AN_INVITATION)
        body, check = raw[:-3], raw[-3:]
        if _checksum(body) != check or body[0] != _VERSION:
            raise InvitationError(MISTYPED)
        return cls(
            host=str(ipaddress.IPv4Address(body[1:5])),
            port=int.from_bytes(body[5:7], "big"),
            token=Secret(_to_base32(body[7:])),
        )


def _is_host(host: str) -> bool:
    if ":" not in host:
        return _HOST.fullmatch(host) is not None
    try:
        ipaddress.IPv6Address(host)
    except ValueError:
        return False
    return True


def _checksum(body: bytes) -> bytes:
    return (zlib.crc32(body) & 0xFFFFFF).to_bytes(3, "big")


def _to_base32(data: bytes) -> str:
    return base64.b32encode(data).decode().rstrip("=").translate(_TO_CROCKFORD)


def _from_base32(text: str) -> bytes:
    text = text.upper().translate(_FROM_CROCKFORD)
    return base64.b32decode(text + "=" * (-len(text) % 8))
