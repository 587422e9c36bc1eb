"""What is wrong with a load by its merged report: a sentence for each thing."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, Final

from bench.loadbot.scenarios import Scenario, Trouble
from server_lite.loudest import LARGE_ROOM

#: The share of a core above which a process of the load is no judge of delays any more.
BUSY: Final = 0.85
#: Seconds within which a slow path gets low layers, and a freed one high ones again.
_LOW_WITHIN, _HIGH_WITHIN = 3.0, 5.0
#: Milliseconds for which pictures may stand still: on a lossy path, and where the path moves.
_FREEZE_MS, _MOVE_MS = 500.0, 2000.0

#: What must not happen on a path without losses, as sentences.
_CHECKS: Final[dict[str, str]] = {
    "lost": "{} packets were lost",
    "repaired": "{} packets were lost and had to be sent again",
    "reordered": "{} packets came out of order",
    "duplicates": "{} packets came twice",
    "malformed": "{} packets could not be read",
    "incomplete_frames": "{} pictures came with holes",
    "undecodable_frames": "{} pictures came without what they refer to",
    "skipped_frames": "{} frames were left out",
    "backward_frames": "{} frames came out of order",
    "picture_id_jumps": "{} picture ids or frame numbers did not go on",
    "clock_jumps": "{} timestamps did not go on as the sender's clock",
    "bad_switches": "{} changes of layer were not at a key frame",
    "unstamped": "{} frames bore no stamp",
    "wrong_sender": "{} frames came from another sender than the server said",
    "not_from_key_frame": "{} streams of pictures did not begin with a key frame",
}
#: Of these even a lossy path has none.
_NEVER: Final = (
    "malformed",
    "backward_frames",
    "picture_id_jumps",
    "bad_switches",
    "unstamped",
    "wrong_sender",
    "not_from_key_frame",
)


def complaints(merged: Mapping[str, Any], scenario: Scenario, publishers: int) -> list[str]:
    """What is wrong by the counts."""
    found = []
    if merged["joined"] < merged["members"]:
        found.append(f"Only {merged['joined']} of {merged['members']} members could join.")
    streams = merged["streams"]
    # In a large room more may have been heard before it was large.
    more_is_wrong = publishers <= LARGE_ROOM
    if streams["seen"] < streams["expected"] or (more_is_wrong and streams["seen"] > streams["expected"]):
        found.append(f"{streams['seen']} streams came instead of {streams['expected']}.")
    if merged["busiest_process"] > BUSY:
        found.append("The load itself was short of CPU: what it says of delays and losses is its own.")
    if streams["expected"] and not merged["frames"]:
        found.append("No whole frame came.")
    return found + [
        words.format(merged[name]) + "."
        for name, words in _CHECKS.items()
        if merged[name] and name not in scenario.tolerated
    ]


def trouble_complaints(merged: Mapping[str, Any], scenario: Scenario) -> list[str]:
    """What is wrong with the member that had trouble, and with what others noticed of it."""
    trouble = scenario.trouble
    if trouble is None:
        return []
    mine = merged["troubled"]
    found = [f"With trouble: {_CHECKS[name].format(mine[name])}." for name in _NEVER if mine[name]]
    if not mine["frames"]:
        found.append("The member with trouble got no frame.")
    if trouble.moves_to:
        found += _moved(merged)
    elif trouble.rate:
        found += _slow(merged["layers"], trouble)
    elif (still := max(mine["longest_gap_ms"], merged["longest_gap_ms"])) > _FREEZE_MS:
        found.append(f"A picture stood still for {still:.0f} ms.")
    return found


def turn_complaints(speakers: Sequence[str | None], seconds: float, turn: float) -> list[str]:
    """Whether the announced speakers were the two who took turns, and about as often as they did."""
    named = [name for name in speakers if name is not None]
    found = []
    if strangers := set(named) - {"load-0", "load-1"}:
        found.append(f"Named as speaking, but silent: {', '.join(sorted(strangers))}.")
    changes = sum(a != b for a, b in itertools.pairwise(named))
    if changes < seconds / turn - 2:
        found.append(f"The speaker changed {changes} times in {seconds:.0f} s of turns of {turn:.0f} s.")
    return found


def _moved(merged: Mapping[str, Any]) -> list[str]:
    found = []
    still = max(merged["troubled"]["longest_gap_ms"], merged["longest_gap_ms"])
    if still > _MOVE_MS:
        found.append(f"After the move nothing came for {still:.0f} ms.")
    if merged["handshakes"] != 1:
        found.append(f"The move took {merged['handshakes']} handshakes instead of the first one.")
    return found


def _slow(stories: Sequence[Mapping[str, Any]], trouble: Trouble) -> list[str]:
    """The first member's picture is shown large: it gets low, and high again; the others notice nothing."""
    found = []
    for story in stories:
        changes = story["changes"]
        if not story["troubled"]:
            if late := [c for c in changes if c[0] >= trouble.begin]:
                found.append(f"Another receiver's layer changed {len(late)} times.")
        elif story["senders"] == [0]:
            found += _low_and_high(changes, trouble)
    if not any(story["troubled"] and story["senders"] == [0] for story in stories):
        found.append("The slow receiver did not get the first member's picture.")
    return found


def _low_and_high(changes: Sequence[tuple[float, int]], trouble: Trouble) -> list[str]:
    high = max((layer for _, layer in changes), default=0)
    found = []
    if high == 0 or _layer_at(changes, trouble.begin) != high:
        found.append("The slow receiver's picture was not high before its path got slow.")
    low_from = trouble.begin + _LOW_WITHIN
    if _layer_at(changes, low_from) > 0 or any(
        layer > 0 and low_from < when < trouble.end for when, layer in changes
    ):
        found.append(f"The slow receiver was not at the lowest layer from {_LOW_WITHIN:.0f} s on.")
    back = next((when for when, layer in changes if when >= trouble.end and layer == high), None)
    if back is None or back - trouble.end >= _HIGH_WITHIN:
        told = "never" if back is None else f"after {back - trouble.end:.1f} s only"
        found.append(f"The freed receiver got the highest layer {told}.")
    return found


def _layer_at(changes: Sequence[tuple[float, int]], when: float) -> int:
    """-1 before the first."""
    return next((layer for at, layer in reversed(changes) if at <= when), -1)
