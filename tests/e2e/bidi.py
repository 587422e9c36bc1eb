"""A small WebDriver BiDi client: what these tests need of Firefox, with the doors of `webdriver.Browser`.

Firefox speaks BiDi by itself (https://w3c.github.io/webdriver-bidi/), so no driver is needed beside it.
"""

from __future__ import annotations

import base64
import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager, ExitStack, nullcontext
from pathlib import Path
from types import TracebackType
from typing import Any

from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection, connect

from tests.support.namespaces import inside

PROGRAMS = ("firefox", "firefox-esr")
#: No network of its own, nothing asked, nothing told, a camera and a microphone that need no device.
PREFERENCES: Mapping[str, bool | int | str] = {
    "app.normandy.enabled": False,
    "app.update.disabledForTesting": True,
    "browser.cache.disk.enable": False,
    "browser.safebrowsing.blockedURIs.enabled": False,
    "browser.safebrowsing.downloads.enabled": False,
    "browser.safebrowsing.malware.enabled": False,
    "browser.safebrowsing.phishing.enabled": False,
    "browser.shell.checkDefaultBrowser": False,
    "browser.startup.homepage_override.mstone": "ignore",
    "browser.startup.page": 0,
    "datareporting.policy.dataSubmissionEnabled": False,
    "dom.min_background_timeout_value": 4,
    "extensions.systemAddon.update.enabled": False,
    "extensions.update.enabled": False,
    "media.autoplay.default": 0,
    "media.cubeb.force_mock_context": True,  # without any sound device the page's sound would not run at all
    "media.gmp-manager.updateEnabled": False,
    "media.gmp-provider.enabled": False,
    "media.navigator.permission.disabled": True,
    "media.navigator.streams.fake": True,
    "media.peerconnection.ice.loopback": True,
    "media.peerconnection.ice.obfuscate_host_addresses": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "network.dns.disablePrefetch": True,
    "network.http.speculative-parallel-limit": 0,
    "network.prefetch-next": False,
    "network.trr.mode": 5,
    "services.settings.server": "data:,#remote-settings-dummy/v1",
    "startup.homepage_welcome_url": "about:blank",
    "toolkit.telemetry.enabled": False,
    "toolkit.telemetry.reportingpolicy.firstRun": False,
    "toolkit.telemetry.server": "data:,",
}
START_WITHIN = 40.0  # seconds
ANSWER_WITHIN = 60.0
STOP_WITHIN = 8.0


def program() -> str | None:
    """Firefox's path; Debian's stable releases carry the one with extended support."""
    return next((path for path in map(shutil.which, PROGRAMS) if path), None)


def missing() -> str:
    """Why there can be no Firefox here; empty if there can."""
    return "" if program() else "firefox is not installed (Debian: firefox-esr)"


