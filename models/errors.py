"""What can go wrong with the manifest and with fetching; `str(error)` is a sentence for a person."""

from __future__ import annotations


class ManifestError(ValueError):
    """The manifest does not say what it must; names the entry and the field."""


class FetchError(RuntimeError):
    """A file could not be had; says what happened and what to do."""


class FetchCancelledError(FetchError):
    """The person who waited for the download stopped it."""

    def __init__(self) -> None:
        super().__init__("The download was stopped. Nothing was changed; start it again at any time.")
