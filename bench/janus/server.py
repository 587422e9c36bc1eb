"""A Janus of one's own: configuration in a temporary folder, loopback only, gone with us."""

from __future__ import annotations

import shutil
import socket
import time
from pathlib import Path
from typing import Final

from client.app.children import Child, Children

_READY_TIMEOUT: Final = 20.0
_FOLDERS: Final = [Path(p) for p in ("/usr/lib/x86_64-linux-gnu/janus", "/usr/lib/aarch64-linux-gnu/janus")]

_CORE: Final = """general: {{
  configs_folder = "{config}"
  plugins_folder = "{plugins}"
  transports_folder = "{transports}"
  debug_level = 1
  session_timeout = 0
}}
nat: {{
  nice_debug = false
  ice_lite = true
  ice_enforce_list = "lo,127.0.0.1"
}}
"""
_WEBSOCKETS: Final = """general: {{
  json = "compact"
  ws = true
  ws_port = {port}
  ws_ip = "127.0.0.1"
  wss = false
}}
admin: {{
  admin_ws = false
}}
"""


class JanusError(RuntimeError):
    """Janus did not start; the text is a sentence."""


def library_folder() -> Path | None:
    """Where Janus' modules are, None when it is not installed."""
    if shutil.which("janus") is None:
        return None
    needed = ("plugins/libjanus_videoroom.so", "transports/libjanus_websockets.so")
    return next((f for f in _FOLDERS if all((f / name).exists() for name in needed)), None)


def start_janus(children: Children, folder: Path) -> tuple[Child, str]:
    """The process and its WebSocket's address. `folder` takes its configuration. Raises JanusError."""
    library = library_folder()
    program = shutil.which("janus")
    if library is None or program is None:
        raise JanusError("Janus is not installed: the Debian package is called janus.")
    config, plugins, transports = folder / "config", folder / "plugins", folder / "transports"
    for made in (config, plugins, transports):
        made.mkdir()
    (plugins / "libjanus_videoroom.so").symlink_to(library / "plugins/libjanus_videoroom.so")
    (transports / "libjanus_websockets.so").symlink_to(library / "transports/libjanus_websockets.so")
    port = _free_port()
    core = _CORE.format(config=config, plugins=plugins, transports=transports)
    (config / "janus.jcfg").write_text(core, encoding="utf-8")
    (config / "janus.transport.websockets.jcfg").write_text(_WEBSOCKETS.format(port=port), encoding="utf-8")
    (config / "janus.plugin.videoroom.jcfg").write_text("general: {\n}\n", encoding="utf-8")
    log = folder / "janus.log"
    command = [program, "-F", str(config), "-C", str(config / "janus.jcfg"), "-N", "-L", str(log)]
    child = children.start("janus", command)
    deadline = time.monotonic() + _READY_TIMEOUT
    while time.monotonic() < deadline and child.exit_code is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return child, f"ws://127.0.0.1:{port}"
        time.sleep(0.1)
    said = log.read_text(errors="replace")[-300:] if log.exists() else child.last_words()
    raise JanusError(f"Janus did not start. It said: {said}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
