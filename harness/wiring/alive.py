"""Whether the run that holds a claim is still alive, and who we are when we hold one."""

from __future__ import annotations

import os
import socket
from datetime import datetime
from pathlib import Path

from harness.cluster.undo import Holder, NodeUndo
from harness.lab.processes import ProcessId

HEARTBEAT_S = 90.0
"""A heartbeat is renewed each 30 s: three in a row that did not come mean that nobody is there to send them."""


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


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def _pid_namespace() -> int:
    try:
        return Path("/proc/self/ns/pid").stat().st_ino
    except OSError:
        return 0


def sign_of_life(claim: NodeUndo, *, here: Holder, wall_ns: int) -> str:
    """Why the run of `claim` counts as alive, in words; "" when it does not.

    A holder in our own boot and pid namespace is looked up: its pid with its start time, which no later process shares.
    Of another machine, boot or container only the heartbeat tells: one from the last `HEARTBEAT_S`, or from the future
    (clocks differ). A claim without either (taintlab 0.1.0) gives no sign.
    """
    holder = claim.holder
    if holder is not None and _can_see(holder, here):
        alive = ProcessId(holder.pid, holder.start_ticks).alive
        return f"process {holder.pid} of this machine holds it" if alive else ""
    age_s = _age_s(claim.heartbeat, wall_ns)
    if age_s is None or age_s >= HEARTBEAT_S:
        return ""
    where = f" on {holder.host}" if holder is not None else ""
    when = f"{age_s:.0f} s ago" if age_s >= 0 else f"{-age_s:.0f} s in the future by our clock"
    return f"its process{where} gave a sign of life {when}"


def _can_see(holder: Holder, here: Holder) -> bool:
    same = (holder.boot_id, holder.pid_namespace) == (here.boot_id, here.pid_namespace)
    return same and bool(here.boot_id) and bool(here.pid_namespace)


def _age_s(heartbeat: str | None, wall_ns: int) -> float | None:
    try:
        stamp = datetime.fromisoformat(heartbeat or "")
        if stamp.tzinfo is None:
            return None
        return wall_ns / 1e9 - stamp.timestamp()
    except (ValueError, OverflowError):
        return None
