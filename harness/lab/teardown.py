"""Taking a lab down so that nothing is left: no process, port, namespace or file."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

from harness.errors import LabError
from harness.lab import control, processes, state
from harness.lab.control import Operation
from harness.lab.processes import ProcessId, boot_id
from harness.lab.state import Condition, Record
from harness.lab.values import Lab
from harness.lab.view import condition_of

_END_TIMEOUT_S = 15.0


def down(lab: Lab, *, keep_logs: bool = False) -> None:
    """Ends every process of the lab and deletes its folder; `keep_logs` leaves logs/ and audit.log in it."""
    down_named(lab.name, keep_logs=keep_logs)


def down_named(name: str, *, keep_logs: bool = False) -> None:
    """Ends every process of the lab, in whatever condition it is, and deletes its folder.

    `keep_logs` leaves logs/ and audit.log in it. LabError while another command starts or stops it, or when a process
    would not end. A lab that is not there is down already.
    """
    if name not in state.names():
        return
    with state.claim(name):
        record = state.read(name)
        if record is not None:
            end_processes(record)
        if keep_logs:
            state.clear(name, keep_logs=True)
        else:
            state.remove(name)


def clean_orphans(*, report: Callable[[str], None]) -> None:
    """Takes down every lab whose owner was killed; labs that another command works on are left to it."""
    for name in state.names():
        if condition_of(name) is not Condition.ORPHANED:
            continue
        try:
            down_named(name)
        except LabError as error:
            report(f"orphaned lab {name!r} could not be taken down: {error}")
        else:
            report(f"took down lab {name!r}, whose owner is gone")


def end_processes(record: Record) -> None:
    """Ends the supervisor, all below it, and whatever else is in the lab's network or was started for the lab."""
    left: list[ProcessId] = []
    if record.boot != boot_id():
        return
    supervisor = record.supervisor
    if supervisor is not None and supervisor.alive:
        with _held_network(supervisor.pid) as network:
            _end_supervisor(record, supervisor)
            if network:  # while we hold it, its number cannot mean another namespace
                left += _end_all(processes.in_network(network))
    left += _end_all(processes.started_for(record.id))
    if left:
        pids = ", ".join(str(process.pid) for process in left)
        raise LabError(f"lab {record.name!r}: processes that would not end within {_END_TIMEOUT_S:.0f} s: {pids}")


def _end_supervisor(record: Record, supervisor: ProcessId) -> None:
    try:
        control.ask(Path(record.sockets), Operation.DOWN, timeout_s=_END_TIMEOUT_S)
    except LabError:  # it hangs or is half made: its children die with it
        supervisor.signal(signal.SIGKILL)
    if not supervisor.wait_gone(timeout_s=_END_TIMEOUT_S):
        supervisor.signal(signal.SIGKILL)
        supervisor.wait_gone(timeout_s=_END_TIMEOUT_S)


def _end_all(found: list[ProcessId]) -> list[ProcessId]:
    """SIGKILL to all but the caller; those that are still there at the end."""
    others = [process for process in found if process.pid != os.getpid()]
    for process in others:
        process.signal(signal.SIGKILL)
    return [process for process in others if not process.wait_gone(timeout_s=_END_TIMEOUT_S)]


class _held_network:  # noqa: N801 - used as a context manager only
    """Keeps the network namespace of a process in being; gives its name, "" when that is our own or unreadable."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._handle = -1

    def __enter__(self) -> str:
        path = f"/proc/{self._pid}/ns/net"
        try:
            self._handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            name = Path(path).readlink()
        except OSError:
            return ""
        return "" if name == Path("/proc/self/ns/net").readlink() else str(name)

    def __exit__(self, *_: object) -> None:
        if self._handle >= 0:
            os.close(self._handle)
