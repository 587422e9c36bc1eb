"""Members on cables of their own, each of which can be made thin or lossy. Needs root on Linux.

The server lives in one network namespace, each member in another, with a virtual cable to the server. What
netem would do is done by TBF (the rate, and a queue before it) and by a filter of HTB that sends a random
share of the packets into a class that drops everything: some kernels for virtual machines have these and no
netem.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from types import TracebackType

#: ms that a packet may wait before a thin cable: a home router's queue. Raising it shows the server delay
#: long before loss; lowering it turns every burst into loss.
QUEUE_MS = 300
#: kbit/s of a cable that is not thin: no bound that a test could reach.
FREE_KBPS = 1_000_000
#: The classic BPF program of the filter: (code, jump if true, jump if false, operand) each.
_LOAD_RANDOM = (0x20, 0, 0, 0xFFFFF000 + 56)  # a word at SKF_AD_OFF + SKF_AD_RANDOM
_JUMP_IF_GREATER_OR_EQUAL, _RETURN = 0x35, 0x06


def missing() -> str:
    """Why there can be no such network here; empty if there can."""
    if sys.platform != "linux" or shutil.which("ip") is None or shutil.which("tc") is None:
        return "needs Linux and the ip and tc commands"
    if os.geteuid() != 0:
        return "needs root to make network namespaces"
    try:
        with ShapedNetwork(1):
            return ""
    except RuntimeError as error:
        return f"network namespaces or their shaping cannot be used here: {error}"


@dataclass(frozen=True, slots=True)
class Cable:
    """Between the server and one member. `namespace` is the member's; `prefix` puts a command there."""

    namespace: str
    server_namespace: str
    device: str  # the name of both ends
    address: str

    @property
    def prefix(self) -> tuple[str, ...]:
        return ("ip", "netns", "exec", self.namespace)

    def shape(self, down_kbps: int = FREE_KBPS, up_kbps: int = FREE_KBPS, loss_percent: float = 0.0) -> None:
        """From now on at most `down_kbps` (kbit/s) to the member and `up_kbps` from it, and both ways
        `loss_percent` (0..100) of the IP packets lost, each by its own chance."""
        _shape(self.server_namespace, self.device, down_kbps, loss_percent)
        _shape(self.namespace, self.device, up_kbps, loss_percent)

    def free(self) -> None:
        """Takes all limits away."""
        self.shape()

    def dropped(self) -> int:
        """Packets to the member that the queue or the chance has dropped so far."""
        said = _run("tc", "-n", self.server_namespace, "-s", "qdisc", "show", "dev", self.device)
        words = said.replace(",", " ").split()
        return int(words[words.index("(dropped") + 1])  # of the root, which counts all below it


class ShapedNetwork:
    """Context manager: `count` members' cables, and the server at `server` behind `prefix`."""

    def __init__(self, count: int) -> None:
        number = os.getpid() % 60_000
        base = f"10.{140 + number % 50}.{number // 250 % 250}"
        self.namespace = f"hearths{number}"
        self.prefix = ("ip", "netns", "exec", self.namespace)
        self.server = f"{base}.254"
        self.cables = [
            Cable(f"hearth{number}m{index}", self.namespace, f"hm{index}", f"{base}.{4 * index + 2}")
            for index in range(count)
        ]
        self._gateways = [f"{base}.{4 * index + 1}" for index in range(count)]

    def __enter__(self) -> ShapedNetwork:
        try:
            _ip("netns", "add", self.namespace)
            _ip("-n", self.namespace, "link", "set", "lo", "up")
            _ip("-n", self.namespace, "addr", "add", f"{self.server}/32", "dev", "lo")
            for cable, gateway in zip(self.cables, self._gateways, strict=True):
                self._lay(cable, gateway)
        except RuntimeError:
            self._remove()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._remove()

    def _lay(self, cable: Cable, gateway: str) -> None:
        _ip("netns", "add", cable.namespace)
        far = ("peer", "name", cable.device, "netns", cable.namespace)
        _ip("-n", self.namespace, "link", "add", cable.device, "type", "veth", *far)
        for namespace, address in ((self.namespace, gateway), (cable.namespace, cable.address)):
            _ip("-n", namespace, "addr", "add", f"{address}/30", "dev", cable.device)
            _ip("-n", namespace, "link", "set", cable.device, "up")
            _prepare(namespace, cable.device)
        # What the server sends without saying from where must come from the address that members know.
        network = f"{cable.address.rpartition('.')[0]}.{int(cable.address.rpartition('.')[2]) - 2}/30"
        _ip("-n", self.namespace, "route", "replace", network, "dev", cable.device, "src", self.server)
        _ip("-n", cable.namespace, "link", "set", "lo", "up")
        _ip("-n", cable.namespace, "route", "add", "default", "via", gateway)

    def _remove(self) -> None:
        for namespace in (*(cable.namespace for cable in self.cables), self.namespace):
            try:
                _ip("netns", "del", namespace)  # its end of a cable goes with it, and so does the other end
            except RuntimeError:
                pass  # it was never made


