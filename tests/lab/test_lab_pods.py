"""Pods on real kubelets: an unmodified third-party server, lifecycles, what a lab has not, and node pressure."""

from __future__ import annotations

import json
from typing import Any

import pytest

from harness import lab as labs
from harness.lab import Lab
from harness.lab.api import Api
from tests.lab.cli import taintlab, wait_for

PODINFO = {
    "name": "web",
    "image": "ghcr.io/stefanprodan/podinfo:6",
    "command": ["./podinfo", "--port=9898", "--level=info"],
    "ports": [{"containerPort": 9898}],
    "readinessProbe": {"httpGet": {"path": "/readyz", "port": 9898}, "periodSeconds": 1},
    "livenessProbe": {"httpGet": {"path": "/healthz", "port": 9898}},
}


def shell(script: str, **more: Any) -> dict[str, Any]:
    """A container that runs a shell script of the host."""
    return {"name": "main", "image": "busybox", "command": ["sh", "-c", script], **more}


class Pods:
    """Pods of one namespace of the session's lab."""

    def __init__(self, lab: Lab, api: Api, namespace: str) -> None:
        self.lab = lab
        self.path = f"/api/v1/namespaces/{namespace}/pods"
        self.namespace = namespace
        self._api = api

    def create(self, name: str, *containers: dict[str, Any], **spec: Any) -> None:
        """A pod that restarts nothing unless told to."""
        body = {"containers": list(containers), "restartPolicy": "Never", **spec}
        self._api.request("POST", self.path, {"metadata": {"name": name, "labels": {"app": name}}, "spec": body})

    def get(self, name: str) -> dict[str, Any] | None:
        """The pod, None when it is gone."""
        found = self._api.request("GET", self.path)["items"]
        return next((pod for pod in found if pod["metadata"]["name"] == name), None)

    def until(self, name: str, what: str, condition: Any, *, timeout_s: float = 60) -> dict[str, Any]:
        """The pod once `condition(pod)` holds."""
        last: list[Any] = [None]

        def holds() -> bool:
            last[0] = self.get(name)
            return last[0] is not None and condition(last[0])

        wait_for(holds, timeout_s=timeout_s, what=f"{name}: {what}")
        pod: dict[str, Any] = last[0]
        return pod

    def kubectl(self, *arguments: str) -> str:
        """kubectl in the namespace; its output."""
        command = ("lab", "exec", "--name", self.lab.name, "--", "kubectl", "-n", self.namespace, *arguments)
        ended = taintlab(*command)
        assert ended.code == 0, ended.err
        return ended.out


@pytest.fixture
def pods(lab: Lab, api: Api, namespace: str) -> Pods:
    return Pods(lab, api, namespace)


def is_ready(pod: dict[str, Any]) -> bool:
    """Its Ready condition."""
    return any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions", ()))


def phase(wanted: str) -> Any:
    """A condition on status.phase."""
    return lambda pod: pod["status"].get("phase") == wanted


def state_of(pod: dict[str, Any]) -> dict[str, Any]:
    """The first container's status."""
    status: dict[str, Any] = pod["status"]["containerStatuses"][0]
    return status


def test_an_unmodified_server_is_probed_logged_reached_and_leaves_in_order(pods: Pods) -> None:
    pods.create("web", {**PODINFO, "lifecycle": {"preStop": {"sleep": {"seconds": 2}}}})
    pod = pods.until("web", "Ready", is_ready)
    assert "Starting podinfo" in pods.kubectl("logs", "web")
    assert pods.kubectl("exec", "web", "--", "hostname").strip()
    pods.kubectl("expose", "pod", "web", "--port=80", "--target-port=9898")
    fetch = f"import urllib.request as u; u.urlopen('http://web.{pods.namespace}')"
    pods.create("client", shell(f'until python3 -c "{fetch}"; do sleep 0.2; done'))
    pods.until("client", "reached the Service by name", phase("Succeeded"))
    pods.kubectl("delete", "pod", "web", "--wait=false")
    going = pods.until("web", "terminating", lambda pod: "deletionTimestamp" in pod["metadata"])
    assert going["metadata"]["uid"] == pod["metadata"]["uid"]
    wait_for(lambda: pods.get("web") is None, timeout_s=20, what="the end of web")


@pytest.mark.parametrize(
    ("script", "ends", "code", "reason"),
    [("exit 0", "Succeeded", 0, "Completed"), ("exit 3", "Failed", 3, "Error")],
    ids=["exit 0", "exit 3"],
)
def test_exit_codes_are_told(pods: Pods, script: str, ends: str, code: int, reason: str) -> None:
    pods.create("p", shell(script))
    terminated = state_of(pods.until("p", ends, phase(ends)))["state"]["terminated"]
    assert (terminated["exitCode"], terminated["reason"]) == (code, reason)


