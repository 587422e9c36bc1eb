"""A guest in a browser: the page of the server, driven by WebDriver."""

from __future__ import annotations

import base64
from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote, urlsplit

import numpy as np

from client.media import mark
from client.media.picture import Picture
from tests.e2e import fakes
from tests.e2e.bidi import Firefox
from tests.e2e.webdriver import Browser
from tests.support.server_process import wait_for


class Guest:
    """Context manager: a browser with its own mark and tone; `join(link)` takes it into a meeting.

    `size` is that of its camera, `busy` its film (fakes.write_camera), `window` the page's size in pixels.
    In a network `namespace` the page does not come from this machine's own address: `origin` (http://host:port)
    is then trusted with camera and microphone all the same.
    """

    browser: Browser | Firefox

    def __init__(
        self,
        folder: Path,
        name: str,
        identity: int,
        frequency: float,
        *flags: str,
        size: tuple[int, int] = (fakes.WIDTH, fakes.HEIGHT),
        busy: bool = False,
        window: tuple[int, int] = (1280, 720),
        namespace: str | None = None,
        origin: str = "",
    ) -> None:
        self.name, self.identity, self.frequency = name, identity, frequency
        folder.mkdir(parents=True, exist_ok=True)
        film = fakes.write_camera(folder / "camera.y4m", identity, size, busy=busy)
        sound = fakes.write_microphone(folder / "microphone.wav", frequency)
        self.browser = Browser(
            f"--use-file-for-fake-video-capture={film}",
            f"--use-file-for-fake-audio-capture={sound}",
            *((f"--unsafely-treat-insecure-origin-as-secure={origin}",) if origin else ()),
            *flags,
            size=window,
            namespace=namespace,
        )

    def __enter__(self) -> Self:
        self.browser.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            try:
                print(f"the page of {self.name} said: {self.browser.console()}\n{self.report()}")
            except (OSError, AssertionError):
                pass  # the browser is gone; the first error counts
        self.browser.stop()

    def join(self, link: str, within: float = 30.0, without: str = "") -> None:
        """`without` names the sources that stay off: "camera,microphone"."""
        self.open(link, without)
        wait_for(f"{self.name} is in the call", lambda: self.report()["phase"] == "call", within)

    def open(self, link: str, without: str = "") -> None:
        """Opens the page and joins by itself; does not wait for the outcome."""
        address, _, token = link.partition("#")
        self.browser.open("about:blank")  # a change of the fragment alone would load nothing
        self.browser.open(f"{address}?autojoin=1&raw=1&without={without}&name={quote(self.name)}#{token}")
        wait_for("the page has loaded its modules", lambda: self.browser.run("return Boolean(window.hearth)"))

    def report(self) -> dict[str, Any]:
        report: dict[str, Any] = self.browser.run("return window.hearth ? hearth.report() : null") or {}
        return {"phase": "", "words": "", "members": {}, "outbound": [], "connection": "none"} | report

    def member(self, name: str) -> dict[str, Any]:
        """What the page knows of the member `name`; empty when there is none."""
        return next((m | {"id": i} for i, m in self.report()["members"].items() if m["name"] == name), {})

    def video(self, name: str) -> dict[str, Any]:
        """The browser's statistics of the picture of the member `name`; empty before it comes."""
        return self.member(name).get("video") or {}

    def frames(self, name: str) -> int:
        return int(self.video(name).get("framesDecoded", 0))

    def sending(self) -> dict[str, dict[str, Any]]:
        """The browser's statistics of its camera's layers, by rid ("" where there are none)."""
        return {s.get("rid", ""): s for s in self.report()["outbound"] if s["kind"] == "video"}

    def marks(self, name: str, samples: int = 4) -> Counter[int]:
        """Identities read from what the tile of `name` shows, one grab after the other."""
        found: Counter[int] = Counter()
        member = self.member(name).get("id")
        for _ in range(samples):
            grabbed = self.browser.run("return hearth.grab(arguments[0])", member)
            if grabbed is None:
                continue
            width, height = grabbed["width"], grabbed["height"]
            picture = Picture.blank(width, height, 0.0)
            luma = np.frombuffer(base64.b64decode(grabbed["luma"]), np.uint8)
            picture.planes[0][:] = luma.reshape(height, width)
            read = mark.read(picture)
            if read is not None:
                found[read.identity] += 1
        return found

    def tone(self, name: str, seconds: float = 1.0) -> tuple[float, float]:
        """Frequency (Hz) and level (dBFS) of what arrives from `name`."""
        script = "return hearth.listen(arguments[0], arguments[1])"
        heard = self.browser.run(script, self.member(name).get("id"), seconds)
        return (heard["frequency"], heard["level"]) if heard else (0.0, -200.0)

    def kill(self) -> None:
        """End the browser at once, as a crash would."""
        self.browser.kill()

    def click(self, element: str) -> None:
        self.browser.run("document.getElementById(arguments[0]).click()", element)

    def text(self, element: str) -> str:
        return str(self.browser.run("return document.getElementById(arguments[0]).innerText", element))

    def tiles(self) -> list[str]:
        """Names written on the tiles, sorted, without the "(you)" of the own one."""
        script = "return [...document.querySelectorAll('.tile-name')].map((e) => e.textContent)"
        return sorted(str(name).removesuffix(" (you)") for name in self.browser.run(script))


class FirefoxGuest(Guest):
    """The same in Firefox, whose camera and microphone are made by the page itself."""

    def __init__(
        self,
        name: str,
        identity: int,
        frequency: float,
        *,
        size: tuple[int, int] = (fakes.WIDTH, fakes.HEIGHT),
        window: tuple[int, int] = (1280, 720),
        namespace: str | None = None,
        origin: str = "",
    ) -> None:
        self.name, self.identity, self.frequency = name, identity, frequency
        host = urlsplit(origin).hostname or ""
        devices = fakes.page_devices(identity, frequency, size)
        self.browser = Firefox(preload=devices, namespace=namespace, secure=host, size=window)
