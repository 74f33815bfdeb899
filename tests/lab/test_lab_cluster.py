"""What the lab's cluster does, seen from the host and from inside."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from harness import lab as labs
from harness.errors import UsageError
from harness.lab import Lab, NodeAction
from harness.lab.api import NO_ANSWER, Api, ApiRefused
from harness.lab.nodes import kubelet_kubeconfig
from harness.lab.state import Folder

WAIT_S = 120.0
NODES = "/api/v1/nodes"


def watch_until(api: Api, path: str, name: str, done: Callable[[Mapping[str, Any]], bool]) -> dict[str, Any]:
    """The object of that name as soon as `done` says so; fails with what it last was after WAIT_S."""
    seen: dict[str, Any] = {}
    end_s = time.monotonic() + WAIT_S
    while (left_s := end_s - time.monotonic()) > 0:
        listed = api.request("GET", path)
        for item in listed["items"]:
            if item["metadata"]["name"] == name:
                seen = item
        if seen and done(seen):
            return seen
        with api.watch(path, resource_version=listed["metadata"]["resourceVersion"], timeout_s=left_s) as events:
            for event in events:
                if event["type"] != "ERROR" and event["object"]["metadata"]["name"] == name:
                    seen = event["object"]
                    if done(seen):
                        return seen
    pytest.fail(f"{path}/{name} did not get there in {WAIT_S} s; last seen: {json.dumps(seen)[:2000]}")


def condition(kind: str, status: str) -> Callable[[Mapping[str, Any]], bool]:
    """Whether an object has a condition of this kind and status."""
    wanted = (kind, status)
    return lambda item: (
        wanted in [(each["type"], each["status"]) for each in item.get("status", {}).get("conditions") or []]
    )


def start_pod(api: Api, namespace: str, name: str, **spec: Any) -> dict[str, Any]:
    """Creates a podinfo pod and returns it when it is Ready; `spec` goes into its spec."""
    container = {
        "name": "web",
        "image": "ghcr.io/stefanprodan/podinfo:6.9.2",
        "args": ["--port=8080", "--port-metrics=9797", "--level=error"],
        "readinessProbe": {"httpGet": {"path": "/readyz", "port": 8080}, "periodSeconds": 1},
    }
    annotations = {"prometheus.io/scrape": "true", "prometheus.io/port": "9797"}
    metadata = {"name": name, "labels": {"app": name}, "annotations": annotations}
    path = f"/api/v1/namespaces/{namespace}/pods"
    api.request("POST", path, {"metadata": metadata, "spec": {"containers": [container], **spec}})
    return watch_until(api, path, name, condition("Ready", "True"))


def inside(lab: Lab, *argv: str) -> subprocess.CompletedProcess[str]:
    """A command in the lab's network."""
    return subprocess.run([*lab.namespace_prefix, *argv], capture_output=True, text=True, check=False, timeout=WAIT_S)


FETCH = "import sys, urllib.request as u; print(u.urlopen(sys.argv[1], timeout=30).status)"
KNOCK = """
import socket, sys, time
end = time.monotonic() + float(sys.argv[3])
while True:
    try:
        socket.create_connection((sys.argv[1], int(sys.argv[2])), 1)
        break
    except OSError:
        if time.monotonic() > end:
            raise
        time.sleep(0.05)
"""
"""A pod that is Ready is in its Service a moment later: the endpoints and kube-proxy's rules follow."""


@pytest.fixture(scope="module")
def web(lab: Lab) -> Iterator[str]:
    """A namespace with a Ready pod `web` behind a Service `web`, port 80, for all tests of this module."""
    name = f"cluster-{time.monotonic_ns()}"
    with closing(Api(lab.kubeconfig)) as api:
        api.request("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
        api.ensure(f"/api/v1/namespaces/{name}/serviceaccounts", {"metadata": {"name": "default"}})
        spec = {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]}
        api.request("POST", f"/api/v1/namespaces/{name}/services", {"metadata": {"name": "web"}, "spec": spec})
        start_pod(api, name, "web")
        routed = inside(lab, "python3", "-c", KNOCK, f"web.{name}", "80", str(WAIT_S))
        assert routed.returncode == 0, routed.stderr
        yield name
        api.request("DELETE", f"/api/v1/namespaces/{name}")


def test_up_means_ready_nodes_and_a_default_service_account(lab: Lab, api: Api) -> None:
    assert set(labs.status(lab).nodes.items()) >= {("general-1", "Ready"), ("spot-1", "Ready")}
    account = api.request("GET", "/api/v1/namespaces/default/serviceaccounts/default")
    assert account["metadata"]["name"] == "default"


def test_nodes_are_as_the_topology_says(api: Api) -> None:
    node = api.request("GET", f"{NODES}/spot-2")
    labels = node["metadata"]["labels"]
    assert (labels["pool"], labels["topology.kubernetes.io/zone"]) == ("spot", "zone-b")
    assert node["status"]["capacity"]["memory"] == "16Gi"
    assert node["spec"]["podCIDR"] == "10.244.4.0/24"


@pytest.mark.parametrize("host", ["web.{ns}", "web.{ns}.svc.cluster.local"])
def test_services_have_names_and_addresses_inside(lab: Lab, web: str, host: str) -> None:
    done = inside(lab, "python3", "-c", FETCH, f"http://{host.format(ns=web)}/healthz")
    assert (done.stdout, done.returncode) == ("200\n", 0), done.stderr


