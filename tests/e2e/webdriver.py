"""A small W3C WebDriver client over the standard library: all that these tests need of a browser."""

from __future__ import annotations

import base64
import json
import os
import re
import select
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.support.namespaces import inside

#: No network of its own, nothing asked, a camera and a microphone from files.
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--disable-default-apps",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE 10.*",  # it would wait for answers
    "--disable-background-timer-throttling",
    "--disable-renderer-backgrounding",
    "--mute-audio",
    "--autoplay-policy=no-user-gesture-required",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
)
START_WITHIN = 30.0  # seconds
STOP_WITHIN = 8.0
ATTEMPTS = 3


def missing() -> str:
    """Why there can be no browser here; empty if there can."""
    for program in ("chromedriver", "chromium"):
        if shutil.which(program) is None:
            return f"{program} is not installed (Debian: chromium and chromium-driver)"
    return ""


class Browser:
    """Context manager: a headless Chromium with a fresh profile, in a network `namespace` if one is named."""

    def __init__(
        self, *flags: str, size: tuple[int, int] = (1280, 720), namespace: str | None = None
    ) -> None:
        self.flags, self.size, self.namespace = flags, size, namespace
        self._driver: subprocess.Popen[bytes] | None = None
        self._profile: tempfile.TemporaryDirectory[str] | None = None
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as this object
        self._base = ""
        self._session = ""

    def __enter__(self) -> Browser:
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
        self._call("POST", "/url", {"url": url})

    def run(self, script: str, *arguments: Any) -> Any:
        """What the function body `script` returns; a promise is waited for."""
        return self._call("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def screenshot(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(self._call("GET", "/screenshot")))

    def resize(self, width: int, height: int) -> None:
        """Of the page, whatever the window's frame takes."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self._call(
            "POST", "/goog/cdp/execute", {"cmd": "Emulation.setDeviceMetricsOverride", "params": metrics}
        )

    def console(self) -> list[str]:
        """What the page complained of since the last call."""
        entries = self._call("POST", "/se/log", {"type": "browser"})
        return [f"{entry['level']}: {entry['message']}" for entry in entries]

    def kill(self) -> None:
        """End driver and browser at once, without a goodbye to anybody."""
        if self._driver is not None:
            os.killpg(self._driver.pid, signal.SIGKILL)
            self._driver.wait(STOP_WITHIN)

    def stop(self) -> None:
        if self._driver is not None:
            try:
                if self._session and self._driver.poll() is None:
                    self._call("DELETE", "")
            except (OSError, AssertionError):
                pass  # it ends by force below
            self._end_driver()
        self._log.close()
        if self._profile is not None:
            _remove(self._profile)
            self._profile = None

    def _end_driver(self) -> None:
        """The browser's processes are in the driver's group: none may be left."""
        assert self._driver is not None
        self._driver.terminate()
        try:
            self._driver.wait(STOP_WITHIN)
        except subprocess.TimeoutExpired:
            pass
        try:
            os.killpg(self._driver.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self._driver.wait(STOP_WITHIN)
        if self._driver.stdout is not None:
            self._driver.stdout.close()
        self._driver = None

    def _start(self) -> None:
        self._profile = tempfile.TemporaryDirectory(prefix="browser", ignore_cleanup_errors=True)
        environment = dict(os.environ)
        environment.pop("DISPLAY", None)
        prefix = ("ip", "netns", "exec", self.namespace) if self.namespace else ()
        for attempt in range(1, ATTEMPTS + 1):
            self._driver = subprocess.Popen(
                [*prefix, shutil.which("chromedriver") or "chromedriver", "--port=0"],
                stdout=subprocess.PIPE,
                stderr=self._log,
                stdin=subprocess.DEVNULL,
                env=environment,
                start_new_session=True,
                bufsize=0,  # else a line could wait in a buffer where select does not see it
            )
            port = self._port()
            if port:
                break
            # It wants the same free port for IPv4 and IPv6, and somebody may take the second one.
            assert attempt < ATTEMPTS, f"chromedriver did not start: {self._said()}"
            self._end_driver()
        self._base = f"http://127.0.0.1:{port}"
        options = {
            "binary": shutil.which("chromium"),
            "args": [
                *FLAGS,
                f"--window-size={self.size[0]},{self.size[1]}",
                f"--user-data-dir={self._profile.name}",
                *self.flags,
            ],
        }
        wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
        answer = self._http("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
        self._session = answer["sessionId"]
        self._call("POST", "/timeouts", {"script": 30000, "pageLoad": 30000})

    def _port(self) -> int:
        """Where the driver listens; 0 if it ended instead."""
        assert self._driver is not None
        assert self._driver.stdout is not None
        deadline = time.monotonic() + START_WITHIN
        while time.monotonic() < deadline:
            if not select.select([self._driver.stdout], [], [], 1.0)[0]:
                continue
            line = self._driver.stdout.readline().decode(errors="replace")
            found = re.search(r"started successfully on port (\d+)", line)
            if found:
                return int(found[1])
            if not line:
                break
        return 0

    def _said(self) -> str:
        self._log.seek(0)
        return self._log.read().decode(errors="replace")

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        return self._http(method, f"/session/{self._session}{path}", body)

    def _network(self) -> AbstractContextManager[None]:
        return inside(self.namespace) if self.namespace else nullcontext()

    def _http(self, method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json; charset=utf-8"}
        request = urllib.request.Request(self._base + path, data=data, headers=headers, method=method)
        try:
            with self._network(), urllib.request.urlopen(request, timeout=60) as response:
                return json.loads(response.read())["value"]
        except urllib.error.HTTPError as error:
            with error:
                value = json.loads(error.read())["value"]
            raise AssertionError(f"the browser refused: {value['error']}: {value['message'][:500]}") from None


def _remove(folder: tempfile.TemporaryDirectory[str]) -> None:
    """A killed browser may still be writing: what stays is the system's to clean."""
    try:
        folder.cleanup()
    except OSError:
        pass
