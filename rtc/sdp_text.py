"""What all readers of session descriptions share: the error, and numbers that are bounded."""

from __future__ import annotations


class SdpError(ValueError):
    """The text is no session description that can be used; str() says why."""


def number(text: str, most: int) -> int:
    """A decimal number 0 .. `most`; raises SdpError for anything else."""
    if not text.isascii() or not text.isdigit() or len(text) > 10 or int(text) > most:
        raise SdpError(f"A number is malformed or larger than {most}.")
    return int(text)
