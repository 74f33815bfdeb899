"""``taintlab recover`` and ``status`` against a scripted API server; run folders by hand.

`taintlab` starts the command in a process of its own, `taintlab_here` calls its `main` (a tenth of the time).
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.cli import main
from tests.fakes import api_objects as objects
from tests.fakes.api_server import CONTEXT, ApiServer

ROOT = Path(__file__).resolve().parents[2]
RUN = "straight-20260101T000000-0123abcd"
SPOT = {"key": "spot", "value": "x", "effect": "NoExecute"}
SECURE = {"key": "dedicated", "value": "secure", "effect": "NoExecute"}
CLAIM = "taintlab.dev/claim"
MAPS = "/api/v1/namespaces/default/configmaps"


def claim(*taints: Mapping[str, str], run: str = RUN, **more: Any) -> dict[str, Any]:
    """A claim on a node whose taints were not there before."""
    undo = [{"ours": dict(taint), "before": None, "index": 0} for taint in taints]
    body = {"version": 1, "run": run, "deadline": "2026-01-01T00:01:00Z", "taints": undo, "unschedulableBefore": None}
    return {**body, **more}


def tainted(server: ApiServer, name: str, *taints: Mapping[str, str], annotation: object = None, **spec: Any) -> str:
    """A node with these taints, and `annotation` as its claim (text as it is, else JSON); its uid."""
    node = objects.node({"pool": "spot"}, taints=taints, **spec)
    if annotation is not None:
        text = annotation if isinstance(annotation, str) else json.dumps(annotation)
        node["metadata"]["annotations"] = {CLAIM: text}
    uid: str = server.put(f"/api/v1/nodes/{name}", node)["metadata"]["uid"]
    return uid


def labelled(
    server: ApiServer, path: str, *, run: str = RUN, holder: Mapping[str, Any] | None = None, **meta: Any
) -> str:
    """An object with the run's label, and with what its process is; its uid."""
    if holder is not None:
        meta["annotations"] = {"taintlab.dev/holder": json.dumps(holder)}
    body = {"metadata": {"labels": {"taintlab.dev/run": run}, **meta}}
    uid: str = server.put(path, body)["metadata"]["uid"]
    return uid


def header(**reach: str | None) -> dict[str, Any]:
    """A ledger's first line; by default the run was on the scripted server."""
    where = reach or {"context": CONTEXT, "kubeconfig": None}
    return {"state": "run", "format": 2, "run": RUN, "experiment": "straight", "reach": where}


def node_line(name: str, *taints: Mapping[str, str], uid: str = "", **more: Any) -> dict[str, Any]:
    """An open record of a node."""
    undo = json.dumps(claim(*taints)) if taints else ""
    what = "spot=x:NoExecute"
    line = {"state": "intended", "id": f"node:{name}", "kind": "node", "subject": name, "what": what}
    return {**line, "uid": uid, "undo": undo, **more}


def object_line(path: str, *, uid: str = "") -> dict[str, Any]:
    """An open record of an object."""
    line = {"state": "intended", "id": f"object:{path}", "kind": "object", "subject": path, "what": path, "uid": uid}
    return {**line, "undo": ""}


def run_folder(tmp_path: Path, *lines: Mapping[str, Any] | bytes) -> Path:
    """A run folder with nothing but a ledger of these lines."""
    folder = tmp_path / "run"
    folder.mkdir()
    raw = [line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines]
    ledger = folder / "ledger.jsonl"
    ledger.write_bytes(b"".join(line + b"\n" for line in raw))
    os.utime(ledger, (0, 0))  # an old ledger: no create of its run is under way any more
    return folder


def healed_ids(folder: Path) -> list[str]:
    """The records that the ledger calls healed."""
    found = []
    for line in (folder / "ledger.jsonl").read_bytes().splitlines():
        try:
            body = json.loads(line)
        except ValueError:
            continue
        if body.get("state") == "healed":
            found.append(body["id"])
    return sorted(found)


@dataclass(frozen=True)
class Ended:
    """A command that ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """The object on stdout."""
        found: dict[str, Any] = json.loads(self.out)
        return found

    @property
    def left(self) -> str:
        """What is left, as one text."""
        return "\n".join(map(str, self.json["leftovers"]))


def taintlab(*arguments: object, kubeconfig: Path | None = None, timeout_s: float = 120) -> Ended:
    """Run a verb. `kubeconfig`: what KUBECONFIG says."""
    environment = {**os.environ, "NO_COLOR": "1", "KUBECONFIG": str(kubeconfig) if kubeconfig else "/nonexistent"}
    done = subprocess.run(
        [sys.executable, "-m", "harness.cli", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=environment,
        timeout=timeout_s,
        check=False,
    )
    assert "defect" not in done.stderr, done.stderr
    return Ended(done.returncode, done.stdout, done.stderr)


def taintlab_here(*arguments: object) -> Ended:
    """Run a verb in this process."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main([str(argument) for argument in arguments])
    assert "defect" not in err.getvalue(), err.getvalue()
    return Ended(code, out.getvalue(), err.getvalue())
