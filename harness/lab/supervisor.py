"""The one process that a lab has of ours: ``python -m harness.lab.supervisor LAUNCH-FILE``, inside its network.

It is the parent of every component. They die with it (PR_SET_PDEATHSIG), and what they leave behind becomes its own
(PR_SET_CHILD_SUBREAPER), so neither its SIGKILL nor theirs leaves a process. It knows nothing of Kubernetes and
restarts nothing by itself: a component that dies stays dead, and its state says so.

LAUNCH-FILE: ``{"id", "socket", "setup": [argv...], "programs": [Program...], "fds": {program name: [fd...]}}``; when
all programs are started it writes one JSON line to file descriptor `ready_fd`: ``{"pid", "start_ticks"}`` or
``{"error"}``. The standard library is all it imports: it stays at some 15 MB.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from harness.lab.control import MAX_FDS, MAX_REQUEST_BYTES, Operation, Program, ProgramState, Run, program_from_json
from harness.lab.processes import (
    ProcessId,
    adopt_orphans,
    children,
    descendants,
    die_with_parent,
    is_stopped,
    this_process,
)

_STOP_TIMEOUT_S = 2.0
"""How long a frozen process may take to have stopped (it may sit in a disk write)."""

_END_TIMEOUT_S = 10.0
"""How long a killed process may take to be gone (it may sit in a disk write)."""


@dataclass(slots=True)
class _Kept:
    """A program and its present process."""

    program: Program
    fds: tuple[int, ...]
    process: subprocess.Popen[bytes] | None = None
    run: Run = Run.KILLED
    started_unix_s: float = 0.0
    starts: int = 0
    exit: str = ""

    def state(self) -> ProgramState:
        return ProgramState(
            name=self.program.name,
            run=self.run,
            pid=self.process.pid if self.process else 0,
            started_unix_s=self.started_unix_s,
            starts=self.starts,
            exit=self.exit,
        )


@dataclass(slots=True)
class Supervisor:
    """All programs of one lab, by name. Every method runs in the one main thread: PDEATHSIG follows that thread."""

    kept: dict[str, _Kept] = field(default_factory=dict)
    ending: bool = False

    def add(self, program: Program, fds: Sequence[int]) -> None:
        """Takes in a program and starts it; ValueError when one of that name runs."""
        old = self.kept.get(program.name)
        if old and old.run in (Run.RUNNING, Run.PAUSED):
            raise ValueError(f"{program.name} runs already")
        mirrors = tuple(_listen_inside(port) for port in program.mirror_ports)
        self.kept[program.name] = _Kept(program, (*fds, *mirrors), starts=old.starts if old else 0)
        self._start(self.kept[program.name])

    def start(self, name: str) -> None:
        """Starts a known program that does not run; one that runs is left alone."""
        kept = self._known(name)
        if kept.run in (Run.KILLED, Run.DIED):
            self._start(kept)

    def _start(self, kept: _Kept) -> None:
        program = kept.program
        numbers = {f"{{{index}}}": str(fd) for index, fd in enumerate(kept.fds)}
        argv = [_fill(word, numbers) for word in program.argv]
        Path(program.cwd).mkdir(parents=True, exist_ok=True)
        with Path(program.log).open("ab") as log:
            kept.process = subprocess.Popen(
                argv,
                cwd=program.cwd,
                env=dict(program.env),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=kept.fds,
                start_new_session=True,
                preexec_fn=die_with_parent(os.getpid()),
            )
        kept.run = Run.RUNNING
        kept.started_unix_s = time.time()
        kept.starts += 1

    def kill(self, names: Sequence[str]) -> None:
        """SIGKILL to all named at once; returns when they and every process below them are gone."""
        chosen = [self._known(name) for name in names]
        for kept in chosen:
            if kept.process and kept.run in (Run.RUNNING, Run.PAUSED):
                kept.process.kill()
                kept.run = Run.KILLED
        for kept in chosen:
            if kept.process:
                kept.exit = _how(kept.process.wait(_END_TIMEOUT_S))
        self._end(self._strays)

    def _strays(self) -> list[ProcessId]:
        """What ended programs left behind: children of ours that are no program (we adopted them), and all below."""
        programs = {kept.process.pid for kept in self.kept.values() if kept.process}
        adopted = [child for child in children(os.getpid()) if child.pid not in programs]
        return [*adopted, *(each for child in adopted for each in descendants(child.pid))]

    def _end(self, find: Callable[[], list[ProcessId]]) -> None:
        """SIGKILL to what `find` finds, again until it finds nothing: the killed may just have had children."""
        deadline_s = time.monotonic() + _END_TIMEOUT_S
        while (left := find()) and time.monotonic() < deadline_s:
            for process in left:
                process.signal(signal.SIGKILL)
            for process in left:
                process.wait_gone(timeout_s=0.5)
            self.reap()
        self.reap()

    def stop_or_continue(self, names: Sequence[str], run: Run) -> None:
        """SIGSTOP (Run.PAUSED) or SIGCONT (Run.RUNNING) for the named programs and every process below them."""
        number = signal.SIGSTOP if run is Run.PAUSED else signal.SIGCONT
        for kept in [self._known(name) for name in names]:
            if not kept.process or kept.run not in (Run.RUNNING, Run.PAUSED):
                raise ValueError(f"{kept.program.name} does not run")
            kept.process.send_signal(number)
            if run is Run.PAUSED:
                _pause_below(kept.process.pid)
            else:
                for process in descendants(kept.process.pid):
                    process.signal(number)
            kept.run = run

    def reap(self) -> None:
        """Notes what ended: our programs as died, adopted orphans silently."""
        while True:
            try:
                ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if ended is None:
                return
            for kept in self.kept.values():
                if kept.process and kept.process.pid == ended.si_pid:
                    kept.exit = _how(kept.process.wait())
                    if kept.run is not Run.KILLED:
                        kept.run = Run.DIED
                    break
            else:
                os.waitpid(ended.si_pid, 0)

    def end(self) -> None:
        """Kills every process below this one, adopted ones included, until there is none."""
        self.ending = True
        self._end(lambda: descendants(os.getpid()))

    def handle(self, request: Mapping[str, Any], fds: Sequence[int]) -> list[ProgramState]:
        """Does what one request asks; ValueError says what is wrong with it."""
        operation = Operation(request["operation"])
        programs = [program_from_json(each) for each in request["programs"]]
        names = [*request["names"], *(program.name for program in programs)]
        match operation:
            case Operation.STATUS:
                names = list(self.kept)
            case Operation.START:
                for name in request["names"]:
                    self.start(name)
                for index, program in enumerate(programs):
                    self.add(program, fds if index == 0 else ())
            case Operation.RESTART:
                self.kill(names)
                for name in names:
                    self.start(name)
            case Operation.KILL:
                self.kill(names)
            case Operation.PAUSE:
                self.stop_or_continue(names, Run.PAUSED)
            case Operation.RESUME:
                self.stop_or_continue(names, Run.RUNNING)
            case Operation.DOWN:
                self.end()
        self.reap()
        return [self._known(name).state() for name in names]

    def _known(self, name: str) -> _Kept:
        if name not in self.kept:
            raise ValueError(f"the lab has no {name!r}; it has: {', '.join(self.kept)}")
        return self.kept[name]


def _pause_below(pid: int) -> None:
    """Stops every process below `pid`, which has been sent SIGSTOP, and waits until all have stopped.

    A process may still fork between the signal and the moment it stops: whoever is found new gets it as well.
    """
    deadline_s = time.monotonic() + _STOP_TIMEOUT_S
    while time.monotonic() < deadline_s:
        below = descendants(pid)
        for process in below:
            process.signal(signal.SIGSTOP)
        if all(is_stopped(each) for each in (pid, *(process.pid for process in below))):
            return
        time.sleep(0.001)  # nothing to wait on: the kernel tells nobody but the parent


def _listen_inside(port: int) -> int:
    """A socket that listens on 127.0.0.1 of the lab's own namespace."""
    inside = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    inside.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    inside.bind(("127.0.0.1", port))
    inside.listen(128)
    return inside.detach()


