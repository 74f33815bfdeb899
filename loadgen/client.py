"""One HTTP/1.1 exchange: sent once, awaited within one deadline, classified. Runs in the child only (gevent).

Locust's own clients are not used because each of them lies a little about a failing service: FastHttpUser's
geventhttpclient sends idempotent requests again when a connection breaks (30 % of connections closed unanswered were
reported as no failure at all), HttpUser has no timeout, both follow redirects. Here is no loop around sending: an
exchange ends with its first failure. Parsing answers is left to geventhttpclient's parser (llhttp). Nothing of an
answer is kept: its bytes are counted, and one of more than MAX_ANSWER_BYTES is a failure.
"""

from __future__ import annotations

import errno
import select
import socket
import ssl
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import gevent
import gevent.monkey
import gevent.socket
import gevent.ssl
from geventhttpclient.response import HTTPParseError, HTTPResponse

from loadgen.config import ConnectionKind, LoadConfig
from loadgen.rows import Outcome

Answer = tuple[Outcome, int]
"""How an exchange ended, and the HTTP status (0: none)."""

_OURS = frozenset((errno.EMFILE, errno.ENFILE, errno.EADDRNOTAVAIL, errno.ENOBUFS, errno.ENOMEM))
"""Errors of opening a connection that this machine is to blame for: no files, ports or memory left."""

MAX_ANSWER_BYTES = 8 * 1024 * 1024
"""The longest answer, heads included. A service that never ends one must not fill this machine's memory or its time."""
_MAX_HEAD_BYTES = 256 * 1024
"""How much may come before the end of an answer's head: heads, unlike bodies, are kept until they are complete."""
_READ_BYTES = 65_536
_poll: Callable[[], select.poll] = gevent.monkey.get_original("select", "poll")


class Client:
    """Sends one fixed request to one address, any number of exchanges at a time (one greenlet each).

    With ``reuse`` it behaves like `connections` clients with one kept connection each, who take turns, the longest
    idle first: each connects when it has no connection or finds its own closed, before sending anything. When all of
    them are busy, an exchange gets a connection of its own, closed afterwards.
    """

    def __init__(self, config: LoadConfig, *, connections: int) -> None:
        """`connections`: how many to keep, this process's share. Does not connect yet."""
        self._address = config.address
        self._is_ok = config.is_ok
        self._method = config.method
        self._request = config.request_bytes()
        self._timeout_s = config.timeout_s
        kept = connections if config.connection is ConnectionKind.REUSE else 0
        self._idle: deque[Any] = deque([None] * kept)
        self._tls = gevent.ssl.create_default_context() if self._address.tls else None
        self._known = _literal_address(self._address.host, self._address.port) if self._address.literal else None

    def exchange(self) -> Answer:
        """Send the request and read the whole answer. Raises nothing that the service can cause."""
        kept = bool(self._idle)
        sock = self._idle.popleft() if kept else None
        reusable = False
        failure = Outcome.CONNECT_ERROR
        deadline_s = time.monotonic() + self._timeout_s
        timer = gevent.Timeout.start_new(self._timeout_s)
        try:
            if sock is None or not _is_quiet(sock):
                _close(sock)
                sock = None
                sock = self._connect()
            failure = Outcome.RESET
            sock.sendall(self._request)
            answer = _read_answer(sock, _Answer(self._method), deadline_s=deadline_s, late=timer)
            reusable = not answer.should_close()
            status = answer.get_code()
            return (Outcome.OK if self._is_ok(status) else Outcome.HTTP_ERROR), status
        except gevent.Timeout as timeout:
            if timeout is not timer:
                raise
            return Outcome.TIMEOUT, 0
        except HTTPParseError:
            return Outcome.HTTP_ERROR, 0
        except _TooLong as answer_end:
            return Outcome.HTTP_ERROR, answer_end.status
        except OSError as error:
            return (_connect_failure(error) if failure is Outcome.CONNECT_ERROR else failure), 0
        finally:
            timer.close()
            if not (kept and reusable):
                _close(sock)
                sock = None
            if kept:
                self._idle.append(sock)

    def _connect(self) -> Any:
        """Try the addresses of the name in order, like any client; the last one's error is the one raised."""
        address = self._address
        infos = self._known or gevent.socket.getaddrinfo(address.host, address.port, 0, socket.SOCK_STREAM)
        last = OSError(errno.EHOSTUNREACH, "the name has no address")
        for family, kind, proto, _, where in infos:
            sock = gevent.socket.socket(family, kind, proto)
            try:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                sock.connect(where)
                return sock if self._tls is None else self._tls.wrap_socket(sock, server_hostname=address.host)
            except OSError as error:
                sock.close()
                last = error
            except BaseException:
                sock.close()
                raise
        raise last