def test_a_door_leads_to_a_service_from_both_sides(lab: Lab, web: str) -> None:
    url = labs.port_forward(lab, f"web.{web}:80")
    with urllib.request.urlopen(f"{url}/healthz", timeout=30) as answer:  # noqa: S310 - our own door
        assert answer.status == 200
    assert inside(lab, "python3", "-c", FETCH, f"{url}/healthz").stdout == "200\n"


def test_the_kubernetes_service_works_inside(lab: Lab) -> None:
    done = inside(lab, "python3", "-c", "import socket; socket.create_connection(('kubernetes.default', 443), 5)")
    assert done.returncode == 0, done.stderr


def test_a_command_inside_has_its_own_exit_status_and_our_working_directory(lab: Lab, tmp_path: Path) -> None:
    argv = [*lab.namespace_prefix, "sh", "-c", "pwd; exit 7"]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == (f"{tmp_path}\n", 7)


def test_kubectl_is_there_inside_even_if_the_host_has_none(lab: Lab) -> None:
    done = inside(lab, "kubectl", "get", "nodes", "-o", "name")
    assert "node/general-1" in done.stdout.split()


def test_annotated_pods_are_scraped(lab: Lab, web: str) -> None:
    query = f"{lab.prometheus_url}/api/v1/query?query=up%7Bjob%3D%22pods%22%2Cnamespace%3D%22{web}%22%7D"
    end_s = time.monotonic() + WAIT_S
    found: list[dict[str, Any]] = []
    while not found and time.monotonic() < end_s:  # Prometheus has nothing to watch: it looks for targets every 5 s
        with urllib.request.urlopen(query, timeout=30) as answer:  # noqa: S310 - our own door
            found = [each for each in json.load(answer)["data"]["result"] if each["value"][1] == "1"]
        time.sleep(0.2)
    assert [each["metric"]["pod"] for each in found] == ["web"]


def test_a_kubelet_may_touch_its_own_node_only(lab: Lab) -> None:
    folder = Folder(lab.folder)
    server = json.loads(lab.kubeconfig.read_text())["clusters"][0]["cluster"]["server"]
    config = json.loads(kubelet_kubeconfig(folder, "general-1").read_text())
    config["clusters"][0]["cluster"]["server"] = server  # the same credential, through the door
    file = lab.folder / "tmp" / "kubelet-from-the-host"
    file.write_text(json.dumps(config))
    with closing(Api(file)) as kubelet:
        patch = {"metadata": {"labels": {"pool": "mine"}}}
        with pytest.raises(ApiRefused, match="is not allowed to modify node"):
            kubelet.request("PATCH", f"{NODES}/spot-1", patch, content_type="application/merge-patch+json")
        with pytest.raises(ApiRefused, match="cannot list resource"):
            kubelet.request("GET", "/api/v1/namespaces/kube-system/secrets")


def test_a_dial_is_believed_and_taken_back(lab: Lab, api: Api) -> None:
    labs.pressure(lab, "general-2", {"memory.available": "50Mi"})
    watch_until(api, NODES, "general-2", condition("MemoryPressure", "True"))
    labs.pressure(lab, "general-2", None)
    assert json.loads((lab.folder / "nodes" / "general-2" / "dials.json").read_text()) == {}
    with pytest.raises(UsageError, match="no node 'general-9'"):
        labs.pressure(lab, "general-9", None)


@pytest.fixture(scope="module")
def victim(own_lab: Lab) -> Iterator[Api]:
    """The administrator's API of a lab of one node, with a Ready pod `victim` on it."""
    with closing(Api(own_lab.kubeconfig)) as api:
        start_pod(api, "default", "victim")
        yield api


def pod_answers(api: Api) -> bool:
    """Whether the victim serves, asked through the API server's proxy; False as well when it has no answer in 2 s."""
    try:
        return "OK" in str(api.request("GET", "/api/v1/namespaces/default/pods/victim:8080/proxy/healthz"))
    except (ApiRefused, *NO_ANSWER):
        return False


def test_a_paused_node_answers_again_when_it_is_resumed(own_lab: Lab, victim: Api) -> None:
    quick = Api(own_lab.kubeconfig, timeout_s=2.0)
    assert pod_answers(quick)
    labs.node(own_lab, "node-1", NodeAction.PAUSE)
    assert not pod_answers(quick)
    labs.node(own_lab, "node-1", NodeAction.RESUME)
    assert pod_answers(victim)
    quick.close()


def test_a_node_without_power_has_no_processes_and_comes_back(own_lab: Lab, victim: Api) -> None:
    labs.node(own_lab, "node-1", NodeAction.KILL)
    runs = {each.name: each.run for each in labs.status(own_lab).components}
    assert (runs["kubelet/node-1"], runs["runtime/node-1"]) == ("killed", "killed")
    assert not pod_answers(victim)
    labs.node(own_lab, "node-1", NodeAction.START)
    path = "/api/v1/namespaces/default/pods"

    def back(pod: Mapping[str, Any]) -> bool:
        statuses = pod["status"].get("containerStatuses") or []
        return condition("Ready", "True")(pod) and [each["restartCount"] for each in statuses] == [1]

    watch_until(victim, path, "victim", back)
    assert pod_answers(victim)


def test_a_node_is_added(own_lab: Lab, victim: Api) -> None:
    new = labs.Node(name="late", index=0, labels={"pool": "x", "node-role.kubernetes.io/x": "y"})
    labs.add_node(own_lab, new)
    node = victim.request("GET", f"{NODES}/late")
    labels = node["metadata"]["labels"]
    assert (labels["pool"], labels["node-role.kubernetes.io/x"]) == ("x", "y")
    with pytest.raises(UsageError, match="has a node 'late' already"):
        labs.add_node(own_lab, new)