def _fill(word: str, numbers: Mapping[str, str]) -> str:
    for mark, number in numbers.items():
        word = word.replace(mark, number)
    return word


def _how(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit {code}"


def _answer(supervisor: Supervisor, connection: socket.socket) -> None:
    """Serves one connection: one request, one answer."""
    connection.settimeout(5.0)
    data, fds, _, _ = socket.recv_fds(connection, 1 << 16, MAX_FDS)
    while data and not data.endswith(b"\n") and len(data) < MAX_REQUEST_BYTES:
        data += connection.recv(1 << 16)
    if not data:
        return
    try:
        states = supervisor.handle(json.loads(data), fds)
        answer: dict[str, Any] = {"programs": [asdict(state) for state in states]}
    except (ValueError, KeyError, OSError, subprocess.TimeoutExpired) as error:
        answer = {"error": str(error)}
    connection.sendall(json.dumps(answer).encode() + b"\n")


def _listen_to_signals(supervisor: Supervisor) -> int:
    """From now on SIGTERM ends the supervisor in order; the file descriptor becomes readable with every signal."""
    wake_read, wake_write = os.pipe()
    os.set_blocking(wake_write, False)
    signal.set_wakeup_fd(wake_write)

    def end(_number: int, _frame: object) -> None:
        supervisor.ending = True

    def nothing(_number: int, _frame: object) -> None:
        """SIGCHLD only has to wake the loop."""

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGCHLD, nothing)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    return wake_read


