"""Answers that never end: the exchange ends on time, keeps nothing, and lets the others go on.

The server is scripted and runs on a thread beside the child process that sends, whose memory and time are measured.
"""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from harness.clock import SystemClock
from loadgen.config import LoadConfig
from loadgen.process import LoadProcess
from loadgen.rows import Outcome, read_folder
from loadgen.stats import whole

HEAD = b"HTTP/1.1 200 OK\r\n"
MIB = 1 << 20

Script = Callable[[socket.socket], None]


def endless(head: bytes, piece: bytes, *, pause_s: float = 0.0) -> Script:
    """Sends the head, then the piece again and again until the client leaves."""

    def answer(peer: socket.socket) -> None:
        quiet = threading.Event()
        peer.sendall(head)
        while not quiet.wait(pause_s) if pause_s else True:
            peer.sendall(piece)

    return answer


@contextmanager
def serving(script: Script) -> Iterator[int]:
    """A server on loopback that answers every connection by the script; its port."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve(peer: socket.socket) -> None:
            with peer, suppress(OSError):  # the client left: that is how a script ends
                peer.recv(65_536)
                script(peer)

        def accept() -> None:
            with suppress(OSError):  # closed below
                while True:
                    peer, _ = listening.accept()
                    threading.Thread(target=serve, args=(peer,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)


EXCHANGE = """
import json, sys, time
import gevent.monkey
gevent.monkey.patch_all()
import gevent
from loadgen.client import Client
from loadgen.config import LoadConfig
from tests.fakes.memory import peak_kib

port, timeout_s = int(sys.argv[1]), float(sys.argv[2])
url = f"127.0.0.1:{port}/"
client = Client(LoadConfig(url=url, rate_per_s=1, duration_s=1, seed=1, timeout_s=timeout_s), connections=1)
turns = 0
def beside():
    global turns
    while True:
        gevent.sleep(0.001)
        turns += 1
gevent.spawn(beside)
gevent.sleep(0.01)
before_kib = peak_kib()
began_s, turns = time.monotonic(), 0
outcome, status = client.exchange()
took_s = time.monotonic() - began_s
grown_kib = peak_kib() - before_kib
answer = {"outcome": outcome, "status": status, "took_s": took_s, "grown_mib": grown_kib / 1024, "turns": turns}
print(json.dumps(answer))
"""


def exchange(port: int, *, timeout_s: float) -> dict[str, float]:
    """One exchange in a process of its own: how it ended, how long it took, and what it cost."""
    command = [sys.executable, "-c", EXCHANGE, str(port), str(timeout_s)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    answer: dict[str, float] = json.loads(done.stdout)
    return answer


@pytest.mark.parametrize(
    ("script", "status"),
    [
        pytest.param(endless(HEAD + b"\r\n", b"x" * MIB), 200, id="a body without a length"),
        pytest.param(endless(HEAD + b"Content-Length: 99999999999\r\n\r\n", b"x" * MIB), 200, id="a long body"),
        pytest.param(
            endless(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"10000\r\n" + b"x" * 0x10000 + b"\r\n"),
            200,
            id="chunks",
        ),
        pytest.param(endless(HEAD, b"X-A: " + b"x" * 1000 + b"\r\n"), 0, id="header lines"),
        pytest.param(endless(HEAD + b"X-A: ", b"x" * MIB), 0, id="one header"),
    ],
)
def test_an_answer_without_an_end_is_cut_and_not_kept(script: Script, status: int) -> None:
    with serving(script) as port:
        seen = exchange(port, timeout_s=20)
    assert (seen["outcome"], seen["status"]) == (Outcome.HTTP_ERROR, status)
    assert seen["grown_mib"] < 16
    assert seen["took_s"] < 10


TINY_CHUNKS = b"1\r\na\r\n"


@pytest.mark.parametrize(
    ("script", "timeout_s"),
    [
        pytest.param(endless(HEAD + b"\r\n", b"x", pause_s=0.005), 0.5, id="a drip"),
        pytest.param(
            endless(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", TINY_CHUNKS * 100_000),
            0.2,
            id="faster than it is read",
        ),
    ],
)
def test_the_timeout_is_kept_while_data_flows(script: Script, timeout_s: float) -> None:
    """Best of three: a machine that stands still for a moment is late for reasons of its own, a reader that does not
    look at the clock is late each time (the second case: by seconds, or for ever).
    """
    late_s = []
    with serving(script) as port:
        for _ in range(3):
            seen = exchange(port, timeout_s=timeout_s)
            assert seen["outcome"] == Outcome.TIMEOUT
            assert seen["turns"] > 5  # others had their turn all the while
            late_s.append(seen["took_s"] - timeout_s)
            if late_s[-1] < 0.1:
                break
    assert -0.01 < min(late_s) < 0.1


def test_a_long_answer_with_an_end_is_a_good_one_up_to_the_limit() -> None:
    def answers(length: int) -> Script:
        head = HEAD + f"Content-Length: {length}\r\n\r\n".encode()
        return lambda peer: peer.sendall(head + b"x" * length)

    for length, outcome in ((7 * MIB, Outcome.OK), (9 * MIB, Outcome.HTTP_ERROR)):
        with serving(answers(length)) as port:
            assert exchange(port, timeout_s=20)["outcome"] == outcome


def test_a_run_against_an_endless_service_has_a_bad_row_for_each_arrival(tmp_path: Path) -> None:
    async def send(port: int) -> None:
        load = LoadProcess(clock=SystemClock())
        try:
            what = LoadConfig(url=f"127.0.0.1:{port}/", rate_per_s=10, duration_s=1, seed=7, timeout_s=5)
            await load.start(what, tmp_path / "load")
            await load.wait()
        finally:
            await load.close()

    with serving(endless(HEAD + b"\r\n", b"x" * MIB)) as port:
        asyncio.run(send(port))
    seen = whole(read_folder(tmp_path / "load"))
    assert seen.due > 0
    assert seen.bad == seen.outcomes[Outcome.HTTP_ERROR] == seen.due
