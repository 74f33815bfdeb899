"""The supervisor as a parent of plain processes: no Kubernetes here, but real processes, signals and sockets."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.errors import LabError
from harness.files import write_whole
from harness.lab import control, launch
from harness.lab.control import Operation, Program, ProgramState, Run
from harness.lab.processes import LAB_VARIABLE, ProcessId, started_for

SLEEPER = "sleep 60 & sleep 60; wait"
"""A shell with a child: what a runtime with a container looks like from outside."""
WAIT_S = 60.0


@dataclass(slots=True)
class Running:
    """A supervisor at work in a folder of its own, in the caller's network."""

    folder: Path
    me: ProcessId
    lab_id: str

    def program(self, name: str, *argv: str, **more: tuple[int, ...]) -> Program:
        """A program of this lab."""
        env = {LAB_VARIABLE: self.lab_id, "PATH": os.environ["PATH"]}
        cwd, log = str(self.folder), str(self.folder / f"{name}.log")
        return Program(name=name, argv=argv, cwd=cwd, log=log, env=env, **more)

    def ask(
        self, operation: Operation, *names: str, programs: tuple[Program, ...] = (), fds: tuple[int, ...] = ()
    ) -> ProgramState:
        """The state of the (last) program that was asked about."""
        return control.ask(self.folder, operation, names=names, programs=programs, fds=fds)[-1]


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    """A supervisor with one program, `sleeper`; whatever is left of it is killed at the end."""
    lab_id = f"test-{os.getpid()}-{tmp_path.name}"
    first = Running(tmp_path, ProcessId(0, 0), lab_id)
    sleeper = first.program("sleeper", "sh", "-c", SLEEPER)
    content = {
        "socket": str(tmp_path / control.SOCKET_NAME),
        "setup": [["true"]],
        "programs": [control.program_to_json(sleeper)],
        "fds": {},
    }
    file = tmp_path / "launch.json"
    write_whole(file, json.dumps(content).encode())
    read_end, write_end = os.pipe()
    env = {**os.environ, **launch.python_env(), LAB_VARIABLE: lab_id}
    argv = [sys.executable, "-m", "harness.lab.supervisor", str(file), str(write_end)]
    with subprocess.Popen(argv, env=env, pass_fds=[write_end]) as process:
        os.close(write_end)
        with os.fdopen(read_end) as answer:
            me = ProcessId(**json.loads(answer.read()))
        assert me.pid == process.pid
        yield Running(tmp_path, me, lab_id)
        process.kill()
    for left in started_for(lab_id):
        left.signal(signal.SIGKILL)


def alive(lab_id: str, *, but: int) -> list[int]:
    """The pids of the lab's processes, the supervisor's left out."""
    return [each.pid for each in started_for(lab_id) if each.pid != but]


def test_it_says_what_runs(running: Running) -> None:
    state = running.ask(Operation.STATUS)
    assert (state.name, state.run, state.starts, state.exit) == ("sleeper", Run.RUNNING, 1, "")
    assert ProcessId.of(state.pid) is not None


def test_a_killed_program_takes_its_children_along_and_stays_down(running: Running) -> None:
    state = running.ask(Operation.KILL, "sleeper")
    assert (state.run, state.exit) == (Run.KILLED, "SIGKILL")
    assert alive(running.lab_id, but=running.me.pid) == []


def test_restart_gives_another_process(running: Running) -> None:
    before = running.ask(Operation.STATUS).pid
    state = running.ask(Operation.RESTART, "sleeper")
    assert (state.run, state.starts) == (Run.RUNNING, 2)
    assert state.pid != before


def test_what_dies_by_itself_is_not_restarted_and_said_to_have_died(running: Running) -> None:
    state = running.ask(Operation.START, programs=(running.program("short", "sh", "-c", "exit 3"),))
    process = ProcessId.of(state.pid)
    assert process is None or process.wait_gone(timeout_s=WAIT_S)
    after = {each.name: each for each in control.ask(running.folder, Operation.STATUS)}["short"]
    assert (after.run, after.exit, after.starts) == (Run.DIED, "exit 3", 1)


def test_frozen_means_the_children_too(running: Running) -> None:
    def states() -> set[str]:
        pids = alive(running.lab_id, but=running.me.pid)
        return {Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] for pid in pids}

    assert running.ask(Operation.PAUSE, "sleeper").run is Run.PAUSED
    assert states() == {"T"}
    assert running.ask(Operation.RESUME, "sleeper").run is Run.RUNNING
    assert states() == {"S"}


def test_a_socket_of_ours_is_inherited_by_its_program_alone(running: Running) -> None:
    serve = (
        "import socket, sys\n"
        "listening = socket.socket(fileno=int(sys.argv[1]))\n"
        "while True: listening.accept()[0].sendall(b'hello')\n"
    )
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = listening.getsockname()
        program = running.program("door", sys.executable, "-c", serve, "{0}")
        running.ask(Operation.START, programs=(program,), fds=(listening.fileno(),))
    for _ in range(2):  # the program's death does not close the door: the supervisor holds it open
        with socket.create_connection(address, WAIT_S) as caller:
            assert caller.recv(5) == b"hello"
        running.ask(Operation.RESTART, "door")


@pytest.mark.parametrize(
    ("operation", "names", "message"),
    [(Operation.KILL, ("nobody",), "no 'nobody'; it has: sleeper"), (Operation.RESUME, ("sleeper",), "does not run")],
    ids=["unknown", "not-running"],
)
def test_what_cannot_be_done_is_said(
    running: Running, operation: Operation, names: tuple[str, ...], message: str
) -> None:
    running.ask(Operation.KILL, "sleeper")
    with pytest.raises(LabError, match=message):
        running.ask(operation, *names)


def test_down_ends_everything(running: Running) -> None:
    control.ask(running.folder, Operation.DOWN)
    assert running.me.wait_gone(timeout_s=WAIT_S)
    assert started_for(running.lab_id) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["SIGTERM", "SIGKILL"])
def test_its_own_end_ends_its_programs(running: Running, number: signal.Signals) -> None:
    assert running.me.signal(number)
    assert running.me.wait_gone(timeout_s=WAIT_S)
    if number is signal.SIGTERM:
        assert started_for(running.lab_id) == []
    else:  # the shell goes with its parent; its own child, which no runtime watches here, does not
        shell = [each for each in started_for(running.lab_id) if "sh" in command(each.pid)]
        assert all(each.wait_gone(timeout_s=WAIT_S) for each in shell)


def command(pid: int) -> list[str]:
    """The words of a process's command line; none when it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    except OSError:
        return []
