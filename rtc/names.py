"""What a person may be called, the same for both ends."""

from __future__ import annotations

import unicodedata

from rtc.signalling.base import ProtocolError
from rtc.signalling.session import MAX_NAME


def clean_name(name: str, re: int | None = None) -> str:
    """`name` in composed form, trimmed, with runs of white space as one space.

    A clean name stays as it is. Raises ProtocolError with a sentence for one that cannot be used.
    """
    if any(unicodedata.category(c) in ("Cc", "Cs", "Co") and not c.isspace() for c in name):
        raise ProtocolError("name-invalid", "Your name has characters that cannot be shown. Use others.", re)
    # Direction overrides (Cf) could make one name look like another; joiners are needed by some scripts.
    name = "".join(c for c in name if unicodedata.category(c) != "Cf" or c in "\u200c\u200d")
    name = unicodedata.normalize("NFC", " ".join(name.split()))
    if not name.strip("\u200c\u200d "):
        raise ProtocolError("name-empty", "Type your name, so that the others know who you are.", re)
    if len(name) > MAX_NAME:
        raise ProtocolError(
            "name-too-long",
            f"Use {MAX_NAME} characters or fewer for your name. This one has {len(name)}.",
            re,
        )
    return name
