"""A small HTTP server that misbehaves on order, to prove the load process on. Standard library only.

``python -m tests.load_target --hang`` prints ``{"port": N}`` when it listens; when its stdin ends it prints `Counts` as
one JSON line and exits, so that it neither outlives whoever started it nor has to be asked over the network it is
breaking. `running` does this from Python.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass

_BACKLOG = 4096
"""A frozen server's kernel goes on accepting connections; with a short queue it would refuse some instead."""


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What the server does with a request. `delay_ms`: before it answers; `close_share`: of requests whose connection
    is closed instead (chosen by `seed`); `hang`: never answer; `cut`: announce a body and close within it; `location`:
    redirect to there; `garbage`: answer in another protocol; `certificate`: speak TLS with this PEM file (certificate
    and key).
    """

    status: int = 200
    delay_ms: float = 0.0
    close_share: float = 0.0
    seed: int = 0
    hang: bool = False
    cut: bool = False
    garbage: bool = False
    location: str = ""
    certificate: str = ""


@dataclass(slots=True)
class Counts:
    """What the server saw. `closed`: requests whose connection it closed instead of answering; `connections`: ever
    accepted; `busiest`: most requests on one of them; `heads`: the distinct request heads, at most 8.
    """

    requests: int = 0
    closed: int = 0
    connections: int = 0
    busiest: int = 0
    body_bytes: int = 0
    heads: tuple[str, ...] = ()


class Running:
    """A server in a process of its own, on 127.0.0.1."""

    def __init__(self, process: subprocess.Popen[str], *, port: int) -> None:
        """Made by `running`."""
        self.port = port
        self.pid = process.pid
        self._process = process

    def finish(self) -> Counts:
        """End the server; what it saw."""
        said, _ = self._process.communicate("", timeout=10)
        return Counts(**json.loads(said))

    def kill(self) -> None:
        """SIGKILL: its port answers with refusals afterwards, its counts are lost."""
        self._process.kill()
        self._process.communicate(timeout=10)


@contextmanager
def running(behaviour: Behaviour | None = None, *, port: int = 0) -> Iterator[Running]:
    """A server that listens when the body begins and is gone when it ends. `port` 0: any free one."""
    command = [sys.executable, "-P", __file__, "--port", str(port)]
    for name, value in asdict(behaviour or Behaviour()).items():
        option = "--" + name.replace("_", "-")
        command += ([option] if value else []) if isinstance(value, bool) else [option, str(value)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield Running(process, port=json.loads(process.stdout.readline())["port"])
        finally:
            process.kill()


class _Connection(asyncio.Protocol):
    """One client's connection: requests are cut at the blank line, bodies by Content-Length."""

    def __init__(self, behaviour: Behaviour, *, counts: Counts, draw: random.Random) -> None:
        self._behaviour, self._counts, self._draw = behaviour, counts, draw
        self._received = b""
        self._requests = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._counts.connections += 1

    def data_received(self, data: bytes) -> None:
        self._received += data
        while b"\r\n\r\n" in self._received and not self._transport.is_closing():
            head, rest = self._received.split(b"\r\n\r\n", 1)
            length = _content_length(head)
            if len(rest) < length:
                return
            self._received = rest[length:]
            self._requests += 1
            self._counts.requests += 1
            self._counts.busiest = max(self._counts.busiest, self._requests)
            self._counts.body_bytes += length
            self._remember(head.decode("latin-1"))
            self._answer(close=b"connection: close" in head.lower())

    def _remember(self, head: str) -> None:
        if head not in self._counts.heads and len(self._counts.heads) < 8:
            self._counts.heads += (head,)

    def _answer(self, *, close: bool) -> None:
        how = self._behaviour
        if self._draw.random() < how.close_share:
            self._counts.closed += 1
            self._transport.close()
        elif not how.hang:
            asyncio.get_running_loop().call_later(how.delay_ms / 1e3, self._send, close)

    def _send(self, close: bool) -> None:
        how = self._behaviour
        location = f"Location: {how.location}\r\n" if how.location else ""
        text = f"HTTP/1.1 {how.status} Answer\r\n{location}Content-Length: 2\r\n\r\n{'o' if how.cut else 'ok'}"
        self._transport.write(b"SSH-2.0-nobody\r\n" if how.garbage else text.encode())
        if close or how.cut or how.garbage:
            self._transport.close()


def _content_length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.split(b":", 1)[1])
    return 0


async def serve(behaviour: Behaviour, *, port: int) -> Counts:
    """Listen on 127.0.0.1 (`port` 0: any) until stdin ends; what was seen."""
    loop = asyncio.get_running_loop()
    counts = Counts()
    draw = random.Random(behaviour.seed)
    tls = None
    if behaviour.certificate:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(behaviour.certificate)
    server = await loop.create_server(
        lambda: _Connection(behaviour, counts=counts, draw=draw), "127.0.0.1", port, backlog=_BACKLOG, ssl=tls
    )
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()
    return counts


def main() -> None:
    """Behaviour from the command line: ``--delay-ms 5 --close-share 0.3 --hang ...``, and ``--port``."""
    parser = argparse.ArgumentParser(prog="python -m tests.load_target", description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    for name, default in asdict(Behaviour()).items():
        option = "--" + name.replace("_", "-")
        if isinstance(default, bool):
            parser.add_argument(option, action="store_true")
        else:
            parser.add_argument(option, type=type(default), default=default)
    options = vars(parser.parse_args())
    port = options.pop("port")
    counts = asyncio.run(serve(Behaviour(**options), port=port))
    print(json.dumps(asdict(counts)), flush=True)


if __name__ == "__main__":
    main()
