"""The virtual environment: made once, kept by the hash of its requirement files, mended when half made."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bootstrap import installer
from bootstrap.installer import InstallError, SetupError
from bootstrap.progress import Step, say

STAMP = "hearth-setup.json"

#: The requirement files of each layer, and what a person calls it.
LAYERS: dict[str, tuple[tuple[str, ...], str]] = {
    "app": (("pip.txt", "app.txt"), "the program's packages"),
    "test": (("test.txt",), "the test tools"),
}


@dataclass(frozen=True)
class Environment:
    """The folder that holds Hearth's Python packages, for the checkout at `root`."""

    root: Path
    folder: Path

    @classmethod
    def of(cls, root: Path) -> Environment:
        """`.venv` in the checkout, or `venv` below HEARTH_HOME."""
        home = os.environ.get("HEARTH_HOME")
        return cls(root, Path(home).expanduser().absolute() / "venv" if home else root / ".venv")

    @property
    def python(self) -> Path:
        """The environment's interpreter."""
        return self.folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")

    def fingerprint(self, layer: str) -> str:
        """A hash over the requirement files of `layer`."""
        digest = hashlib.sha256()
        for name in LAYERS[layer][0]:
            digest.update((self.root / "requirements" / name).read_bytes())
        return digest.hexdigest()

    def stamp(self) -> dict[str, Any] | None:
        """What set-up wrote last, or None where it never did. {} when it cannot be read."""
        try:
            told = json.loads((self.folder / STAMP).read_text())
        except FileNotFoundError:
            return None
        except (OSError, ValueError):
            return {}
        return told if isinstance(told, dict) else {}

    def ready(self, layers: tuple[str, ...]) -> bool:
        """Whether nothing is left to do for `layers`. Cheap: it is asked at every start."""
        stamp = self.stamp()
        if not stamp or stamp.get("working") or stamp.get("folder") != str(self.folder):
            return False
        done = stamp.get("layers", {})
        return self.python.exists() and all(done.get(name) == self.fingerprint(name) for name in layers)

    def prepare(self, layers: tuple[str, ...]) -> None:
        """Bring the environment to where `layers` are installed. Raises SetupError."""
        if self.ready(layers):
            return
        try:
            self._prepare(layers)
        except OSError as error:
            raise SetupError(
                f"{self.folder} cannot be written ({error.strerror}). Set HEARTH_HOME to a folder of yours "
                "with 1.5 GB of room, then start again."
            ) from error

    def _prepare(self, layers: tuple[str, ...]) -> None:
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        with _only_one(self.folder.with_name(self.folder.name + ".lock")):
            if self.ready(layers):
                return
            self._clear_if_broken()
            if not self.python.exists():
                self._create()
            stamp = self.stamp() or {}
            done = dict(stamp.get("layers", {}))
            for name in layers:
                if done.get(name) != self.fingerprint(name):
                    self._write_stamp(done, working=name)
                    try:
                        self._install(name)
                    except InstallError as error:
                        if not error.touched:  # what was there before still works
                            self._write_stamp(done, working=None)
                        raise
                    done[name] = self.fingerprint(name)
            self._write_stamp(done, working=None)

    def _write_stamp(self, done: dict[str, str], working: str | None) -> None:
        told = {"folder": str(self.folder), "layers": done, "working": working}
        partial = self.folder / (STAMP + ".partial")
        partial.write_text(json.dumps(told, indent=2))
        partial.replace(self.folder / STAMP)

    def _clear_if_broken(self) -> None:
        """Remove what an interrupted set-up, a moved folder or a vanished Python left behind."""
        if not self.folder.exists():
            return
        stamp = self.stamp()
        if stamp is None:
            if any(self.folder.iterdir()) and not installer.starts(self.python):
                raise SetupError(
                    f"{self.folder} was not made by run.py, and no Python starts in it. Move it away, or set "
                    "HEARTH_HOME to another folder, then start again."
                )
            return
        if not stamp or stamp.get("working"):
            reason = "The last set-up did not finish"
        elif stamp.get("folder") != str(self.folder):
            reason = "The folder was moved"
        elif not installer.starts(self.python):
            reason = "The environment's Python no longer starts"
        else:
            return
        say(f"{reason}, so it is done anew.")
        shutil.rmtree(self.folder)

    def _create(self) -> None:
        with Step("Making the virtual environment") as step:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._write_stamp({}, working="environment")
            installer.make_environment(self.folder, step)

    def _install(self, layer: str) -> None:
        files, title = LAYERS[layer]
        with Step(f"Installing {title}") as step:
            for name in files:
                installer.install(self.python, self.root / "requirements" / name, step)


@contextlib.contextmanager
def _only_one(path: Path) -> Iterator[None]:
    """Hold a lock file, so that two first starts do not build the same folder.

    Child processes inherit it: if this process is killed, its installer goes on writing, and the next start
    waits for that.
    """
    with open(path, "w") as held:
        try:
            import fcntl
        except ImportError:  # Windows: two first starts at once are not guarded there
            yield
            return
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("Another start is setting Hearth up; waiting for it.")
            fcntl.flock(held, fcntl.LOCK_EX)
        os.set_inheritable(held.fileno(), True)
        yield