def _serve(supervisor: Supervisor, control: socket.socket, wake: int) -> None:
    """Answers until it is told to end, by request or by SIGTERM."""
    with selectors.DefaultSelector() as selector:
        selector.register(control, selectors.EVENT_READ)
        selector.register(wake, selectors.EVENT_READ)
        while not supervisor.ending:
            for key, _ in selector.select():
                if key.fd == wake:
                    os.read(wake, 512)
                    supervisor.reap()
                else:
                    connection, _ = control.accept()
                    with connection:
                        _answer_safely(supervisor, connection)
    supervisor.end()


def _answer_safely(supervisor: Supervisor, connection: socket.socket) -> None:
    try:
        _answer(supervisor, connection)
    except OSError as error:  # the asker left: nothing to tell it
        sys.stderr.write(f"supervisor: a request was lost: {error}\n")


def main(launch_file: str, ready_fd: int) -> int:
    """Starts what the launch file names, tells `ready_fd`, serves; returns the exit code."""
    adopt_orphans()
    launch = json.loads(Path(launch_file).read_text())
    supervisor = Supervisor()
    wake = _listen_to_signals(supervisor)
    with os.fdopen(ready_fd, "w") as ready:
        try:
            for argv in launch["setup"]:
                subprocess.run(argv, check=True, capture_output=True, text=True)
            control = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            Path(launch["socket"]).unlink(missing_ok=True)
            control.bind(launch["socket"])
            control.listen(16)
            for fields in launch["programs"]:
                program = program_from_json(fields)
                supervisor.add(program, launch["fds"].get(program.name, ()))
        except subprocess.CalledProcessError as error:
            supervisor.end()
            json.dump({"error": f"{' '.join(error.cmd)}: {error.stderr.strip()}"}, ready)
            return 1
        except OSError as error:
            supervisor.end()
            json.dump({"error": str(error)}, ready)
            return 1
        json.dump(asdict(this_process()), ready)
    _serve(supervisor, control, wake)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2])))
