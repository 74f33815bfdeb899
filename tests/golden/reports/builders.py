"""Parts of made-up run folders: traffic drawn from a seed and counted as a real run counts it, eviction rows,
histories, checks.

The traffic is written as row files and counted by `loadgen.stats`, so that pictures and tables agree as they do in a
real run.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loadgen.rows import RECORD, Outcome, RowHeader, file_name, read_folder
from loadgen.stats import Window, WindowStats, per_window

MONO_NS = 5_000_000_000_000
TIMEOUT_NS = 2_000_000_000
PHASES = (("warmup", 0.0, 5.0), ("baseline", 5.0, 25.0), ("fault", 25.0, 55.0), ("recovery", 55.0, 75.0))
ACKNOWLEDGED_S = 25.012

SPEC = """\
apiVersion: taintlab.dev/v1alpha1
kind: Experiment
metadata: {name: noexecute-evicts}
spec:
  workload: [manifests/web.yaml]           # applied before, removed after
  target: {nodes: {selector: pool=spot, count: 1}, seed: 7}
  load:
    url: http://web.default.svc
    rate: 100/s
    timeout: 2s
    headers: {Authorization: Bearer 0123456789abcdef}
  phases: {warmup: 5s, baseline: 20s, fault: 30s, recovery: 20s}
  faults:
    - taint: {key: spot-interruption, value: "true", effect: NoExecute}
  expect:
    evictions: as-predicted
    slos:
      - {name: latency, phases: [baseline, fault], good: latency <= 250ms, ratio: 0.99}
      - {name: success, phases: [fault], good: success, ratio: 0.999}
    recovery: {within: 15s}
"""


@dataclass(frozen=True)
class Case:
    """A run folder: the result, the history's lines, and the traffic (None: no row file)."""

    result: Mapping[str, Any]
    history: Sequence[Mapping[str, Any]] = ()
    rows: Sequence[tuple[float, float, Outcome]] | None = None
    spec: str = SPEC
    experiment: Mapping[str, Any] | None = None


def write(case: Case, folder: Path) -> Path:
    """Write the case's files into the new folder `folder` and return it."""
    folder.mkdir(parents=True)
    (folder / "result.json").write_text(json.dumps(case.result, indent=1), encoding="utf-8")
    (folder / "spec.yaml").write_text(case.spec, encoding="utf-8")
    experiment = {"target": {"seed": 7}, "load": {"seed": 11, "url": "http://web.default.svc"}}
    (folder / "experiment.json").write_text(json.dumps(case.experiment or experiment), encoding="utf-8")
    (folder / "plan.json").write_text(json.dumps({"targets": ["spot-1"]}), encoding="utf-8")
    lines = [
        json.dumps({"id": n, "wall": "2026-01-02T03:04:05Z", "source": "run", **line})
        for n, line in enumerate(case.history)
    ]
    (folder / "history.jsonl").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    if case.rows is not None:
        _write_rows(folder / "load", case.rows)
    return folder