def _close(sock: Any) -> None:
    if sock is not None:
        sock.close()


class _TooLong(Exception):
    """The answer is longer than is read; `status`: what it began with, 0 when its head had not ended."""

    def __init__(self, status: int) -> None:
        self.status = status


class _Answer(HTTPResponse):
    """Parses an answer and drops its body as it comes."""

    def is_final(self) -> bool:
        """Whether it is complete; 1xx answers only precede the real one."""
        return bool(self.message_complete and self.get_code() >= 200)

    def _on_body(self, buf: bytearray) -> None:
        """Called by the parser, which would keep it."""


def _read_answer(sock: Any, answer: _Answer, *, deadline_s: float, late: gevent.Timeout) -> _Answer:
    """Read until the final answer is complete. Raises ConnectionResetError when the connection ends before that,
    `late` once the monotonic clock has reached `deadline_s`, and _TooLong.

    While there is data, `recv` returns at once and never lets gevent's loop run: its timers, this exchange's among
    them, would wait, and so would all other exchanges. So every read but the first is waited for in the loop: no time
    lost when there is data (`gevent.sleep(0)` would not do: up to 50 such turns come before the loop looks at timers).
    """
    received = 0
    while not answer.is_final():
        if received:
            _wait_in_loop(sock)
            if time.monotonic() >= deadline_s:
                raise late
        data = sock.recv(_READ_BYTES)
        if not data:
            if answer.headers_complete:
                _feed_end(answer)
            if not answer.is_final():
                raise ConnectionResetError(errno.ECONNRESET, "closed before the answer was complete")
            return answer
        received += len(data)
        answer.feed(data)
        if received > MAX_ANSWER_BYTES or (received > _MAX_HEAD_BYTES and not answer.headers_complete):
            raise _TooLong(answer.get_code() if answer.headers_complete else 0)
    return answer


def _wait_in_loop(sock: Any) -> None:
    """Return when there is something to read, and not before gevent's loop has had a turn."""
    decrypted = sock.pending() if isinstance(sock, ssl.SSLSocket | gevent.ssl.SSLSocket) else 0
    if not decrypted:
        gevent.socket.wait_read(sock.fileno())


def _feed_end(answer: _Answer) -> None:
    """Tell the parser that the connection ended, which completes an answer without a length and no other."""
    try:
        answer.feed(b"")
    except HTTPParseError as error:
        raise ConnectionResetError(errno.ECONNRESET, "closed within the answer's body") from error


def _is_quiet(sock: Any) -> bool:
    """Whether an idle connection is still open: nothing to read, not even its end."""
    poll = _poll()
    poll.register(sock, select.POLLIN | select.POLLRDHUP)
    return not poll.poll(0)


def _connect_failure(error: OSError) -> Outcome:
    if isinstance(error, socket.gaierror | ssl.SSLError):
        return Outcome.CONNECT_ERROR
    if isinstance(error, ConnectionRefusedError):
        return Outcome.CONNECT_REFUSED
    return Outcome.DROPPED if error.errno in _OURS else Outcome.CONNECT_ERROR


def _literal_address(host: str, port: int) -> list[Any]:
    """What getaddrinfo says about an IP address, asked once: it needs no resolver."""
    return socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM, 0, socket.AI_NUMERICHOST)
