"""What one running server holds."""

from __future__ import annotations

from dataclasses import dataclass

from server_lite.config import Settings
from server_lite.drain import Drainer
from server_lite.load import LoadManager
from server_lite.media_host import MediaHost
from server_lite.meetings import Meetings
from server_lite.metrics import Tally


@dataclass(slots=True)
class ServerState:
    settings: Settings
    host: MediaHost
    meetings: Meetings
    tally: Tally
    load: LoadManager
    drainer: Drainer