def _write_rows(folder: Path, rows: Sequence[tuple[float, float, Outcome]]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    header = RowHeader(pid=1, process=0, processes=1, start_ns=MONO_NS, timeout_ns=TIMEOUT_NS)
    data = bytearray(header.pack())
    for arrival, (t_s, latency_s, outcome) in enumerate(rows):
        due_ns = MONO_NS + round(t_s * 1e9)
        service_ns = round(latency_s * 1e9) - 200_000
        status = 200 if outcome is Outcome.OK else 0
        data += RECORD.pack(due_ns, due_ns + 200_000, service_ns, status, outcome, 0, arrival)
    (folder / file_name(0)).write_bytes(data)


def traffic(
    seed: int, *, rate_per_s: float = 100.0, end_s: float = 75.0, trouble: Callable[[float], tuple[float, float]]
) -> list[tuple[float, float, Outcome]]:
    """(intended s, latency s, outcome) of Poisson arrivals; `trouble(t)` gives (slowness factor, share that fails) at
    t.
    """
    chance = random.Random(seed)
    rows: list[tuple[float, float, Outcome]] = []
    t_s = 0.0
    while (t_s := t_s + chance.expovariate(rate_per_s)) < end_s:
        slow, failing = trouble(t_s)
        latency_s = min(
            1.9, 0.0016 * slow * chance.lognormvariate(0.0, 0.45) + (0.004 * slow if chance.random() < 0.015 else 0.0)
        )
        failed = chance.random() < failing
        outcome = chance.choice((Outcome.TIMEOUT, Outcome.CONNECT_REFUSED, Outcome.RESET)) if failed else Outcome.OK
        rows.append((t_s, latency_s, outcome))
    return rows


def counted(rows: Sequence[tuple[float, float, Outcome]], scratch: Path) -> dict[str, Any]:
    """`phases` and `series` of a result, counted from the rows as the judge counts them."""
    _write_rows(scratch, rows)
    found = read_folder(scratch)
    (scratch / file_name(0)).unlink()
    windows = [Window(name, MONO_NS + int(start * 1e9), MONO_NS + int(end * 1e9)) for name, start, end in PHASES]
    seconds = [Window(str(s), MONO_NS + s * 10**9, MONO_NS + (s + 1) * 10**9) for s in range(int(PHASES[-1][2]))]
    return {
        "phases": [_phase(stats, span) for stats, span in zip(per_window(found, windows), PHASES, strict=True)],
        "series": _series(per_window(found, seconds)),
    }


def _ms(value_ns: int | None) -> float | None:
    return None if value_ns is None else round(value_ns / 1e6, 3)


def _phase(stats: WindowStats, span: tuple[str, float, float]) -> dict[str, Any]:
    name, start_s, end_s = span
    return {
        "name": name,
        "start_s": start_s,
        "end_s": end_s,
        "requests": stats.due,
        "bad": stats.bad,
        "rate_per_s": round(stats.due / (end_s - start_s), 2),
        "p50_ms": _ms(stats.p50_ns),
        "p90_ms": _ms(stats.p90_ns),
        "p99_ms": _ms(stats.p99_ns),
        "p999_ms": None,
        "max_ms": _ms(stats.max_ns),
        "success_p99_ms": _ms(stats.ok_p99_ns),
        "rough": stats.due < 10_000,
        "outcomes": {outcome.label: number for outcome, number in stats.outcomes.items()},
    }


def _series(seconds: Sequence[WindowStats]) -> dict[str, Any]:
    return {
        "t_s": list(range(len(seconds))),
        "due": [s.due for s in seconds],
        "sent": [s.sent for s in seconds],
        "bad": [s.bad for s in seconds],
        "bad_ratio": [round(s.bad / s.due, 5) if s.due else None for s in seconds],
        "p50_ms": [_ms(s.p50_ns) for s in seconds],
        "p99_ms": [_ms(s.p99_ns) for s in seconds],
        "success_p99_ms": [_ms(s.ok_p99_ns) for s in seconds],
        "ready_endpoints": [],
        "saturation": [],
    }


def eviction(
    number: int,
    *,
    verdict: str = "on time",
    predicted_s: list[float] | None,
    observed_s: float | None,
    gone_s: float | None = None,
    ready_s: float | None = None,
    workload: str = "ReplicaSet/web-7d9f8",
    rule: str = "no-toleration",
    tolerations: str = "no toleration",
    reason: str = "",
    planned: str | None = None,
    planned_s: list[float] | None = None,
) -> dict[str, Any]:
    """One row of the eviction table; a replacement that became Ready was scheduled right after the deletion."""
    base = workload.split("/")[1]
    return {
        "pod": f"default/{base}-{number:05x}",
        "uid": f"uid-{workload}-{number}",
        "node": "spot-1",
        "verdict": verdict,
        "rule": rule,
        "predicted_s": predicted_s,
        "observed_s": observed_s,
        "gone_s": gone_s,
        "replacement": f"default/{base}-{number + 4096:05x}" if ready_s is not None else None,
        "replacement_scheduled_s": round(observed_s + 0.021, 4)
        if observed_s is not None and ready_s is not None
        else None,
        "replacement_ready_s": ready_s,
        "workload": workload,
        "tolerations": tolerations,
        "reason": reason,
        "planned": planned,
        "planned_s": planned_s,
    }


def history(*facts: Mapping[str, Any], ended: bool = True) -> list[dict[str, Any]]:
    """The usual lines around `facts`: start, the target seen before, with and without the taint, the end."""
    taint = {"key": "spot-interruption", "value": "true", "effect": "NoExecute"}

    def node(t_s: float, change: str, taints: list[Any]) -> dict[str, Any]:
        return {
            "t_ns": int(t_s * 1e9),
            "kind": "NodeSeen",
            "change": change,
            "name": "spot-1",
            "taints": taints,
            "ready": True,
            "unschedulable": False,
        }

    lines: list[dict[str, Any]] = [
        {"t_ns": 0, "kind": "RunStarted", "run_id": "20260102T030405Z-7", "mono_ns": MONO_NS},
        node(0.2, "LISTED", []),
        node(25.016, "MODIFIED", [taint]),
        node(55.02, "MODIFIED", []),
        *facts,
        {"t_ns": int(52.3e9), "kind": "SkewMeasured", "offset_ms": -212.0, "error_ms": 500.0},
    ]
    if ended:
        lines.append({"t_ns": int(77.1e9), "kind": "RunEnded", "state": "completed", "message": ""})
    return lines


GATES = [
    {"id": "run-ended", "ok": True, "measured": "completed", "limit": "ended by itself"},
    {"id": "observed", "ok": True, "measured": "all watches lived", "limit": "watched throughout"},
    {"id": "injected", "ok": True, "measured": "seen on the node", "limit": "seen"},
    {"id": "load-sent", "ok": True, "measured": "7483 of 7483 due arrivals sent", "limit": "at least 99.9%"},
    {"id": "load-punctual", "ok": True, "measured": "p99 1.2 ms late", "limit": "at most 12.5 ms"},
    {"id": "load-cpu", "ok": True, "measured": "9% of a core", "limit": "at most 80%"},
]


def base(**changes: Any) -> dict[str, Any]:
    """A result without a verdict's particulars."""
    nodes = [
        {"name": "spot-1", "labels": {"pool": "spot", "topology.kubernetes.io/zone": "a"}, "taints": []},
        {"name": "spot-2", "labels": {"pool": "spot", "topology.kubernetes.io/zone": "b"}, "taints": []},
        {"name": "steady-1", "labels": {"pool": "steady", "topology.kubernetes.io/zone": "a"}, "taints": []},
    ]
    result: dict[str, Any] = {
        "version": 1,
        "experiment": "noexecute-evicts",
        "run": "20260102T030405Z-7",
        "description": "A NoExecute taint takes pods without a toleration off their node; the service keeps answering.",
        "state": "completed",
        "started": "2026-01-02T03:04:05.678901Z",
        "what_would_decide": "",
        "evictions": [],
        "phases": [],
        "events": [],
        "fault": {"start_s": 25.0, "end_s": 55.0, "acknowledged_s": ACKNOWLEDGED_S},
        "gates": GATES,
        "golden_signals": [],
        "leftovers": [],
        "healed": True,
        "targets": ["spot-1"],
        "versions": {"taintlab": "0.1.0", "kubernetes": "v1.35.4", "python": "3.11.7"},
        "environment": {"cluster": "lab demo", "nodes": nodes},
        "ledger": [
            {
                "record": "01-taint",
                "subject": "node/spot-1",
                "what": "taint spot-interruption=true:NoExecute",
                "healed": True,
            }
        ],
    }
    return {**result, **changes}


def at_taint(second: float) -> float:
    """Seconds since the acknowledged taint."""
    return second - ACKNOWLEDGED_S


def events(first_s: float, ready_s: float, *more: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The usual marks; `first_s`, `ready_s` count from the taint."""
    marks: list[dict[str, Any]] = [
        {"t_s": ACKNOWLEDGED_S, "kind": "inject", "label": "taint spot-interruption=true:NoExecute on spot-1"},
        {"t_s": round(ACKNOWLEDGED_S + first_s, 4), "kind": "first-eviction", "label": "first eviction"},
        {"t_s": round(ACKNOWLEDGED_S + ready_s, 4), "kind": "last-ready", "label": "last replacement Ready"},
        {"t_s": 55.01, "kind": "heal", "label": "taint spot-interruption=true:NoExecute off spot-1"},
        *more,
    ]
    return sorted(marks, key=lambda mark: float(mark["t_s"]))


def saturation(ready: Callable[[int], int]) -> dict[str, Any]:
    """Endpoints and saturation beside the 75 seconds of `series`."""
    chance = random.Random(5)
    cpu = [round(0.11 + 0.02 * chance.random() + (0.16 if 25 <= s < 31 else 0.0), 4) for s in range(75)]
    memory = [round(2.1e7 + 4e4 * s + 2e5 * chance.random()) for s in range(75)]
    return {
        "ready_endpoints": [ready(s) for s in range(75)],
        "saturation": [
            {"name": "cpu, busiest pod", "unit": "cores", "values": [None, None, *cpu[2:]]},
            {"name": "memory, busiest pod", "unit": "bytes", "values": [None, None, *memory[2:]]},
        ],
    }


def golden(why: str = "") -> list[dict[str, Any]]:
    """The golden signals of every phase; with `why`, none was to be had."""
    rows = []
    for name, *_ in PHASES:
        known = {
            "latency_p99_ms": 4.93,
            "traffic_per_s": 99.4,
            "errors_ratio": 0.0,
            "saturation": {"cpu": 0.29, "memory": 24.2e6},
        }
        missing = {"latency_p99_ms": None, "traffic_per_s": None, "errors_ratio": None, "saturation": {}}
        rows.append({"phase": name, **(missing if why else known), "source": "prometheus", "why": why})
    return rows


def check(id_: str, verdict: str, reason: str, n: int, **more: Any) -> dict[str, Any]:
    """One check."""
    blank = {"what_would_decide": "", "measured": None, "limit": None, "unit": "", "interval": None}
    return {"id": id_, "verdict": verdict, "reason": reason, "n": n, **blank, **more}


def valid() -> dict[str, Any]:
    """The check that the measurement is sound."""
    return check("validity", "PASS", "all 6 gates of a sound measurement hold", 6)


def slos(fault_bad: int, fault_n: int, verdict: str = "PASS") -> list[dict[str, Any]]:
    """The two objectives, with the bad requests of the fault phase."""
    ratio = fault_bad / fault_n
    spread = {"measured": ratio, "unit": "bad ratio", "interval": [ratio * 0.6, ratio * 1.6 + 0.001]}
    return [
        check(
            "slo/latency/baseline",
            "PASS",
            "0 of 2001 requests failed or took longer than 250 ms (0.000%), 1.000% are allowed",
            2001,
            measured=0.0,
            limit=0.01,
            unit="bad ratio",
            interval=[0.0, 0.0014],
        ),
        check(
            "slo/success/fault",
            verdict,
            f"{fault_bad} of {fault_n} requests failed ({ratio:.3%}), 0.100% are allowed",
            fault_n,
            limit=0.001,
            **spread,
        ),
    ]
