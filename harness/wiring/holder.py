"""Who we are, in words that let another process tell whether we are still alive (Linux)."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from harness.faults.claim import Holder

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def this_holder() -> Holder:
    """Of this process: host, boot, pid, start ticks, and the pid namespace that the pid is of."""
    return Holder(
        host=socket.gethostname(),
        boot_id=_BOOT_ID.read_text().strip(),
        pid=os.getpid(),
        start_ticks=started_ticks(os.getpid()) or 0,
        pid_namespace=Path("/proc/self/ns/pid").stat().st_ino,
    )


def started_ticks(pid: int) -> int | None:
    """When process `pid` started, in clock ticks since boot (proc(5), field 22 of stat); None: there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    return int(stat.rsplit(")", 1)[1].split()[19])
