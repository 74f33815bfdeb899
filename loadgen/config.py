"""What one run of the load process sends: `LoadConfig`, and its JSON file.

The child is told it in its first line and refuses the same mistakes as the harness, all of them in one message. The
file in the run folder is for whoever judges: without header values, body and secrets of the URL.
"""

from __future__ import annotations

import base64
import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from harness.errors import InvalidFile, UsageError
from harness.files import write_whole
from harness.history.redact import hashed, redact_url
from harness.history.strict import read_json
from loadgen.rows import MAX_ROWS

MAX_ARRIVALS = MAX_ROWS
"""Most planned arrivals of one run: 160 MB of schedule and 640 MB of rows, about what a reader can still sort."""

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_FIELD_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_PATH = re.compile(r"/[\x21-\x7e]*")
_RESERVED = frozenset(("connection", "content-length", "transfer-encoding", "expect", "upgrade"))


class ArrivalKind(StrEnum):
    """How intended starts are spread: exponential gaps, or one every 1/rate seconds."""

    POISSON = "poisson"
    UNIFORM = "uniform"


class ConnectionKind(StrEnum):
    """Keep connections and go round them, or open one for each request. A Service balances connections, not requests,
    so this decides which pods are asked.
    """

    REUSE = "reuse"
    PER_REQUEST = "per-request"


@dataclass(frozen=True, slots=True)
class Address:
    """Where `LoadConfig.url` points. `host` has no brackets; `literal` tells an IP address from a name to resolve."""

    tls: bool
    host: str
    port: int
    path: str
    literal: bool


@dataclass(frozen=True, slots=True)
class LoadConfig:
    """One run of traffic. Raises UsageError naming every field that cannot be meant.

    - `url`: ``host:port/path``, optionally with ``http://`` or ``https://`` in front. Names are resolved each time a
      connection is made. TLS is verified against the system's certificates (or ``SSL_CERT_FILE``).
    - `rate_per_s`: arrivals a second over all processes; `duration_s`: the planned length, a run may be stopped before.
    - `seed`: same seed, rate, duration and kind give the same schedule, whatever `processes` is.
    - `timeout_s`: for one request in all: resolving, connecting, sending and reading the whole answer.
    - `threshold_s`: an SLO's latency threshold, only for the live count of bad events (`Second.slo_bad`). None: none.
    - `connections`: with ``reuse``, how many connections are kept (over all processes) and used in turn. Taking the
      most recently used one instead would send everything through one connection to one pod.
    - `closed_users`: None is the open model. A number replaces it by that many of Locust's ordinary users, who wait
      for their answer before they send again: the control that shows what such a client hides.
    - `ok_statuses`: inclusive ranges that are not failures. Redirects are answers; they are never followed.
    - `max_in_flight`: unanswered requests at which an arrival is dropped rather than delayed, over all processes.
      None: enough for `timeout_s` of silence, and half as much again.
    """

    url: str
    rate_per_s: float
    duration_s: float
    seed: int
    name: str = "load"
    method: str = "GET"
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    timeout_s: float = 10.0
    threshold_s: float | None = None
    arrivals: ArrivalKind = ArrivalKind.POISSON
    connection: ConnectionKind = ConnectionKind.REUSE
    connections: int = 32
    processes: int = 1
    closed_users: int | None = None
    ok_statuses: tuple[tuple[int, int], ...] = ((200, 399),)
    max_in_flight: int | None = None

    def __post_init__(self) -> None:
        problems = [*_number_problems(self), *_request_problems(self)]
        try:
            parse_url(self.url)
        except ValueError as error:
            problems.insert(0, f"url: {error}")
        if problems:
            raise UsageError(f"load {self.name!r} cannot be sent: " + "; ".join(problems))

    @property
    def address(self) -> Address:
        """`url`, taken apart."""
        return parse_url(self.url)

    @property
    def in_flight_cap(self) -> int:
        """Unanswered requests, over all processes, at which arrivals are dropped."""
        if self.max_in_flight is not None:
            return self.max_in_flight
        return max(500, math.ceil(1.5 * self.rate_per_s * self.timeout_s))

    def is_ok(self, status: int) -> bool:
        """Whether an answer with this status is a success."""
        return any(low <= status <= high for low, high in self.ok_statuses)

    def request_bytes(self) -> bytes:
        """The request as it goes over the wire; all requests of a run are the same bytes."""
        address = self.address
        given = {name.lower() for name, _ in self.headers}
        lines = [f"{self.method} {address.path} HTTP/1.1"]
        if "host" not in given:
            host = f"[{address.host}]" if ":" in address.host else address.host
            lines.append(
                f"Host: {host}" if address.port == (443 if address.tls else 80) else f"Host: {host}:{address.port}"
            )
        if "user-agent" not in given:
            lines.append("User-Agent: taintlab")
        lines.extend(f"{name}: {value}" for name, value in self.headers)
        if self.connection is ConnectionKind.PER_REQUEST:
            lines.append("Connection: close")
        if self.body or self.method in ("POST", "PUT", "PATCH"):
            lines.append(f"Content-Length: {len(self.body)}")
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + self.body

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; the body as base64."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return values | {
            "headers": [list(pair) for pair in self.headers],
            "body": base64.b64encode(self.body).decode("ascii"),
            "ok_statuses": [list(pair) for pair in self.ok_statuses],
        }

    @classmethod
    def from_json(cls, values: object) -> LoadConfig:
        """The inverse of `to_json`. Raises UsageError on anything else."""
        if not isinstance(values, dict):
            raise UsageError("load config: expected a JSON object")
        if unknown := sorted(set(values) - {field.name for field in fields(cls)}):
            raise UsageError(f"load config: unknown keys {', '.join(unknown)}")
        try:
            given = dict(values)
            for key, convert in _FROM_JSON.items():
                if key in given:
                    given[key] = convert(given[key])
            return cls(**given)
        except (TypeError, ValueError, OverflowError, AttributeError) as error:
            raise UsageError(f"load config: {error}") from error

    def redacted(self) -> LoadConfig:
        """The same, with `hashed` in the place of header values and body, and of user and query of the URL."""
        headers = tuple((name, hashed(value)) for name, value in self.headers)
        body = hashed(self.body.decode("latin-1")).encode() if self.body else b""
        return replace(self, url=redact_url(self.url), headers=headers, body=body)

    def write(self, path: Path) -> None:
        """Write the JSON file, for the owner alone; an existing one is replaced."""
        write_whole(path, (json.dumps(self.to_json(), indent=1) + "\n").encode())

    @classmethod
    def read(cls, path: Path) -> LoadConfig:
        """Read what `write` wrote. Raises UsageError when it is missing or is not a load config."""
        try:
            return cls.from_json(read_json(path))
        except (UsageError, InvalidFile) as error:
            raise UsageError(f"{path}: cannot be read as a load config: {error}") from error


