"""Whole runs that evict a pod, against the scripted API server: what a budget, a lost answer and a lie lead to."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.fakes import api_command, api_objects
from tests.fakes.api_rules import Answer, Drop, Hold
from tests.fakes.api_server import ApiServer
from tests.fakes.recover_command import taintlab_here

PODS = "/api/v1/namespaces/default/pods"
BUDGET = "/apis/policy/v1/namespaces/default/poddisruptionbudgets/web"
EVICTION = f"{PODS}/web/eviction"
EXPERIMENT = """
apiVersion: taintlab.dev/v1alpha1
kind: Experiment
metadata: {name: evict}
spec:
  workload: [web.yaml]
  target: {nodes: {names: [n1]}}
  phases: {fault: 5s, recovery: 1s}
  faults:
    - evict: {pods: app=web, timeout: 3s}
"""
WEB = """
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec:
  nodeName: n1
  containers: [{name: main, image: "example.com/main:1"}]
"""

Act = Callable[[ApiServer], object]


def budget(server: ApiServer, allowed: int) -> None:
    """A PodDisruptionBudget over the pod, with that status."""
    spec = {"maxUnavailable": allowed, "selector": {"matchLabels": {"app": "web"}}}
    server.put(BUDGET, {"spec": spec, "status": {"disruptionsAllowed": allowed}})


def allow_later(server: ApiServer) -> None:
    """A budget that allows nothing until half a second after the first refusal."""
    budget(server, 0)

    def once_asked() -> None:
        if any(r.path == EVICTION for r in server.requests):
            server.later(0.5, lambda: server.patch(BUDGET, {"status": {"disruptionsAllowed": 1}}))
        else:
            server.later(0.05, once_asked)

    server.later(0.05, once_asked)


@dataclass(frozen=True)
class Row:
    """What the cluster is like, and what becomes of the run: exit code, verdict, the pod's row, what the receipt says.
    `asked`: how often, at least and at most.
    """

    id: str
    cluster: Act
    code: int
    verdict: str
    pod: str
    evicted: bool
    refused: str = ""
    asked: tuple[int, int] = (1, 1)


ROWS = (
    Row("no budget", lambda server: None, 0, "PASS", "on time", evicted=True),
    Row("a budget that allows it", lambda server: budget(server, 1), 0, "PASS", "on time", evicted=True),
    Row("a budget that allows it later", allow_later, 0, "PASS", "on time", evicted=True, asked=(2, 3)),
    Row(
        "a budget that never allows it",
        lambda server: budget(server, 0),
        0,
        "PASS",
        "survived",
        evicted=False,
        refused="would violate the pod's disruption budget",
        asked=(3, 4),
    ),
    Row(
        "the answer is lost",
        lambda server: server.rule(Drop(after=True), method="POST", path=EVICTION),
        0,
        "PASS",
        "on time",
        evicted=True,
    ),
    Row(
        "accepted, and the pod stays (the twin)",
        lambda server: server.rule(Answer(201), method="POST", path=EVICTION),
        3,
        "INCONCLUSIVE",
        "unknown",
        evicted=True,
    ),
)


def prepared(server: ApiServer, folder: Path) -> None:
    """One node, and somebody who makes the pod Ready."""
    server.put("/api/v1/nodes/n1", api_objects.node({"pool": "spot"}))
    (folder / "web.yaml").write_text(WEB)
    status = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
    server.when(lambda: server.patch(f"{PODS}/web", {"status": status}), method="POST", path=PODS)


def receipt(ended: api_command.Ended) -> dict[str, Any]:
    """What the injection said."""
    (done,) = [f for f in ended.facts if f["kind"] == "StepDone" and f["step"].startswith("inject-")]
    said: dict[str, Any] = done["detail"]
    return said


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_an_eviction(row: Row, tmp_path: Path) -> None:
    with ApiServer() as server:
        prepared(server, tmp_path)
        row.cluster(server)
        ended = api_command.run(server, tmp_path, EXPERIMENT)
        asked = [r for r in server.requests if r.path == EVICTION]
    told = ended.out + ended.err
    assert (ended.code, ended.result["verdict"]) == (row.code, row.verdict), told
    assert ended.result["healed"], told
    (pod,) = [each for each in ended.result["evictions"] if each["pod"] == "default/web"]
    assert pod["verdict"] == row.pod, pod
    said = receipt(ended)
    assert bool(said["evicted"]) is row.evicted
    assert row.refused in str(said["refused"])
    assert bool(said["refused"]) is bool(row.refused)
    assert row.asked[0] <= len(asked) <= row.asked[1]


def killed_at(server: ApiServer, folder: Path, text: str, *, method: str, path: str) -> None:
    """Start a run, SIGKILL it as soon as that request has come, and recover from its folder."""
    process = api_command.start(server, folder, text)
    deadline_s = time.monotonic() + 60
    while not any((r.method, r.path) == (method, path) for r in server.requests):
        assert process.poll() is None
        assert time.monotonic() < deadline_s
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    kubeconfig = server.kubeconfig(folder / "kubeconfig")
    where = ["--context", "scripted", "--kubeconfig", kubeconfig, "--allow-context", "scripted"]
    ended = taintlab_here("recover", folder / "run", *where)
    assert ended.code == 0, ended.out + ended.err
    assert f"{PODS}/web" not in server.store.objects
    assert not server.get("/api/v1/nodes/n1")["metadata"].get("annotations")


def test_a_run_that_is_killed_while_it_asks_leaves_its_workload_only(tmp_path: Path) -> None:
    """The kill point of `evict`: nothing of it is on the cluster, so recovery takes off the workload and is done."""
    with ApiServer() as server:
        prepared(server, tmp_path)
        budget(server, 0)
        killed_at(server, tmp_path, EXPERIMENT, method="POST", path=EVICTION)


def test_a_run_that_is_killed_while_it_changes_pods_leaves_its_workload_only(tmp_path: Path) -> None:
    """The kill point of `tolerations`: its patch is held until the run is dead, and may land or not."""
    change = "tolerations: {pods: app=web, set: [{key: spot, operator: Exists}]}"
    text = EXPERIMENT.replace("evict: {pods: app=web, timeout: 3s}", change)
    with ApiServer() as server:
        prepared(server, tmp_path)
        server.rule(Hold(1.0), method="PATCH", path=f"{PODS}/web", times=1)
        killed_at(server, tmp_path, text, method="PATCH", path=f"{PODS}/web")
