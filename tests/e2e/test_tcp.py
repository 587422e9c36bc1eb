"""A guest whose network lets no UDP through is in the call as everybody else, over one connection."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from tests.e2e.conftest import local
from tests.e2e.guest import Guest
from tests.e2e.test_first_call import PATIENCE, assert_hears, assert_sees
from tests.support.server_process import ServerProcess, wait_for

#: Chromium then sends no UDP unless a proxy carries it, and there is none.
NO_UDP = ("--webrtc-ip-handling-policy=disable_non_proxied_udp",)


@pytest.mark.usefixtures("browser_here")
def test_a_guest_without_udp(tmp_path: Path) -> None:
    with ServerProcess("--advertise", "127.0.0.1") as server:
        link = local(server.open_meeting("Behind a wall").link)

        def carried() -> int:
            """Connections at the number of the media port."""
            connections = psutil.Process(server.pid).net_connections("tcp")
            at_port = [c for c in connections if c.laddr.port == server.udp_port]
            return sum(1 for c in at_port if c.status == "ESTABLISHED")

        with (
            Guest(tmp_path / "tess", "Tess", 3, 550.0, *NO_UDP) as tess,
            Guest(tmp_path / "uma", "Uma", 5, 740.0) as uma,
        ):
            tess.join(link)
            wait_for("Tess is connected", lambda: tess.report()["connection"] == "connected", PATIENCE)
            assert carried() == 1
            uma.join(link)
            for one, other in ((tess, uma), (uma, tess)):
                assert_sees(one, other)
                assert_hears(one, other)
            before = carried()
            tess.kill()
            wait_for("the connection ends with its browser", lambda: carried() < before, PATIENCE)
