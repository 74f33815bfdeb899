"""Run folders as `taintlab run` leaves them, made up for the report's tests: each case is a folder's files by name.

Nothing here is read by the product.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from tests.golden.reports.builders import (
    GATES,
    PHASES,
    Case,
    at_taint,
    base,
    check,
    counted,
    events,
    eviction,
    golden,
    history,
    saturation,
    slos,
    traffic,
    valid,
)

CASES: dict[str, Callable[[Path], Case]] = {}


def case(make: Callable[[Path], Case]) -> Callable[[Path], Case]:
    """Register a case under its function's name, dashes for underscores. The argument is a folder for scratch files."""
    CASES[make.__name__.replace("_", "-")] = make
    return make


@case
def pass_six_pods(scratch: Path) -> Case:
    """Six pods leave within a second, twelve others keep serving; a few requests are lost on the way."""
    rows = traffic(
        1, trouble=lambda t: (2.4 if 0 <= at_taint(t) < 5 else 1.0, 0.003 if 1.5 <= at_taint(t) < 4 else 0.0)
    )
    numbers = counted(rows, scratch)
    numbers["series"] |= saturation(lambda s: 12 if s < 25 else 6 if s < 27 else 9 if s < 28 else 12)
    seen = (0.083, 0.097, 0.118, 0.141, 0.166, 0.187)
    pods = [
        eviction(
            n,
            predicted_s=[0.0, 1.0],
            observed_s=at,
            gone_s=round(at + 1.02 + 0.04 * n, 3),
            ready_s=round(2.31 + 0.16 * n, 3),
            reason=f"left at {at:.2f} s; it must leave between 0.00 and 1.00 s",
        )
        for n, at in enumerate(seen)
    ]
    fault = numbers["phases"][2]
    result = base(
        verdict="PASS",
        exit_code=0,
        reason="6 pods left on time and 0 stayed, as predicted; "
        f"{fault['bad']} of {fault['requests']} requests failed in the fault",
        checks=[
            valid(),
            check("evictions", "PASS", "6 pods left on time and 0 stayed, as predicted", 6),
            *slos(fault["bad"], fault["requests"]),
            check(
                "recovery/traffic",
                "PASS",
                "bad ratio back at or below 0.10% 0 s after the fault ended, 15 s are allowed",
                2011,
                measured=0.0,
                limit=15.0,
                unit="s",
            ),
            check(
                "recovery/pods",
                "PASS",
                "all 12 endpoints ready again before the fault ended, 15 s are allowed",
                12,
                measured=0.0,
                limit=15.0,
                unit="s",
            ),
        ],
        evictions=pods,
        events=events(0.083, 3.11),
        golden_signals=golden(),
        **numbers,
    )
    return Case(result, history(), rows)


@case
def fail_late_and_survived(scratch: Path) -> Case:
    """Pods with tolerationSeconds: one never leaves, two leave late, and the service suffers."""
    rows = traffic(2, trouble=lambda t: (9.0 if 0 <= at_taint(t) < 9 else 1.0, 0.45 if 1 <= at_taint(t) < 7 else 0.0))
    numbers = counted(rows, scratch)
    numbers["series"] |= saturation(lambda s: 8 if s < 25 else 3 if s < 33 else 6 if s < 47 else 8)
    numbers["series"]["p99_ms"][40] = numbers["series"]["p50_ms"][40] = numbers["series"]["success_p99_ms"][40] = None
    numbers["series"]["bad_ratio"][40] = None
    for part in numbers["series"]["saturation"]:
        part["values"][38:44] = [None] * 6
    spot, five, twenty = "no toleration", "tolerates spot-interruption for 5 s", "tolerates spot-interruption for 20 s"
    api, batch = "ReplicaSet/api-5c6b7", "ReplicaSet/batch-84f"
    pods = [
        eviction(0, predicted_s=[0.0, 1.0], observed_s=0.11, gone_s=1.6, ready_s=3.2, tolerations=spot),
        eviction(1, predicted_s=[0.0, 1.0], observed_s=0.14, gone_s=1.7, ready_s=3.6, tolerations=spot),
        eviction(
            2,
            predicted_s=[0.0, 1.0],
            observed_s=4.81,
            gone_s=6.3,
            ready_s=8.9,
            verdict="late",
            tolerations=spot,
            reason="left at 4.81 s but must leave between 0.00 and 1.00 s",
        ),
        eviction(
            3,
            predicted_s=[5.0, 6.0],
            observed_s=5.12,
            gone_s=6.7,
            ready_s=8.4,
            workload=api,
            tolerations=five,
            rule="toleration-seconds",
            planned="evicted",
            planned_s=[12.0, 13.0],
        ),
        eviction(
            4,
            predicted_s=[5.0, 6.0],
            observed_s=9.44,
            gone_s=10.9,
            ready_s=12.8,
            workload=api,
            tolerations=five,
            verdict="late",
            rule="toleration-seconds",
            reason="left at 9.44 s but must leave between 5.00 and 6.00 s",
        ),
        eviction(
            5,
            predicted_s=[20.0, 21.0],
            observed_s=None,
            workload=batch,
            tolerations=twenty,
            verdict="survived wrongly",
            rule="toleration-seconds",
            reason="must leave between 20.00 and 21.00 s but was still there at 50.10 s",
        ),
        eviction(
            6,
            predicted_s=[20.0, 21.0],
            observed_s=20.07,
            gone_s=21.6,
            ready_s=23.1,
            workload=batch,
            tolerations=twenty,
            rule="toleration-seconds",
            planned="",
        ),
        eviction(
            7,
            predicted_s=None,
            observed_s=None,
            workload=batch,
            verdict="survived",
            rule="tolerated",
            tolerations="tolerates spot-interruption for ever",
            planned="survives",
        ),
    ]
    fault = numbers["phases"][2]
    reason = (
        "3 of 8 pods late, survived wrongly: default/batch-84f-00005 must leave between 20.00 and 21.00 s "
        "but was still there at 50.10 s"
    )
    result = base(
        experiment="toleration-seconds",
        verdict="FAIL",
        exit_code=1,
        reason=f"evictions: {reason}",
        checks=[
            valid(),
            check("evictions", "FAIL", reason, 8),
            *slos(fault["bad"], fault["requests"], "FAIL"),
            check(
                "recovery/pods",
                "PASS",
                "all 8 endpoints ready again before the fault ended, 15 s are allowed",
                8,
                measured=0.0,
                limit=15.0,
                unit="s",
            ),
        ],
        evictions=pods,
        events=events(0.11, 23.1, {"t_s": 38.0, "kind": "gap", "label": "pod watch blind for 2.41 s"}),
        golden_signals=golden(),
        **numbers,
    )
    gap = {
        "t_ns": int(40.41e9),
        "kind": "WatchGap",
        "resource": "pods",
        "from_ns": int(38e9),
        "why": "410 Gone: too old resource version",
    }
    return Case(result, history(gap), rows)


@case
def invalid_no_load(scratch: Path) -> Case:
    """The load process was killed: nothing it sent can be vouched for."""
    died = {
        "t_ns": int(31e9),
        "kind": "LoadEnded",
        "ok": False,
        "summary": {},
        "message": "killed by SIGKILL after 6.2 s",
    }
    silent = {name: [None] * 75 for name in ("due", "sent", "bad", "bad_ratio", "p50_ms", "p99_ms", "success_p99_ms")}
    blank = {"requests": None, "bad": None, "p50_ms": None, "p99_ms": None}
    pods = [eviction(n, predicted_s=[0.0, 1.0], observed_s=0.1 + n / 50, gone_s=1.3, ready_s=2.6) for n in range(3)]
    gates = [
        *GATES[:3],
        {
            "id": "load-complete",
            "ok": False,
            "measured": "killed by SIGKILL after 6.2 s",
            "limit": "a summary from the load process",
        },
    ]
    reason = "load-complete: killed by SIGKILL after 6.2 s; it must be a summary from the load process"
    result = base(
        verdict="INVALID",
        exit_code=3,
        reason=f"validity: {reason}",
        what_would_decide="fix what is named and run again",
        checks=[
            check("validity", "INVALID", reason, 4, what_would_decide="fix what is named and run again"),
            check("evictions", "PASS", "3 pods left on time and 0 stayed, as predicted", 3),
            check(
                "slo/success/fault",
                "INCONCLUSIVE",
                "there are no rows of the load",
                0,
                what_would_decide="a load that runs to its end",
            ),
        ],
        evictions=pods,
        events=events(0.1, 2.6),
        phases=[{"name": name, "start_s": start, "end_s": end, **blank} for name, start, end in PHASES],
        series={"t_s": list(range(75)), **silent, **saturation(lambda s: 6 if not 25 <= s < 28 else 3)},
        gates=gates,
        golden_signals=golden(),
    )
    return Case(result, history(died))


@case
def inconclusive_no_pods(scratch: Path) -> Case:
    """Nothing ran on the target, so nothing could be evicted."""
    rows = traffic(4, rate_per_s=20.0, trouble=lambda t: (1.0, 0.0))
    numbers = counted(rows, scratch)
    reason = "no pod ran on the target (spot-1): nothing could be evicted"
    what_would_decide = "put pods on the target, or choose a target that has some"
    result = base(
        verdict="INCONCLUSIVE",
        exit_code=3,
        reason=f"evictions: {reason}",
        what_would_decide=what_would_decide,
        checks=[
            valid(),
            check("evictions", "INCONCLUSIVE", reason, 0, what_would_decide=what_would_decide),
            check(
                "slo/success/fault",
                "INCONCLUSIVE",
                "0 of 611 requests failed (0.000%), 0.100% are allowed",
                611,
                what_would_decide="2389 more requests: about 118 s more at this rate",
                measured=0.0,
                limit=0.001,
                unit="bad ratio",
                interval=[0.0, 0.0044],
            ),
        ],
        events=[mark for mark in events(0, 0) if mark["kind"] in ("inject", "heal")],
        golden_signals=golden(),
        **numbers,
    )
    return Case(result, history(), rows)


@case
def many_pods(scratch: Path) -> Case:
    """300 pods of eight workloads, client throttling in the controller, five violations."""
    chance = random.Random(9)
    rows = traffic(
        5,
        rate_per_s=200.0,
        trouble=lambda t: (3.0 if 0 <= at_taint(t) < 20 else 1.0, 0.01 if 0 < at_taint(t) < 15 else 0.0),
    )
    numbers = counted(rows, scratch)
    numbers["series"] |= saturation(lambda s: 300 if s < 25 else min(300, 40 + 9 * (s - 25)))
    pods = []
    for n in range(300):
        workload = f"ReplicaSet/shop-{'abcdefgh'[n % 8]}-{6700 + n % 8}"
        wait_s = (0.0, 0.0, 5.0, 10.0)[n % 4]
        at = round(wait_s + n * 0.02 + chance.random() * 0.1, 3)
        verdict = (
            "late" if n in (41, 107, 218) else "early" if n == 250 else "evicted wrongly" if n == 299 else "on time"
        )
        at = round(at + 7.5, 3) if verdict == "late" else round(wait_s - 1.5, 3) if verdict == "early" else at
        predicted = None if verdict == "evicted wrongly" else [wait_s, wait_s + 7.0]
        tolerations = f"tolerates spot-interruption for {wait_s:g} s" if wait_s else "no toleration"
        pods.append(
            eviction(
                n,
                verdict=verdict,
                predicted_s=predicted,
                observed_s=at,
                gone_s=round(at + 1.5, 3),
                ready_s=round(at + 3 + chance.random(), 3),
                workload=workload,
                tolerations=tolerations,
                rule="toleration-seconds" if wait_s else "no-toleration",
            )
        )
    fault = numbers["phases"][2]
    reason = "5 of 300 pods early, evicted wrongly, late: default/shop-d-6703-0012b left at 16.04 s but must stay"
    result = base(
        experiment="throttled-eviction-storm",
        verdict="FAIL",
        exit_code=1,
        reason=f"evictions: {reason}",
        checks=[valid(), check("evictions", "FAIL", reason, 300), *slos(fault["bad"], fault["requests"], "FAIL")],
        evictions=pods,
        events=events(0.02, 27.4),
        golden_signals=golden(),
        **numbers,
    )
    return Case(result, history(), rows)


@case
def no_prometheus(scratch: Path) -> Case:
    """Prometheus was gone: saturation is missing, and what needed it is not PASS. The folder of rows is missing as
    well.
    """
    complete = pass_six_pods(scratch)
    why = "prometheus did not answer: connection refused at 127.0.0.1:9090"
    series = {**complete.result["series"], "saturation": []}
    open_check = check(
        "metric/queue-length", "INCONCLUSIVE", why, 0, what_would_decide="a Prometheus that answers during the run"
    )
    result = {
        **complete.result,
        "verdict": "INCONCLUSIVE",
        "exit_code": 3,
        "reason": f"metric/queue-length: {why}",
        "what_would_decide": "a Prometheus that answers during the run",
        "checks": [*complete.result["checks"], open_check],
        "series": series,
        "golden_signals": golden(why),
    }
    sampled = {
        "t_ns": int(76e9),
        "kind": "Sample",
        "signal": "saturation",
        "name": "cpu",
        "value": None,
        "unit": "cores",
        "why": why,
    }
    return Case(result, history(sampled))


HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'&{{7*7}}"


@case
def hostile_strings(scratch: Path) -> Case:
    """Every text carries markup, quotes, a template expression, a terminal escape and a right-to-left override."""
    nasty = f"{HOSTILE}\x1b[31m\u202e https://evil.example/x"
    complete = fail_late_and_survived(scratch)
    series = {**complete.result["series"], "saturation": [{"name": nasty, "unit": nasty, "values": [0.5] * 75}]}
    result = json.loads(json.dumps(complete.result))
    for row in result["evictions"]:
        row |= {
            "pod": nasty,
            "node": nasty,
            "rule": nasty,
            "reason": nasty,
            "workload": nasty,
            "tolerations": nasty,
            "replacement": nasty,
        }
    for row in result["checks"]:
        row |= {"id": nasty, "reason": nasty, "what_would_decide": nasty, "unit": nasty, "measured": 1.0}
    for row in (*result["gates"], *result["events"], *result["ledger"], *result["golden_signals"], *result["phases"]):
        row |= {key: nasty for key, value in row.items() if isinstance(value, str) and key != "source"}
    result["phases"][2] |= {"outcomes": {nasty: 3}, "bad": 3}
    result |= {
        "experiment": nasty,
        "run": nasty,
        "description": nasty,
        "reason": nasty,
        "what_would_decide": nasty,
        "started": nasty,
        "healed": False,
        "leftovers": [nasty],
        "versions": {nasty: nasty},
        "targets": ["spot-1"],
        "series": series,
        "environment": {
            "cluster": nasty,
            nasty: nasty,
            "nodes": [{"name": nasty, "labels": {nasty: nasty}, "taints": [nasty]}],
        },
    }
    seen = {
        "t_ns": int(30e9),
        "kind": "NodeSeen",
        "change": "MODIFIED",
        "name": "spot-1",
        "unschedulable": True,
        "ready": False,
        "taints": [{"key": nasty, "value": nasty, "effect": nasty}],
    }
    gap = {"t_ns": int(40e9), "kind": "WatchGap", "resource": nasty, "from_ns": int(38e9), "why": nasty}
    return replace(complete, result=result, history=history(seen, gap), spec=f"a: {json.dumps(HOSTILE)}\n")


@case
def bare_minimum(scratch: Path) -> Case:
    """Only what the shared format promises: the example of its page, and no history."""
    result = {
        "version": 1,
        "experiment": "noexecute-evicts",
        "verdict": "PASS",
        "exit_code": 0,
        "reason": "one sentence",
        "checks": [{"id": "evictions", "verdict": "PASS", "reason": "...", "n": 6}],
        "evictions": [
            {
                "pod": "default/web-1",
                "uid": "u",
                "node": "spot-1",
                "verdict": "on time",
                "rule": "no-toleration",
                "predicted_s": [0.0, 1.0],
                "observed_s": 0.12,
                "gone_s": 2.3,
                "replacement_ready_s": 3.1,
            }
        ],
        "phases": [
            {
                "name": "baseline",
                "start_s": 5.0,
                "end_s": 25.0,
                "requests": 2000,
                "bad": 0,
                "p50_ms": 1.1,
                "p99_ms": 4.0,
            }
        ],
        "healed": True,
        "versions": {"taintlab": "0.1.0", "kubernetes": "v1.35.4"},
    }
    return Case(result)
