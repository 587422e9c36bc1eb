"""The bundled server's process: started, announced, ended; every failure is a sentence."""

from __future__ import annotations

import json
import os
import sys
import threading

import pytest

from client.services.embedded import EmbeddedServer, ServerError

GOOD = json.dumps(
    {"url": "http://127.0.0.1:7", "port": 7, "udp_port": 8, "owner_key": "top-secret-key", "pid": 1}
)


def server(code: str, timeout: float = 20.0) -> EmbeddedServer:
    """A server whose program is `code`."""
    return EmbeddedServer([sys.executable, "-c", code], ready_timeout=timeout)


def test_it_announces_itself_and_ends_when_its_input_closes() -> None:
    made = server(f"import sys; print('{GOOD}', flush=True); sys.stdin.read()")
    said = made.start()
    process = made._process
    assert process is not None
    assert (said.url, said.port, said.udp_port) == ("http://127.0.0.1:7", 7, 8)
    assert made.alive
    assert made.start() is said  # it runs already
    assert "top-secret-key" not in repr(said)
    made.stop()
    assert process.returncode == 0  # it ended by itself, nobody had to kill it
    assert not made.alive
    made.stop()


def test_one_that_died_is_started_again_on_its_ports_with_its_memory() -> None:
    # It says with which arguments it was started, and once more when that is asked for.
    made = server(
        f"import json, os, sys; good = json.loads('{GOOD}'); args = sys.argv[1:];"
        "good['url'] = ' '.join(args); good['pid'] = os.getpid();"
        "print(json.dumps(good), flush=True); sys.stdin.read()"
    )
    first = made.start()
    assert "--state" in first.url
    assert "--port 7" not in first.url
    assert made._process is not None
    made._process.kill()
    while (again := made._announcement) is None or again is first:
        made._unwanted.wait(0.01)
    assert again.pid != first.pid
    assert "--port 7 --udp-port 8" in again.url
    assert first.url in again.url  # the same memory
    memory = first.url.split("--state ")[1].split()[0]
    assert os.path.isdir(os.path.dirname(memory))
    made.stop()
    assert not made.alive
    assert not os.path.exists(os.path.dirname(memory))


def test_one_that_dies_each_time_stays_down() -> None:
    made = server(f"print('{GOOD}', flush=True)")
    made.start()
    made.stop()
    assert not made.alive


def test_start_brings_back_one_that_stayed_down() -> None:
    made = server(f"import sys; print('{GOOD}', flush=True); sys.stdin.read()")
    first = made.start()
    made._unwanted.set()  # as if its tries were used up
    assert made._process is not None
    made._process.kill()
    made._process.wait()
    assert made.start() is not first
    assert made.alive
    made.stop()


def test_one_that_keeps_silent_is_given_up() -> None:
    made = server("import time; time.sleep(60)", timeout=0.3)
    with pytest.raises(ServerError, match="did not start within 0 seconds"):
        made.start()
    assert not made.alive


@pytest.mark.parametrize(
    "line", ["", "hello", "[]", "7", '{"url": 1}', GOOD.replace("7,", '"x",'), "x" * 9000]
)
def test_an_announcement_that_makes_no_sense_is_a_sentence(line: str) -> None:
    with pytest.raises(ServerError, match=r"^The meeting server ended before it was ready"):
        server(f"print({line!r}, flush=True)").start()


def test_stopping_ends_a_start_that_still_waits() -> None:
    made = server("import time; time.sleep(60)", timeout=60)
    ended = threading.Event()

    def start() -> None:
        with pytest.raises(ServerError):
            made.start()
        ended.set()

    starter = threading.Thread(target=start)
    starter.start()
    while made._process is None:
        ended.wait(0.01)
    made.stop()
    starter.join(20)
    assert ended.is_set()
    assert not made.alive


def test_its_last_words_are_kept() -> None:
    made = server("import sys; sys.exit('the port is taken')")
    with pytest.raises(ServerError, match="It said: the port is taken"):
        made.start()


def test_a_flood_of_complaints_neither_stops_it_nor_fills_the_memory() -> None:
    flood = "import sys; sys.stderr.write(('x' * 500 + chr(10)) * 2000)"
    made = server(f"{flood}; print('{GOOD}', flush=True); sys.stdin.read()")
    made.start()
    made.stop()
    assert len(made.complaints) == 20
    assert max(map(len, made.complaints)) == 300


def test_a_program_that_is_missing_is_a_sentence() -> None:
    made = EmbeddedServer([os.path.join("no", "such", "program")])
    with pytest.raises(ServerError, match="could not start the meeting server"):
        made.start()
