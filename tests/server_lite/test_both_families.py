"""`--host ::` serves members of IPv6 and of IPv4, in one process and in workers."""

from __future__ import annotations

import sys

import pytest

from tests.server_lite.serving import serving
from tests.server_lite.test_media_paths import until
from tests.support.wire_member import WireMember


@pytest.mark.parametrize("workers", [0, 2] if sys.platform == "linux" else [0])
@pytest.mark.parametrize("address", ["::1", "127.0.0.1"])
async def test_sound_over_either_family(address: str, workers: int) -> None:
    async with serving(host="::", advertise=(address,), workers=workers) as served:
        # Rooms go to the worker with the fewest members: with two of them both workers have one.
        for title in ("Monday", "Tuesday"):
            link = served.open(title).invitation.link
            assert f"//{'[::1]' if ':' in address else address}:" in link
            async with WireMember(link, "Ann") as ann, WireMember(link, "Ben") as ben:
                answer = await ann.send_and_receive([])
                await ben.send_and_receive([answer["producers"]["0"]])

                def heard() -> bool:
                    ann.speak()
                    return sum(ben.rtp_received.values()) >= 20

                await until(heard)
                assert not ann.rtp_received
