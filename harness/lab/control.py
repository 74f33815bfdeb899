"""What a lab's supervisor is asked and answers: one JSON object a line each way over its Unix socket."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from harness.errors import LabError

SOCKET_NAME = "control.sock"
MAX_FDS = 8
"""Listening sockets that may be handed over with one request."""
MAX_REQUEST_BYTES = 1 << 20


class Operation(StrEnum):
    """What the supervisor can be asked to do. All but STATUS and DOWN name programs."""

    STATUS = "status"
    START = "start"  # a new program, or one that it knows and that does not run
    RESTART = "restart"  # SIGKILL, wait for the end, start again
    KILL = "kill"  # SIGKILL and wait until every process below it is gone
    PAUSE = "pause"  # SIGSTOP, with every process below
    RESUME = "resume"
    DOWN = "down"  # kill everything and end


class Run(StrEnum):
    """How a program is."""

    RUNNING = "running"
    PAUSED = "paused"
    KILLED = "killed"  # by command
    DIED = "died"  # by itself: a component that does this is news


@dataclass(frozen=True, slots=True)
class Program:
    """One process to be kept. In `argv` the words ``{0}``, ``{1}`` ... stand for the numbers of its inherited sockets.

    `env` is the whole environment. `log` is appended to. `mirror_ports`: ports of 127.0.0.1 inside the namespace on
    which the supervisor listens for the program, as its sockets after those handed over.
    """

    name: str
    argv: tuple[str, ...]
    cwd: str
    log: str
    env: Mapping[str, str] = field(default_factory=dict)
    mirror_ports: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class ProgramState:
    """A program as the supervisor sees it. `exit`: how it last ended (``exit 1``, ``SIGKILL``), "" if it never did."""

    name: str
    run: Run
    pid: int
    started_unix_s: float
    starts: int
    exit: str


def program_to_json(program: Program) -> dict[str, Any]:
    """For the wire and for launch.json."""
    return asdict(program)


def program_from_json(fields: Mapping[str, Any]) -> Program:
    """What `program_to_json` wrote."""
    return Program(
        name=fields["name"],
        argv=tuple(fields["argv"]),
        cwd=fields["cwd"],
        log=fields["log"],
        env=dict(fields["env"]),
        mirror_ports=tuple(fields["mirror_ports"]),
    )


def ask(
    sockets: Path,
    operation: Operation,
    *,
    names: Sequence[str] = (),
    programs: Sequence[Program] = (),
    fds: Sequence[int] = (),
    timeout_s: float = 30.0,
) -> list[ProgramState]:
    """Asks the supervisor whose sockets' folder is given; its answer is the state of the programs concerned.

    `fds` are handed over for the first of `programs`. LabError when it is not there, or says what is wrong.
    """
    request = {"operation": operation, "names": list(names), "programs": [program_to_json(each) for each in programs]}
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(timeout_s)
            connection.connect(str(sockets / SOCKET_NAME))
            line = json.dumps(request).encode() + b"\n"
            sent = socket.send_fds(connection, [line], list(fds)) if fds else 0
            if sent < len(line):  # an empty send fails when the answer is there already
                connection.sendall(line[sent:])
            with connection.makefile("rb") as stream:
                answer = stream.readline()
    except OSError as error:
        raise LabError(f"the lab's supervisor does not answer ({error}): see `taintlab lab list`") from error
    if not answer:
        raise LabError("the lab's supervisor ended while it was asked: see `taintlab lab list`")
    fields = json.loads(answer)
    if fields.get("error"):
        raise LabError(fields["error"])
    return [ProgramState(**{**each, "run": Run(each["run"])}) for each in fields["programs"]]
