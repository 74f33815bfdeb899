"""Who we are when we hold a claim, and whether another process of this machine still runs; both from /proc."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from harness.cluster.undo import Holder
from harness.lab.processes import ProcessId, boot_id
from harness.run.recover.liveness import LiveRuns, LocalProcesses

LIVE_RUNS = LiveRuns()
"""The runs of this process. A claim names the process that holds it, so they are known by process, too."""


def this_process() -> Holder:
    """Ourselves, as a claim names its holder."""
    me = ProcessId.of(os.getpid())
    return Holder(
        host=socket.gethostname(),
        boot_id=_boot_id(),
        pid=os.getpid(),
        start_ticks=me.start_ticks if me else 0,
        pid_namespace=_pid_namespace(),
    )


def local_processes() -> LocalProcesses:
    """The processes of this boot and pid namespace."""
    return LocalProcesses(this_process(), is_running, LIVE_RUNS)


def is_running(holder: Holder) -> bool:
    """Whether that very process of ours runs; a zombie does not."""
    return ProcessId(holder.pid, holder.start_ticks).alive


def _boot_id() -> str:
    try:
        return boot_id()
    except OSError:
        return ""


def _pid_namespace() -> int:
    try:
        return Path("/proc/self/ns/pid").stat().st_ino
    except OSError:
        return 0