def _prepare(namespace: str, device: str) -> None:
    """Class 1:1 carries what goes through; 1:2 drops what the filter's chance sends there."""
    _shape(namespace, device, FREE_KBPS, 0.0, "add")
    bin_class = ("parent", "1:2", "handle", "20:", "bfifo", "limit", "1")
    _run("tc", "-n", namespace, "qdisc", "add", "dev", device, *bin_class)


def _shape(namespace: str, device: str, kbps: int, loss_percent: float, verb: str = "replace") -> None:
    burst = str(max(3000, kbps // 8))  # bytes: two packets, or what a fast cable carries in a millisecond
    queue = str(max(3000, kbps * QUEUE_MS // 8))
    named = ("protocol", "ip", "prio", "1", "handle", "1")  # so that the next one takes its place
    # TBF takes apart what the server sends as one (GSO), as every network card does before a real cable.
    leaf = ("tbf", "rate", f"{kbps}kbit", "burst", burst, "limit", queue)
    steps: list[tuple[str, ...]] = [
        ("qdisc", verb, "parent", "1:1", "handle", "10:", *leaf),
        ("filter", verb, "parent", "1:", *named, *_chance(loss_percent)),
    ]
    if verb == "add":
        steps.insert(0, ("qdisc", "add", "root", "handle", "1:", "htb", "default", "1"))
        steps.insert(1, ("class", "add", "parent", "1:", "classid", "1:2", "htb", "rate", "1kbit"))
        free = ("htb", "rate", f"{FREE_KBPS}kbit", "burst", "125000", "cburst", "125000")
        steps.insert(1, ("class", "add", "parent", "1:", "classid", "1:1", *free))
    for kind, how, *words in steps:
        _run("tc", "-n", namespace, kind, how, "dev", device, *words)


def _chance(loss_percent: float) -> tuple[str, ...]:
    """A filter that sends `loss_percent` of the packets into the class that drops them."""
    least = round(loss_percent / 100 * 0xFFFFFFFF)
    kept, dropped = (_RETURN, 0, 0, 0), (_RETURN, 0, 0, 0xFFFFFFFF)
    program = (_LOAD_RANDOM, (_JUMP_IF_GREATER_OR_EQUAL, 1, 0, least), dropped, kept)
    code = ",".join((str(len(program)), *(" ".join(map(str, line)) for line in program)))
    return ("bpf", "bytecode", code, "flowid", "1:2")


def _ip(*words: str) -> None:
    _run("ip", *words)


def _run(*words: str) -> str:
    try:
        done = subprocess.run(words, check=True, capture_output=True, text=True, timeout=10)
    except subprocess.CalledProcessError as error:
        raise RuntimeError(f"{' '.join(words)}: {error.stderr.strip()}") from error
    return done.stdout
