"""``taintlab run`` against a scripted API server, in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.fakes.api_server import CONTEXT, ApiServer

ROOT = Path(__file__).resolve().parents[2]

STRAIGHT = """
apiVersion: taintlab.dev/v1alpha1
kind: Experiment
metadata: {name: straight}
spec:
  target: {nodes: {selector: pool=spot}}
  phases: {warmup: 0s, baseline: 1s, fault: 2s, recovery: 1s}
  faults:
    - taint: {key: spot, value: x, effect: NoExecute}
  expect:
    evictions: as-predicted
"""
"""A taint on the nodes with pool=spot for two seconds; no workload, no load."""


@dataclass(frozen=True)
class Ended:
    """A command that ended. `folder`: the run folder."""

    code: int
    out: str
    err: str
    folder: Path

    @property
    def result(self) -> dict[str, Any]:
        """result.json; FileNotFoundError when the run was not judged."""
        found: dict[str, Any] = json.loads((self.folder / "result.json").read_text())
        return found

    @property
    def facts(self) -> list[dict[str, Any]]:
        """The lines of history.jsonl."""
        return [json.loads(line) for line in (self.folder / "history.jsonl").read_text().splitlines()]


def command(
    server: ApiServer, folder: Path, text: str, *options: str, user: Mapping[str, Any] | None = None
) -> list[str]:
    """The argv of a run of the experiment `text`, its files in `folder` and its run folder ``folder/run``."""
    file = folder / "experiment.yaml"
    file.write_text(text)
    kubeconfig = server.kubeconfig(folder / "kubeconfig", user=user)
    where = ["--context", CONTEXT, "--kubeconfig", str(kubeconfig), "--allow-context", CONTEXT]
    return [sys.executable, "-m", "harness.cli", "run", str(file), *where, "--out", str(folder / "run"), *options]


def start(
    server: ApiServer, folder: Path, text: str = STRAIGHT, *options: str, user: Mapping[str, Any] | None = None
) -> subprocess.Popen[str]:
    """Start a run; the caller waits for it (`finish`) or ends it."""
    pipe = subprocess.PIPE
    argv = command(server, folder, text, *options, user=user)
    return subprocess.Popen(argv, stdout=pipe, stderr=pipe, text=True, cwd=ROOT, env={**os.environ, "NO_COLOR": "1"})


def finish(process: subprocess.Popen[str], folder: Path, *, timeout_s: float = 60) -> Ended:
    """Wait for a started run; it is killed when it takes longer (TimeoutExpired)."""
    try:
        out, err = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise
    return Ended(process.returncode, out, err, folder / "run")


def run(
    server: ApiServer,
    folder: Path,
    text: str = STRAIGHT,
    *options: str,
    user: Mapping[str, Any] | None = None,
    timeout_s: float = 60,
) -> Ended:
    """Run it to its end."""
    return finish(start(server, folder, text, *options, user=user), folder, timeout_s=timeout_s)
