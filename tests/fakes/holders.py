"""Processes that may hold a claim."""

from __future__ import annotations

import os
from dataclasses import replace

from harness.cluster.undo import Holder
from harness.lab.processes import ProcessId
from harness.wiring.this_process import this_process


def another_living_process() -> Holder:
    """The one that started this one, and waits for it: of a run in a process of its own, as `recover` meets it."""
    process = ProcessId.of(os.getppid())
    assert process is not None
    return replace(this_process(), pid=process.pid, start_ticks=process.start_ticks)
