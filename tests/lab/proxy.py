"""A TCP proxy on 127.0.0.1 that makes bad weather on the way to a real API server.

TLS passes through it as it is, so it can act on connections and on bytes, not on requests: hold them (`stall`: the
connection stays open and not a byte moves, as behind a NAT that forgot it), be late with them (`delay`), `cut` them
(RST), `refuse` new ones. A change has taken effect when the call returns.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import threading
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar
from urllib.parse import urlsplit

CONTEXT = "proxied"
"""The context of the kubeconfigs that `Proxy.kubeconfig` writes."""
_CHUNK = 65536
_CHUNKS_HELD = 4096
_CALL_S = 10.0
_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER on, for 0 s: closing then sends RST."""

_T = TypeVar("_T")


@dataclass(eq=False, slots=True)
class Link:
    """One connection and its other half. `held`: bytes that came and were not passed on at once."""

    streams: tuple[asyncio.StreamWriter, asyncio.StreamWriter]
    flowing: asyncio.Event
    delay_s: float = 0.0
    held: int = 0
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    async def pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, answers: bool) -> None:
        """Pass on what comes, the end too, in order and when it is due. Only `answers` are delayed."""
        chunks: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_CHUNKS_HELD)
        taking = asyncio.create_task(self._take(reader, chunks, answers=answers))
        loop = asyncio.get_running_loop()
        try:
            while True:
                due_s, chunk = await chunks.get()
                if due_s > loop.time():
                    await asyncio.sleep(due_s - loop.time())
                await self.flowing.wait()
                if not chunk:
                    return
                writer.write(chunk)
                await writer.drain()
        finally:
            taking.cancel()
            await asyncio.gather(taking, return_exceptions=True)

    async def _take(
        self, reader: asyncio.StreamReader, chunks: asyncio.Queue[tuple[float, bytes]], *, answers: bool
    ) -> None:
        chunk = b"x"
        while chunk:
            try:
                chunk = await reader.read(_CHUNK)
            except OSError:  # reset by its peer: an end like any other
                chunk = b""
            delay_s = self.delay_s if answers else 0.0
            if delay_s or not self.flowing.is_set():
                self.held += len(chunk)
            await chunks.put((asyncio.get_running_loop().time() + delay_s, chunk))

    def reset(self) -> None:
        """RST to both ends, now."""
        for writer in self.streams:
            sock = writer.get_extra_info("socket")
            if sock is not None:
                with suppress(OSError):  # it has ended by itself
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            writer.transport.abort()


class Proxy:
    """In front of one server, in a thread of its own; a context manager. It begins in fair weather."""

    def __init__(self, host: str, port: int) -> None:
        """Where the server is."""
        self._server_at = (host, port)
        # Never listens: it keeps the port ours while connections are refused.
        self._place = _bound(0)
        self.port: int = self._place.getsockname()[1]
        self.accepted = 0
        self._links: list[Link] = []
        self._stalled, self._delay_s = False, 0.0
        self._server: asyncio.Server | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)

    def __enter__(self) -> Proxy:
        self._thread.start()
        self._call(self._listen())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._call(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_CALL_S)
        self._loop.close()
        self._place.close()

    @property
    def held(self) -> int:
        """Bytes that were stalled or delayed so far, over all connections."""
        return sum(link.held for link in list(self._links))

    def stall(self) -> None:
        """From now on no byte moves, either way, on any connection; new ones are accepted and stall as well."""
        self._call(self._set_stalled(True))

    def stall_open_ones(self) -> None:
        """The connections that are open now stall, for good; new ones are as before."""
        self._call(self._stall_links())

    def go_on(self) -> None:
        """End of a stall: what was held is passed on."""
        self._call(self._set_stalled(False))

    def delay(self, seconds: float) -> None:
        """From now on whatever the server sends is passed on so much later; what is asked of it is not."""
        self._call(self._set_delay(seconds))

    def cut(self) -> None:
        """RST to both ends of every connection. New ones are as before."""
        self._call(self._reset_all())

    def refuse(self) -> None:
        """New connections are refused until `accept`; open ones are as before."""
        self._call(self._stop_listening())

    def accept(self) -> None:
        """New connections are accepted again."""
        self._call(self._listen())

    def kubeconfig(self, original: Path, path: Path) -> Path:
        """Writes a lab's kubeconfig `original` to `path`, with this proxy for its server and a context `CONTEXT`. The
        API server's certificate is good for 127.0.0.1 at any port.
        """
        config = json.loads(original.read_text())
        (cluster,), (context,) = config["clusters"], config["contexts"]
        cluster["cluster"]["server"] = f"https://127.0.0.1:{self.port}"
        context["name"] = config["current-context"] = CONTEXT
        path.touch(mode=0o600)
        path.write_text(json.dumps(config))
        return path

    def _call(self, work: Coroutine[Any, Any, _T]) -> _T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_CALL_S)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._link, sock=_bound(self.port))

    async def _stop_listening(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _set_stalled(self, stalled: bool) -> None:
        self._stalled = stalled
        for link in self._links:
            if stalled:
                link.flowing.clear()
            else:
                link.flowing.set()

    async def _stall_links(self) -> None:
        for link in self._links:
            link.flowing.clear()

    async def _set_delay(self, seconds: float) -> None:
        self._delay_s = seconds
        for link in self._links:
            link.delay_s = seconds

    async def _reset_all(self) -> None:
        for link in self._links:
            link.reset()

    async def _link(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        try:
            from_server, to_server = await asyncio.open_connection(*self._server_at)
        except OSError:
            writer.transport.abort()
            return
        flowing = asyncio.Event()
        if not self._stalled:
            flowing.set()
        link = Link((writer, to_server), flowing, self._delay_s)
        pumps = (link.pump(reader, to_server, answers=False), link.pump(from_server, writer, answers=True))
        link.tasks = [asyncio.create_task(pump) for pump in pumps]
        self._links.append(link)
        # Whoever ends first ends both: TLS has no half-open connections that anybody here relies on.
        await asyncio.wait(link.tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in link.tasks:
            task.cancel()
        await asyncio.gather(*link.tasks, return_exceptions=True)
        for stream in link.streams:
            stream.close()

    async def _end(self) -> None:
        await self._stop_listening()
        await self._reset_all()
        for task in [task for link in self._links for task in link.tasks]:
            task.cancel()  # their connection's own task then ends by itself
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        if rest:
            await asyncio.wait(rest, timeout=_CALL_S / 2)


def proxy_to(kubeconfig: Path) -> Proxy:
    """A proxy in front of the API server of a lab's kubeconfig."""
    url = urlsplit(json.loads(kubeconfig.read_text())["clusters"][0]["cluster"]["server"])
    return Proxy(str(url.hostname), int(url.port or 443))


def _bound(port: int) -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.bind(("127.0.0.1", port))
    return made
