"""One room with two desktop clients and a guest in a browser, shared by the tests that leave it as it was."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e import webdriver
from tests.e2e.desktop import Desktop
from tests.e2e.guest import Guest
from tests.support.server_process import Meeting, ServerProcess

Anybody = Desktop | Guest


def local(link: str) -> str:
    """The link by way of this machine's own name: browsers open cameras there without a certificate."""
    address, _, token = link.partition("#")
    scheme, _, rest = address.partition("://")
    port = rest.partition("/")[0].rpartition(":")[2]
    return f"{scheme}://127.0.0.1:{port}/{rest.partition('/')[2]}#{token}"


@dataclass(frozen=True, slots=True)
class Company:
    """Who is in the room, and the room."""

    server: ServerProcess
    meeting: Meeting
    ann: Desktop  # captures and encodes in a process of its own, as the program does
    ben: Desktop  # captures and encodes in threads, as headless members do
    cem: Guest

    @property
    def everybody(self) -> tuple[Anybody, ...]:
        return (self.ann, self.ben, self.cem)

    @property
    def pairs(self) -> list[tuple[Anybody, Anybody]]:
        """Everybody who sees, with everybody who is seen."""
        return [(one, other) for one in self.everybody for other in self.everybody if one is not other]


@pytest.fixture(scope="package")
def browser_here() -> None:
    """Skips where there is no browser, and says what is missing."""
    reason = webdriver.missing()
    if reason:
        pytest.skip(reason)


@pytest.fixture(scope="package")
def server() -> Iterator[ServerProcess]:
    with ServerProcess() as process:
        yield process


@pytest.fixture(scope="module")
def company(
    browser_here: None, server: ServerProcess, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Company]:
    folder: Path = tmp_path_factory.mktemp("guests")
    meeting = server.open_meeting("Team weekly")
    with (
        Desktop("Ann Ash", 101, 440.0, "process") as ann,
        Desktop("Ben Birch", 102, 660.0) as ben,
        Guest(folder / "cem", "Cem Cedar", 103, 880.0) as cem,
    ):
        for desktop in (ann, ben):
            desktop.start_joining(meeting.link)
        cem.join(local(meeting.link))
        for desktop in (ann, ben):
            desktop.wait_in_call()
        yield Company(server, meeting, ann, ben, cem)