def parse_url(url: str) -> Address:
    """``[http[s]://]host[:port][/path][?query]`` to its parts. Raises ValueError saying what is wrong."""
    parts = urlsplit(url if "://" in url else f"http://{url}")
    if parts.scheme not in ("http", "https"):
        raise ValueError(f"{url!r}: only http and https are spoken")
    if parts.username is not None or parts.fragment:
        raise ValueError(f"{url!r}: write host:port/path, without user or fragment (use the Authorization header)")
    host = parts.hostname
    if not host:
        raise ValueError(f"{url!r}: no host in it, expected host:port/path")
    host.encode("idna")
    path = parts.path or "/"
    if parts.query:
        path += f"?{parts.query}"
    if not _PATH.fullmatch(path):
        raise ValueError(f"{url!r}: the path must be printable ASCII without spaces (percent-encode it)")
    tls = parts.scheme == "https"
    try:
        ip_address(host)
        literal = True
    except ValueError:
        literal = False
    port = parts.port
    if port == 0:
        raise ValueError(f"{url!r}: port 0 is no port to connect to")
    return Address(tls=tls, host=host, port=port or (443 if tls else 80), path=path, literal=literal)


def _number_problems(config: LoadConfig) -> list[str]:
    """What is wrong with the numbers, one sentence each."""
    rules = [
        (0 < config.rate_per_s <= 100_000, "rate_per_s must be above 0 and at most 100000"),
        (0 < config.duration_s <= 7 * 86_400, "duration_s must be above 0 and at most a week"),
        (0 < config.timeout_s <= 600, "timeout_s must be above 0 and at most 600"),
        (config.threshold_s is None or config.threshold_s > 0, "threshold_s must be above 0"),
        (1 <= config.processes <= 64, "processes must be 1 to 64"),
        (1 <= config.connections <= 10_000, "connections must be 1 to 10000"),
        (config.closed_users is None or 1 <= config.closed_users <= 10_000, "closed_users must be 1 to 10000"),
        (config.closed_users is None or config.processes == 1, "closed_users needs processes: 1"),
        (config.max_in_flight is None or config.max_in_flight >= config.processes, "max_in_flight is below processes"),
        (bool(config.ok_statuses), "ok_statuses is empty: every answer would be a failure"),
        (all(100 <= low <= high <= 599 for low, high in config.ok_statuses), "ok_statuses must be ranges in 100-599"),
    ]
    problems = [message for holds, message in rules if not holds]
    if not problems and config.rate_per_s * config.duration_s > MAX_ARRIVALS:
        problems.append(f"rate_per_s x duration_s is more than {MAX_ARRIVALS} arrivals; split the run")
    return problems


def _request_problems(config: LoadConfig) -> list[str]:
    """What is wrong with method and headers, one sentence each."""
    problems = []
    if not re.fullmatch(r"[A-Z]+", config.method):
        problems.append(f"method {config.method!r} must be upper-case letters")
    for name, value in config.headers:
        if not _TOKEN.fullmatch(name):
            problems.append(f"header name {name!r} is not a token")
        elif name.lower() in _RESERVED:
            problems.append(f"header {name!r} is set by the load process itself")
        if not _FIELD_VALUE.fullmatch(value):
            problems.append(f"header {name!r}: its value holds a line break or a character outside latin-1")
    return problems


def _pairs(values: Any) -> tuple[tuple[Any, Any], ...]:
    return tuple((first, second) for first, second in values)


_FROM_JSON: Mapping[str, Callable[[Any], Any]] = {
    "arrivals": ArrivalKind,
    "connection": ConnectionKind,
    "headers": _pairs,
    "body": lambda text: base64.b64decode(text, validate=True),
    "ok_statuses": _pairs,
}