def test_a_container_that_ignores_sigterm_is_killed_after_its_grace(pods: Pods) -> None:
    pods.create("stubborn", shell("trap '' TERM; while :; do sleep 1; done"), terminationGracePeriodSeconds=2)
    pods.until("stubborn", "Running", phase("Running"))
    pods.kubectl("delete", "pod", "stubborn", "--wait=true", "--timeout=120s")
    assert pods.get("stubborn") is None


def test_a_failing_container_is_started_again(pods: Pods) -> None:
    pods.create("again", shell("sleep 0.2; exit 4"), restartPolicy="Always")
    pod = pods.until(
        "again",
        "restarted",
        lambda pod: state_of(pod)["restartCount"] >= 1 if pod["status"].get("containerStatuses") else False,
    )
    assert state_of(pod)["lastState"]["terminated"]["exitCode"] == 4


def test_init_containers_run_first_and_share_a_volume(pods: Pods) -> None:
    mount = {"volumeMounts": [{"name": "shared", "mountPath": "/shared-by-test"}]}
    first = shell("echo from-init > /shared-by-test/f", **mount) | {"name": "init"}
    pods.create(
        "p",
        shell("cat /shared-by-test/f", **mount),
        initContainers=[first],
        volumes=[{"name": "shared", "emptyDir": {}}],
    )
    pods.until("p", "Succeeded", phase("Succeeded"))
    assert pods.kubectl("logs", "p").strip() == "from-init"


def test_configuration_and_secrets_arrive(pods: Pods) -> None:
    pods.kubectl("create", "configmap", "c", "--from-literal=k=configured")
    pods.kubectl("create", "secret", "generic", "s", "--from-literal=k=hidden")
    volumes = [{"name": "c", "configMap": {"name": "c"}}, {"name": "s", "secret": {"secretName": "s"}}]
    mounts = [{"name": "c", "mountPath": "/etc/of-test/c"}, {"name": "s", "mountPath": "/etc/of-test/s"}]
    token = "/var/run/secrets/kubernetes.io/serviceaccount/token"
    pods.create(
        "p",
        shell(f"cat /etc/of-test/c/k /etc/of-test/s/k; test -s {token} && echo token", volumeMounts=mounts),
        volumes=volumes,
    )
    pods.until("p", "Succeeded", phase("Succeeded"))
    assert pods.kubectl("logs", "p").strip() == "configuredhiddentoken"


def test_what_a_lab_has_not_is_told_by_an_event(pods: Pods) -> None:
    limited = {"name": "c", "image": "example.org/nobody/knows:1", "resources": {"limits": {"memory": "64Mi"}}}
    pods.create("limited", {**limited, "ports": [{"containerPort": 8080}]})
    pods.until("limited", "Running", phase("Running"))
    wanted = {"stand-in": False, "limit": False}

    def told() -> bool:
        events = json.loads(pods.kubectl("get", "events", "-o", "json"))["items"]
        text = " ".join(event["message"].lower() for event in events if event["involvedObject"]["name"] == "limited")
        return all(word in text for word in wanted)

    wait_for(told, timeout_s=20, what=f"events that tell of {', '.join(wanted)}")


def test_a_memory_dial_makes_the_real_kubelet_evict_the_pod_over_its_request_first() -> None:
    name = "pressure"
    topology = labs.plain_topology(1)
    running = labs.up(
        labs.LabSpec(name=name, topology=topology, with_prometheus=False), owner=labs.this_process(), report=print
    )
    try:
        api = Api(running.kubeconfig)
        pods = Pods(running, api, "default")
        for pod in ("modest", "greedy"):
            requests = {"requests": {"memory": "1Gi"}}
            pods.create(pod, shell("exec sleep 1000", resources=requests), restartPolicy="Always")
        for pod in ("modest", "greedy"):
            pods.until(pod, "Ready", is_ready)
        labs.pressure(running, "node-1", {"memory.workingset": "4Gi"}, pod="default/greedy")
        labs.pressure(running, "node-1", {"memory.available": "50Mi"})
        evicted = pods.until("greedy", "evicted", phase("Failed"), timeout_s=60)
        assert evicted["status"]["reason"] == "Evicted"
        modest = pods.get("modest")
        assert modest is not None
        assert modest["status"]["phase"] == "Running"
        node = api.request("GET", "/api/v1/nodes/node-1")
        pressure = next(c for c in node["status"]["conditions"] if c["type"] == "MemoryPressure")
        assert pressure["status"] == "True"
        assert "node.kubernetes.io/memory-pressure" in [taint["key"] for taint in node["spec"].get("taints", ())]
        api.close()
    finally:
        labs.down_named(name)
