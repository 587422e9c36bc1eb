"""The server dies and comes again, the network is cut and mended: people are back without doing anything."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import Anybody, local
from tests.e2e.desktop import Desktop
from tests.e2e.guest import Guest
from tests.e2e.test_first_call import assert_hears, assert_sees
from tests.support import cut_network
from tests.support.cut_network import CutNetwork
from tests.support.server_process import ServerProcess, wait_for

PATIENCE = 40.0
#: Two outages with seven programs: a machine with other work may need longer than a usual test.
pytestmark = pytest.mark.timeout(400)
CUT_S = 5.0


def assert_all_meet(people: list[Anybody]) -> None:
    """Everybody is in the call and sees and hears everybody, from fresh pictures on."""
    names = sorted(person.name for person in people)
    for person in people:
        if isinstance(person, Desktop):
            wait_for(f"{person.name} sees all names", lambda: person.names() == names, PATIENCE)  # noqa: B023
            person.wait_in_call(PATIENCE)
        else:
            wait_for(f"{person.name} sees all names", lambda: person.tiles() == names, PATIENCE)  # noqa: B023
            wait_for("no words of trouble", lambda: person.report()["words"] == "", PATIENCE)  # noqa: B023
    for one in people:
        for other in people:
            if one is not other:
                assert_sees(one, other)
                assert_hears(one, other)


def test_a_server_that_is_killed_and_started_again_finds_everybody_back(
    browser_here: None, tmp_path: Path
) -> None:
    """It remembers its rooms and their tokens; the old links go on working."""
    with ServerProcess("--state", str(tmp_path / "rooms.json")) as server:
        meeting = server.open_meeting("Survivors")
        with (
            Desktop("Kim Kauri", 201, 440.0) as kim,
            Desktop("Lea Larch", 202, 660.0) as lea,
            Guest(tmp_path / "max", "Max Maple", 203, 880.0) as guest,
        ):
            people: list[Anybody] = [kim, lea, guest]
            kim.start_joining(meeting.link)
            lea.start_joining(meeting.link)
            guest.join(local(meeting.link))
            assert_all_meet(people)
            server.kill()
            for desktop in (kim, lea):
                wait_for(
                    f"{desktop.name} notices",
                    lambda: desktop.report()["phase"] == "reconnecting",  # noqa: B023
                    PATIENCE,
                )
            wait_for("the page notices", lambda: "Connection lost" in guest.report()["words"], PATIENCE)
            server.start()
            started = time.monotonic()
            assert_all_meet(people)
            print(f"everybody was back within {time.monotonic() - started:.1f} s of the server's start")
            # The right to open rooms and the meeting's secret are kept from other people of the machine.
            assert (tmp_path / "rooms.json").stat().st_mode & 0o077 == 0


@pytest.fixture
def network() -> Iterator[CutNetwork]:
    reason = cut_network.missing()
    if reason:
        pytest.skip(reason)
    with CutNetwork() as made:
        yield made


def test_a_cut_of_five_seconds_mends_itself(browser_here: None, network: CutNetwork, tmp_path: Path) -> None:
    """Two desktop clients and a browser lose the server at once and have it back five seconds later."""
    with ServerProcess("--advertise", network.far, host=network.far, prefix=network.prefix) as server:
        meeting = server.open_meeting("Bad cable")
        origin = f"http://{network.far}:{server.port}"
        with (
            Desktop("Nia Nutmeg", 211, 440.0) as nia,
            Desktop("Ole Oak", 212, 660.0) as ole,
            Guest(
                tmp_path / "pia",
                "Pia Pine",
                213,
                880.0,
                f"--unsafely-treat-insecure-origin-as-secure={origin}",
            ) as pia,
        ):
            people: list[Anybody] = [nia, ole, pia]
            nia.start_joining(meeting.link)
            ole.start_joining(meeting.link)
            pia.join(meeting.link)
            assert_all_meet(people)
            members = sorted(nia.report()["members"])
            network.cut()
            time.sleep(CUT_S - 1)  # a real cut takes real time
            frozen = (nia.frames(ole.name), nia.frames(pia.name))
            time.sleep(1)
            assert frozen == (nia.frames(ole.name), nia.frames(pia.name)), "the cable was not cut"
            network.mend()
            mended = time.monotonic()
            assert_all_meet(people)
            print(f"everybody met again {time.monotonic() - mended:.1f} s after the cut")
            kept = set(members) & set(nia.report()["members"])
            print(f"{len(kept)} of {len(members)} kept their place")
