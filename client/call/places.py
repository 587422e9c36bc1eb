"""Who gets a receiving section where there are more sources than a path has sections. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from rtc.signalling import media

#: Receiving sections of one path: 32 others with sound and picture. More shows more pictures at once; offer
#: and answer grow by about 0.8 and 0.9 KB each and have to fit into one message of 64 KiB.
MAX_RECEIVING = 64
#: Voices with a section of their own where not everything has one. More leaves fewer sections for pictures;
#: the server forwards no more than three voices in such a room anyway.
OWN_VOICES = 20
#: Asked for in place of a producer: the section carries a voice that is loud and has no section of its own.
VOICE = "*"
#: What is asked for that way, made to look like producers: no server can name one with a star.
LOUD = tuple(
    media.Producer.model_construct(id=f"*{n}", member=f"*{n}", kind="audio", source="microphone")
    for n in (1, 2, 3)
)

#: How much somebody's picture is wanted; the lower the more.
Rank = Callable[[media.Producer], int]


def is_loud(producer: media.Producer) -> bool:
    """Whether it is one of LOUD, whose voice changes."""
    return producer.id.startswith(VOICE)


def places(
    producers: Sequence[media.Producer], present: Collection[str], rank: Rank
) -> Sequence[media.Producer]:
    """At most MAX_RECEIVING of `producers`, and whoever is loud in place of voices that have no room.

    Everybody is heard; of the pictures those with the lowest rank are taken, of equals those of `present`,
    the ids of what has a section already.
    """
    if len(producers) <= MAX_RECEIVING:
        return producers
    voices = [p for p in producers if p.kind == "audio"]
    if len(voices) > OWN_VOICES + len(LOUD):
        voices = [*voices[:OWN_VOICES], *LOUD]
    pictures = [p for p in producers if p.kind != "audio"]
    pictures.sort(key=lambda p: (rank(p), p.id not in present))
    return [*voices, *pictures[: MAX_RECEIVING - len(voices)]]
