"""Running the command as a user does, in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PATIENCE = 4
"""A busy machine gets so many times as long as a quiet one needs; whoever is quick waits for nothing."""
COMMAND = (sys.executable, "-m", "harness.cli")
ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Ended:
    """A command that ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Its stdout as JSON."""
        return json.loads(self.out)


def taintlab(*arguments: str | Path, timeout_s: float = 800) -> Ended:
    """Run one command to its end."""
    done = subprocess.run(
        [*COMMAND, *map(str, arguments)], capture_output=True, text=True, timeout=timeout_s, check=False, cwd=ROOT
    )
    return Ended(done.returncode, done.stdout, done.stderr)


@contextmanager
def started(*arguments: str | Path, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A command that runs beside the test; killed if the test leaves it running."""
    with log.open("wb") as file:
        process = subprocess.Popen([*COMMAND, *map(str, arguments)], stdout=file, stderr=file, cwd=ROOT)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def wait_for(condition: Callable[[], bool], *, timeout_s: float, what: str) -> None:
    """Look every 20 ms until it holds; AssertionError naming `what` after `PATIENCE` times `timeout_s`."""
    deadline = time.monotonic() + PATIENCE * timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"timed out waiting for {what}"
        time.sleep(0.02)


def facts(folder: Path, kind: str) -> list[dict[str, Any]]:
    """Facts of one kind in a run's history so far."""
    path = folder / "history.jsonl"
    if not path.exists():
        return []
    lines = path.read_text().split("\n")[:-1]
    return [fact for fact in map(json.loads, lines) if fact["kind"] == kind]


def injected(folder: Path) -> bool:
    """Whether the run in `folder` has put its fault on."""
    return any(fact["step"].startswith("inject-") for fact in facts(folder, "StepDone"))


def load_pids(parent: int) -> list[int]:
    """Load processes below `parent`."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes()
                stat = (entry / "stat").read_text()
            except OSError:
                continue
            if b"loadgen.locustfile" in line and int(stat.rsplit(")", 1)[1].split()[1]) == parent:
                found.append(int(entry.name))
    return found


def kill_process(pid: int) -> None:
    """SIGKILL."""
    os.kill(pid, signal.SIGKILL)
