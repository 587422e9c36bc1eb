"""Why a source gives nothing, in words for a person."""

from __future__ import annotations


class SourceError(Exception):
    """A camera, microphone or file cannot be used; the text says what happened and what to do."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence
