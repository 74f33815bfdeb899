"""Whole runs on the real control plane, and their twins in broken worlds that must not pass."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from harness import lab as labs
from tests.lab.cli import Ended, facts, injected, kill_process, load_pids, started, taintlab, wait_for
from tests.lab.experiments import Made, deployment, service, web
from tests.lab.too_busy import tell_if_busy, too_busy_for

SEED_TARGET = {"nodes": {"selector": "pool=spot", "count": 1}, "seed": 7}


def run(made: Made, folder: Path, *arguments: str) -> tuple[Ended, dict[str, Any]]:
    """Run an experiment by command; its result. Skips when this machine was too busy for it."""
    out = folder / "run"
    ended = taintlab("run", made.write(folder), "--out", out, *arguments)
    assert (out / "result.json").exists(), ended.err
    result = json.loads((out / "result.json").read_text())
    tell_if_busy(too_busy_for(result))
    return ended, result


def node_state(lab: labs.Lab, name: str) -> dict[str, Any]:
    """What a run must leave as it was: taints, annotations, labels, unschedulable."""
    ended = kubectl(lab, "get", "node", name, "-o", "json")
    node = json.loads(ended)
    return {
        "spec": node["spec"],
        "annotations": node["metadata"]["annotations"],
        "labels": node["metadata"]["labels"],
    }


def kubectl(lab: labs.Lab, *arguments: str) -> str:
    """The lab's own kubectl, inside."""
    ended = taintlab("lab", "exec", "--name", lab.name, "--", "kubectl", *arguments)
    assert ended.code == 0, ended.err
    return ended.out


def spot_nodes(lab: labs.Lab) -> list[str]:
    """Names of the nodes that the experiments choose from."""
    return kubectl(lab, "get", "nodes", "-l", "pool=spot", "-o", "name").replace("node/", "").split()


def test_a_taint_evicts_on_time_and_everything_is_as_before(lab: labs.Lab, tmp_path: Path) -> None:
    before = {name: node_state(lab, name) for name in spot_nodes(lab)}
    ended, result = run(web("passes"), tmp_path, "--lab", lab.name)
    assert (ended.code, result["verdict"]) == (0, "PASS"), ended.out
    assert {row["verdict"] for row in result["evictions"]} == {"on time"}
    assert all(row["replacement_ready_s"] is not None for row in result["evictions"])
    assert {name: node_state(lab, name) for name in spot_nodes(lab)} == before
    assert taintlab("status", "--lab", lab.name, "--json").json == {"leftovers": []}
    assert (tmp_path / "run" / "report.html").stat().st_size > 10_000
    again = taintlab("check", tmp_path / "run", "--json")  # needs no cluster, and says the same
    assert (again.code, again.json) == (0, result)


def test_without_the_eviction_controller_pods_survive_wrongly(tmp_path: Path) -> None:
    flag = "kube-controller-manager=--controllers=*,-taint-eviction-controller"
    name = "broken-tec"
    up = taintlab("lab", "up", "--name", name, "--flag", flag)
    assert up.code == 0, up.err
    try:
        ended, result = run(web("survives"), tmp_path, "--lab", name)
    finally:
        taintlab("lab", "down", "--name", name)
    assert (ended.code, result["verdict"]) == (1, "FAIL")
    assert {row["verdict"] for row in result["evictions"]} == {"survived wrongly"}


def test_a_killed_load_process_makes_the_run_invalid(lab: labs.Lab, tmp_path: Path) -> None:
    out = tmp_path / "run"
    path = web("loadless").write(tmp_path)
    with started("run", path, "--lab", lab.name, "--out", out, log=tmp_path / "log") as process:
        wait_for(lambda: len(facts(out, "LoadWindow")) >= 2, timeout_s=90, what="traffic")
        (pid,) = load_pids(process.pid)
        kill_process(pid)
        assert process.wait(240) == 3, (tmp_path / "log").read_text()
    result = json.loads((out / "result.json").read_text())
    assert result["verdict"] == "INVALID"
    assert result["healed"] is True


def test_no_pod_on_the_target_is_inconclusive(lab: labs.Lab, tmp_path: Path) -> None:
    objects = [deployment("web", replicas=2, tolerations=[], pool="general"), service("web")]
    ended, result = run(Made("nobody", objects), tmp_path, "--lab", lab.name)
    assert (ended.code, result["verdict"]) == (3, "INCONCLUSIVE"), ended.out
    assert "no pod ran on the target" in result["reason"]


METRICS = {
    "evictions": "as-predicted",
    "metrics": [{"name": "cpu", "query": "sum(rate(process_cpu_seconds_total[5s]))", "phases": ["fault"], "max": 100}],
}


@pytest.mark.parametrize(
    ("prometheus", "code", "verdict"),
    [("alive", 0, "PASS"), ("dead", 3, "INCONCLUSIVE")],
    ids=["Prometheus alive", "Prometheus killed"],
)
def test_what_needs_prometheus_never_passes_without_it(
    lab: labs.Lab, tmp_path: Path, prometheus: str, code: int, verdict: str
) -> None:
    made = web(f"metrics-{prometheus}", load=False, expect=METRICS)
    if prometheus == "dead":
        labs.kill(lab, "prometheus")
    try:
        ended, result = run(made, tmp_path, "--lab", lab.name)
    finally:
        if prometheus == "dead":
            labs.restart(lab, "prometheus")
    assert (ended.code, result["verdict"]) == (code, verdict), ended.out


GAUGE = {
    "evictions": "as-predicted",
    "metrics": [{"name": "mem", "query": "max(process_resident_memory_bytes)", "phases": ["fault"], "max": 1e12}],
}
OUTAGE_S = 6.0
"""Six scrapes of the lab's Prometheus; the query alone would answer for them with stale samples (lookback 5 min)."""


@pytest.mark.parametrize("outage", [False, True], ids=["Prometheus alive", "Prometheus dead for six seconds"])
def test_a_gauge_needs_unbroken_scrapes(lab: labs.Lab, tmp_path: Path, outage: bool) -> None:
    """A6: killed and started again within the fault phase, Prometheus has an answer for every second of it."""
    out = tmp_path / "run"
    phases = {"warmup": "1s", "baseline": "4s", "fault": "16s", "recovery": "4s"}
    made = web(f"gauge-{str(outage).lower()}", load=False, expect=GAUGE, phases=phases)
    with started("run", made.write(tmp_path), "--lab", lab.name, "--out", out, log=tmp_path / "log") as process:
        wait_for(lambda: injected(out) or process.poll() is not None, timeout_s=90, what="the injection")
        if outage:
            labs.kill(lab, "prometheus")
            time.sleep(OUTAGE_S)
            labs.restart(lab, "prometheus")
        code = process.wait(120)
    result = json.loads((out / "result.json").read_text())
    (check,) = [check for check in result["checks"] if check["id"] == "metric/mem/fault"]
    assert check["verdict"] == ("INCONCLUSIVE" if outage else "PASS"), check
    assert code == (3 if outage else 0), (tmp_path / "log").read_text()


@pytest.mark.parametrize("with_folder", [True, False], ids=["from the folder", "from the node alone"])
def test_recover_after_sigkill_restores_the_node_exactly(lab: labs.Lab, tmp_path: Path, with_folder: bool) -> None:
    (victim,) = _target(lab, tmp_path)
    key = "taintlab.test/spot"
    kubectl(lab, "taint", "node", victim, f"{key}=admin:NoSchedule", "other=x:PreferNoSchedule")
    try:
        before = node_state(lab, victim)
        out = tmp_path / "run"
        made = web(f"killed-{str(with_folder).lower()}", load=False, expect={"evictions": "as-predicted"})
        with started("run", made.write(tmp_path), "--lab", lab.name, "--out", out, log=tmp_path / "log") as process:
            wait_for(lambda: injected(out) or process.poll() is not None, timeout_s=90, what="the injection")
            assert process.poll() is None, (tmp_path / "log").read_text()
            process.kill()
            process.wait()
        during = node_state(lab, victim)
        assert during != before
        left = taintlab("status", "--lab", lab.name, "--json").json["leftovers"]
        assert {item["kind"] for item in left} >= {"Node", "Namespace", "Deployment"}
        arguments = [out] if with_folder else ["--lab", lab.name]
        recovered = taintlab("recover", *arguments, "--json")
        assert (recovered.code, recovered.json["leftovers"]) == (0, []), recovered.out
        assert node_state(lab, victim) == before
    finally:
        kubectl(lab, "taint", "node", victim, f"{key}:NoSchedule-", "other-")
    assert taintlab("recover", "--lab", lab.name).code == 0


def _target(lab: labs.Lab, folder: Path) -> list[str]:
    """The node that the seed chooses."""
    from harness.model.experiment import Requirement, Target
    from harness.model.world import WorldNode
    from harness.plan.targets import choose_targets

    nodes = [WorldNode(name, name, {"pool": "spot"}) for name in spot_nodes(lab)]
    return list(choose_targets(Target(selector=(Requirement("pool", ("spot",)),), count=1, seed=7), nodes))