class Firefox:
    """Context manager: a headless Firefox with a fresh profile.

    `preferences` are put over PREFERENCES; `secure` is a host that counts as secure without a certificate;
    `preload` is a JavaScript function that runs in each page before its own scripts; `namespace` is the
    network namespace that it lives in.
    """

    def __init__(
        self,
        preferences: Mapping[str, bool | int | str] | None = None,
        *,
        secure: str = "",
        preload: str = "",
        namespace: str | None = None,
        size: tuple[int, int] = (1280, 720),
    ) -> None:
        self.preferences = {**PREFERENCES, "dom.securecontext.allowlist": secure, **(preferences or {})}
        self.preload, self.namespace, self.size = preload, namespace, size
        self._process: subprocess.Popen[bytes] | None = None
        self._profile: tempfile.TemporaryDirectory[str] | None = None
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as this object
        self._socket: ClientConnection | None = None
        self._closing = ExitStack()
        self._numbers = itertools.count(1)
        self._context = ""
        self._entries: list[str] = []

    def __enter__(self) -> Firefox:
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def open(self, url: str) -> None:
        self._ask("browsingContext.navigate", context=self._context, url=url, wait="complete")

    def run(self, script: str, *arguments: Any) -> Any:
        """What the function body `script` returns, by way of JSON; a promise is waited for."""
        answer = self._ask(
            "script.callFunction",
            functionDeclaration=(
                "async (text) => JSON.stringify("
                f"(await (async function () {{ {script} }}).apply(null, JSON.parse(text))) ?? null)"
            ),
            awaitPromise=True,
            target={"context": self._context},
            arguments=[{"type": "string", "value": json.dumps(arguments)}],
        )
        if answer["type"] != "success":
            raise AssertionError(f"the page threw: {answer['exceptionDetails']['text'][:500]}")
        return json.loads(answer["result"]["value"])

    def screenshot(self, path: Path) -> None:
        answer = self._ask("browsingContext.captureScreenshot", context=self._context)
        path.write_bytes(base64.b64decode(answer["data"]))

    def console(self) -> list[str]:
        """What the page complained of since the last call."""
        self._ask("session.status")  # what was said before it has come with the answer
        said, self._entries = self._entries, []
        return said

    def kill(self) -> None:
        """End the browser at once, without a goodbye to anybody."""
        self._signal(signal.SIGKILL)

    def stop(self) -> None:
        if self._socket is not None:
            try:
                self._ask("browser.close")
            except (OSError, AssertionError, WebSocketException):
                pass  # it ends by force below
            self._closing.close()
            self._socket = None
        if self._process is not None:
            try:
                self._process.wait(STOP_WITHIN if self._context else 0)
            except subprocess.TimeoutExpired:
                pass
            self._signal(signal.SIGKILL)
            self._process = None
        self._log.close()
        if self._profile is not None:
            self._profile.cleanup()
            self._profile = None

    def _signal(self, number: signal.Signals) -> None:
        """To all its processes, which share a group of their own."""
        if self._process is None:
            return
        try:
            os.killpg(self._process.pid, number)
        except ProcessLookupError:
            pass
        self._process.wait(STOP_WITHIN)

    def _start(self) -> None:
        self._profile = tempfile.TemporaryDirectory(prefix="firefox", ignore_cleanup_errors=True)
        profile = Path(self._profile.name)
        lines = [f"user_pref({json.dumps(k)}, {json.dumps(v)});" for k, v in self.preferences.items()]
        (profile / "user.js").write_text("\n".join(lines))
        environment = dict(os.environ) | {
            "HOME": self._profile.name,
            "MOZ_HEADLESS_WIDTH": str(self.size[0]),
            "MOZ_HEADLESS_HEIGHT": str(self.size[1]),
            "MOZ_CRASHREPORTER_DISABLE": "1",
        }
        environment.pop("DISPLAY", None)
        prefix = ("ip", "netns", "exec", self.namespace) if self.namespace else ()
        command = [*prefix, program() or "firefox", "--headless", "--no-remote", "--profile", str(profile)]
        self._process = subprocess.Popen(
            [*command, "--remote-debugging-port", "0", "about:blank"],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            env=environment,
            start_new_session=True,
        )
        address = self._address()
        with self._network():
            connecting = connect(
                f"{address}/session", max_size=None, compression=None, proxy=None, ping_interval=None
            )
            self._socket = self._closing.enter_context(connecting)
        self._ask("session.new", capabilities={})
        self._ask("session.subscribe", events=["log.entryAdded"])
        self._context = self._ask("browsingContext.getTree", maxDepth=0)["contexts"][0]["context"]
        width, height = self.size  # without this some versions take 1280 x 886, whatever the screen is
        self._ask(
            "browsingContext.setViewport",
            context=self._context,
            viewport={"width": width, "height": height},
        )
        if self.preload:
            self._ask("script.addPreloadScript", functionDeclaration=self.preload)

    def _network(self) -> AbstractContextManager[None]:
        return inside(self.namespace) if self.namespace else nullcontext()

    def _address(self) -> str:
        """The WebSocket's address, which Firefox says among other things."""
        assert self._process is not None
        deadline = time.monotonic() + START_WITHIN
        while time.monotonic() < deadline:
            found = re.search(r"WebDriver BiDi listening on (ws://\S+)", self._said())
            if found:
                return found[1]
            if self._process.poll() is not None:
                break
            time.sleep(0.1)
        raise AssertionError(f"Firefox did not start: {self._said()[-1000:]}")

    def _said(self) -> str:
        return os.pread(self._log.fileno(), 1 << 20, 0).decode(errors="replace")

    def _ask(self, method: str, **parameters: Any) -> Any:
        """One command and its answer; complaints of the page that come before it are kept."""
        assert self._socket is not None
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            message = json.loads(self._socket.recv(timeout=ANSWER_WITHIN))
            if message.get("method") == "log.entryAdded":
                entry = message["params"]
                if entry["level"] in ("warn", "error"):
                    self._entries.append(f"{entry['level']}: {entry['text']}")
            if message.get("id") != number:
                continue
            if message["type"] == "error":
                raise AssertionError(f"Firefox refused: {message['error']}: {message['message'][:500]}")
            return message["result"]
