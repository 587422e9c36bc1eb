"""What is shown decides what is sent: calls over the real server, with tiles that hide and come back."""

from __future__ import annotations

from tests.client.call.people import Person
from tests.support.server_process import ServerProcess, wait_for

ANN, BEN = 101, 202


def frames(person: Person, member: str) -> int:
    counts = person.call.statistics().members.get(member)
    return counts.frames_received if counts is not None else 0


def test_a_hidden_tile_gets_no_picture_until_it_is_shown_again(server: ServerProcess) -> None:
    link = server.open_meeting().link
    with Person("Ann", ANN) as ann, Person("Ben", BEN, 440.0) as ben:
        ann.call.join(link, "Ann")
        ben.call.join(link, "Ben")
        ann.until_among("Ben")
        ann.until_sees("Ben", BEN)
        of_ben = ann.other("Ben").id

        ann.call.view({of_ben: 0.0})
        seen: list[int] = []

        def stands_still() -> bool:
            seen.append(frames(ann, of_ben))
            return len(seen) > 8 and len(set(seen[-8:])) == 1

        wait_for("no more pictures come", stands_still, 10.0)
        ann.until_hears(440.0)  # sound goes on
        assert ann.other("Ben").held == "", "what we hide is no news"

        ann.call.view({of_ben: 170.0}, main=of_ben)
        ann.until_sees("Ben", BEN)
        ben.until_sees("Ann", ANN)
