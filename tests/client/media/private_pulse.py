"""A sound server of our own for one test: a hall that swallows sound and a microphone that hears it."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

_OPTIONS = ("-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no")
_EAR = "source_name=ear source_properties=device.description=Ear"


class PrivatePulse:
    """PulseAudio with a null sink "Hall" and a source "Ear" that hears what the hall plays."""

    def __init__(self) -> None:
        # Socket paths are short by law, test folders are long.
        self._folder = Path(tempfile.mkdtemp(prefix="pulse-"))
        self._socket = self._folder / "native"
        self._log = (self._folder / "log").open("wb")
        self._process = subprocess.Popen(
            ["pulseaudio", *_OPTIONS, *(f"--load={module}" for module in self._modules())],
            stdout=self._log,
            stderr=self._log,
            env={
                "PATH": "/usr/local/bin:/usr/bin:/bin",
                "HOME": str(self._folder),
                "XDG_RUNTIME_DIR": str(self._folder),
                "PULSE_RUNTIME_PATH": str(self._folder),
            },
        )

    def _modules(self) -> list[str]:
        return [
            f"module-native-protocol-unix auth-anonymous=1 socket={self._socket}",
            "module-null-sink sink_name=hall rate=48000 sink_properties=device.description=Hall",
            f"module-remap-source master=hall.monitor {_EAR}",
        ]

    @property
    def server(self) -> str:
        """For PULSE_SERVER."""
        return f"unix:{self._socket}"

    def wait(self, seconds: float = 15.0) -> None:
        """Until it takes connections. Raises RuntimeError with its log if it does not."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and self._process.poll() is None:
            with socket.socket(socket.AF_UNIX) as door:
                try:
                    door.connect(str(self._socket))
                except OSError:
                    time.sleep(0.02)
                else:
                    return
        self._log.flush()
        raise RuntimeError((self._folder / "log").read_text())

    def kill(self) -> None:
        """As if the sound server crashed."""
        self._process.kill()
        self._process.wait(5.0)

    def close(self) -> None:
        """End it and remove its folder."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(5.0)
            except subprocess.TimeoutExpired:
                self.kill()
        self._log.close()
        shutil.rmtree(self._folder, ignore_errors=True)


def available() -> bool:
    """Whether the program pulseaudio is installed."""
    return shutil.which("pulseaudio") is not None
