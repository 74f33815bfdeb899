"""Processes by more than a number: a pid with its start time, so that a recycled pid is never taken for ours."""

from __future__ import annotations

import ctypes
import os
import select
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness.errors import LabError

LAB_VARIABLE = "TAINTLAB_LAB_ID"
"""Set in the environment of everything that a lab starts, so that its processes are found without their parent."""

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_PR_SET_CHILD_SUBREAPER = 36


@dataclass(frozen=True, slots=True)
class ProcessId:
    """One process of this boot. `start_ticks`: clock ticks since boot, field 22 of /proc/PID/stat (proc(5))."""

    pid: int
    start_ticks: int

    @staticmethod
    def of(pid: int) -> ProcessId | None:
        """The process that has `pid` now; None when there is none, or only a zombie."""
        stat = _stat(pid)
        if stat is None or not stat.runs:
            return None
        return ProcessId(pid=pid, start_ticks=stat.start_ticks)

    @property
    def alive(self) -> bool:
        """Whether this very process runs (a zombie does not)."""
        return ProcessId.of(self.pid) == self

    def signal(self, number: signal.Signals) -> bool:
        """Sends a signal to this very process; False when it is gone. The pid cannot be recycled in between."""
        with self._opened() as fd:
            if fd is None:
                return False
            try:
                signal.pidfd_send_signal(fd, number)
            except ProcessLookupError:
                return False
            return True

    def wait_gone(self, *, timeout_s: float) -> bool:
        """Waits until the process has ended; whether it has."""
        with self._opened() as fd:
            if fd is None:
                return True
            poller = select.poll()
            poller.register(fd, select.POLLIN)
            return bool(poller.poll(timeout_s * 1000))

    @contextmanager
    def _opened(self) -> Iterator[int | None]:
        """A pidfd of this process, checked after it was opened; None when it is gone.

        A process whose first thread has ended looks like a zombie while its other threads still do: it is not gone.
        """
        try:
            fd = os.pidfd_open(self.pid)
        except OSError:
            yield None
            return
        try:
            stat = _stat(self.pid)
            yield fd if stat is not None and stat.start_ticks == self.start_ticks else None
        finally:
            os.close(fd)


@dataclass(frozen=True, slots=True)
class _Stat:
    pid: int
    state: str
    parent: int
    start_ticks: int

    @property
    def runs(self) -> bool:
        """Whether it is more than a zombie."""
        return self.state not in "ZX"


def this_process() -> ProcessId:
    """The calling process."""
    me = ProcessId.of(os.getpid())
    if me is None:
        raise LabError("/proc is not mounted: the lab needs it")
    return me


def boot_id() -> str:
    """The kernel's name for the present boot: a process of another boot is gone, whatever its pid says."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def children(pid: int) -> list[ProcessId]:
    """The processes whose parent is `pid` (zombies left out)."""
    return [ProcessId(each.pid, each.start_ticks) for each in _all_stats() if each.parent == pid and each.runs]


def descendants(pid: int) -> list[ProcessId]:
    """Every process below `pid` (zombies left out), parents before children."""
    below: dict[int, list[_Stat]] = {}
    for stat in _all_stats():
        below.setdefault(stat.parent, []).append(stat)
    out: list[ProcessId] = []
    queue = [pid]
    while queue:
        for child in below.get(queue.pop(0), ()):
            queue.append(child.pid)
            if child.runs:
                out.append(ProcessId(pid=child.pid, start_ticks=child.start_ticks))
    return out


def is_stopped(pid: int) -> bool:
    """Whether the process has stopped (SIGSTOP) or is gone."""
    stat = _stat(pid)
    return stat is None or stat.state in "TtZX"


def started_for(lab_id: str) -> list[ProcessId]:
    """Every process that carries this lab's variable in the environment it was started with and that we may read."""
    needle = f"{LAB_VARIABLE}={lab_id}".encode()
    return _matching(lambda proc: needle in (proc / "environ").read_bytes().split(b"\0"))


def in_network(namespace: str) -> list[ProcessId]:
    """Every process in the network namespace that `/proc/PID/ns/net` calls `namespace` (``net:[4026532281]``)."""
    return _matching(lambda proc: str((proc / "ns" / "net").readlink()) == namespace)


def die_with_parent(parent: int) -> Callable[[], None]:
    """A `preexec_fn`: the kernel kills the new process when the thread that started it ends.

    `parent`: pid of the process that will start it; a child that finds itself orphaned already ends at once.
    """
    prctl = ctypes.CDLL(None, use_errno=True).prctl  # looked up before the fork: the child must not load anything

    def set_signal() -> None:
        prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return set_signal


def adopt_orphans() -> None:
    """Makes this process the parent of every descendant whose own parent ends (PR_SET_CHILD_SUBREAPER)."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _matching(matches: Callable[[Path], bool]) -> list[ProcessId]:
    out = []
    for stat in _all_stats():
        try:
            if stat.runs and matches(Path("/proc", str(stat.pid))):
                out.append(ProcessId(pid=stat.pid, start_ticks=stat.start_ticks))
        except OSError:  # ended meanwhile, or another user's
            continue
    return out


def _all_stats() -> Iterator[_Stat]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            stat = _stat(int(entry.name))
            if stat is not None:
                yield stat


def _stat(pid: int) -> _Stat | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return None
    # The command name is in parentheses and may itself hold spaces and parentheses: fields count from the last one.
    fields = text[text.rindex(")") + 2 :].split()
    return _Stat(pid=pid, state=fields[0], parent=int(fields[1]), start_ticks=int(fields[19]))
