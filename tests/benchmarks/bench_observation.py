"""How far from the API server's own record is the instant at which we see a deletion?

    python -m tests.benchmarks.bench_observation [--pods 110] [--lab NAME]

Evicts many stand-in pods of one node at once and compares, pod by pod, the watch arrival in our history with the audit
log's stamps of the DELETE: received and answered. Prints the distribution of (seen - answered), in milliseconds; both
clocks are this machine's.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Any

from harness import lab as labs
from tests.lab.cli import taintlab
from tests.lab.experiments import Made

CONTROLLER = "system:serviceaccount:kube-system:node-controller"


def stand_ins(replicas: int) -> dict[str, Any]:
    """A Deployment whose image no lab knows: its pods are stand-ins without a process."""
    pod = {
        "nodeSelector": {"pool": "bench"},
        "terminationGracePeriodSeconds": 1,
        "containers": [{"name": "c", "image": "unknown", "ports": [{"containerPort": 8080}]}],
    }
    template = {"metadata": {"labels": {"app": "many"}}, "spec": pod}
    spec = {"replicas": replicas, "selector": {"matchLabels": {"app": "many"}}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "many"}, "spec": spec}


def audited(log: Path) -> dict[str, tuple[float, float]]:
    """(received, answered) in wall seconds of each accepted pod DELETE by the taint-eviction controller, by pod
    name.
    """
    out: dict[str, tuple[float, float]] = {}
    for raw in log.read_text().splitlines():
        line = json.loads(raw)
        reference = line.get("objectRef") or {}
        is_pod = reference.get("resource") == "pods" and not reference.get("subresource")
        if line["verb"] != "delete" or line["user"]["username"] != CONTROLLER or not is_pod:
            continue
        if line["stage"] == "ResponseComplete" and line["responseStatus"]["code"] < 300:
            stamps = (line["requestReceivedTimestamp"], line["stageTimestamp"])
            received, answered = (datetime.fromisoformat(stamp).timestamp() for stamp in stamps)
            out.setdefault(reference["name"], (received, answered))
    return out


def seen(history: Path) -> dict[str, float]:
    """Wall seconds of the first sighting of each pod's deletionTimestamp."""
    out: dict[str, float] = {}
    for raw in history.read_text().split("\n")[:-1]:
        fact = json.loads(raw)
        if fact["kind"] == "PodSeen" and fact["deletion_timestamp"] and fact["name"] not in out:
            out[fact["name"]] = datetime.fromisoformat(fact["wall"]).timestamp()
    return out


def quantile(values: list[float], share: float) -> float:
    """Nearest rank."""
    return sorted(values)[max(0, round(share * len(values)) - 1)]


def main() -> int:
    """Run and print; 1 when a pod left outside its predicted interval."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pods", type=int, default=110)
    parser.add_argument("--lab", help="a lab with a node labelled pool=bench (default: one is started)")
    options = parser.parse_args()
    name = options.lab or "bench-observation"
    if options.lab is None:
        crowded = f"{{name: crowded, labels: {{pool: bench}}, capacity: {{pods: {options.pods}}}}}"
        text = f"nodes: [{{name: general}}, {crowded}]"
        topology = labs.read_topology(text, file="bench")
        labs.up(labs.LabSpec(name=name, topology=topology), owner=labs.this_process(), report=print)
    try:
        with tempfile.TemporaryDirectory() as folder:
            return measure(name, Path(folder), options.pods)
    finally:
        if options.lab is None:
            labs.down_named(name)


def measure(name: str, folder: Path, pods: int) -> int:
    """Evict `pods` pods of lab `name` and print what was seen against what was audited."""
    made = Made(
        "observation",
        [stand_ins(pods)],
        target={"nodes": {"selector": "pool=bench", "count": 1}},
        phases={"warmup": "0s", "baseline": "1s", "fault": "25s", "recovery": "1s"},
        load=False,
        expect={"evictions": "as-predicted"},
    )
    ended = taintlab("run", made.write(folder), "--lab", name, "--out", folder / "run", timeout_s=400)
    result = json.loads((folder / "run" / "result.json").read_text())
    stamps, sightings = audited(labs.get(name).audit_log), seen(folder / "run" / "history.jsonl")
    evicted = [row["pod"].split("/")[1] for row in result["evictions"] if row["observed_s"] is not None]
    errors = [1e3 * (sightings[pod] - stamps[pod][1]) for pod in evicted if pod in stamps]
    early = [1e3 * (sightings[pod] - stamps[pod][0]) for pod in evicted if pod in stamps]
    words = {word: sum(row["verdict"] == word for row in result["evictions"]) for word in ("on time", "late", "early")}
    last = max(row["observed_s"] for row in result["evictions"] if row["observed_s"] is not None)
    print(f"run: {result['verdict']} (exit {ended.code}); {words}; last deletion seen {last:.2f} s after the taint")
    print(f"{len(errors)} evictions with an audit record")
    for label, share in (("min", 0.0), ("p1", 0.01), ("median", 0.5), ("p99", 0.99), ("max", 1.0)):
        print(f"  seen - answered, {label:>6}: {quantile(errors, share):8.2f} ms")
    print(
        f"  seen - received, {'min':>6}: {min(early):8.2f} ms (never negative: nothing is seen before it was asked for)"
    )
    return 0 if words["on time"] == len(evicted) else 1


if __name__ == "__main__":
    sys.exit(main())
