"""The lab's pure parts: addresses, labels, node pressure, port-forwards, programs, discovery, progress, versions."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from harness.cli.verbs import LAB_VERBS
from harness.errors import UsageError
from harness.lab import addresses, port_forwards, programs, prometheus
from harness.lab.build import Release, choose, key_of
from harness.lab.deadline import Deadline
from harness.lab.discovery import kubelet_targets, pod_targets
from harness.lab.hiding import Hiding
from harness.lab.node_pressure import merged, parse_figures
from harness.lab.nodes import administrators_patch, node_file, settable_by_kubelet
from harness.lab.progress import PLAIN_EVERY_S, Progress
from harness.lab.state import Folder, folder_of
from harness.lab.toolchain import parse_version
from harness.lab.topology import Node


@pytest.mark.parametrize(
    ("index", "ip", "cidr"),
    [(1, "172.30.0.11", "10.244.1.0/24"), (254, "172.30.1.8", "10.244.254.0/24")],
)
def test_a_nodes_index_gives_its_addresses(index: int, ip: str, cidr: str) -> None:
    assert (addresses.node_ip(index), addresses.pod_cidr(index)) == (ip, cidr)


@pytest.mark.parametrize(
    ("label", "settable"),
    [
        ("pool", True),
        ("example.com/pool", True),
        ("topology.kubernetes.io/zone", True),
        ("node.kubernetes.io/anything", True),
        ("x.kubelet.kubernetes.io/anything", True),
        ("node-role.kubernetes.io/spot", False),
        ("node-restriction.kubernetes.io/team", False),
        ("topology.kubernetes.io/rack", False),
        ("apps.k8s.io/x", False),
        ("notkubernetes.io/x", True),
    ],
)
def test_which_labels_a_kubelet_may_give_itself(label: str, settable: bool) -> None:
    assert settable_by_kubelet(label) is settable


def test_labels_are_given_by_the_kubelet_or_else_by_the_administrator() -> None:
    node = Node(name="n", index=2, labels={"pool": "spot", "node-role.kubernetes.io/spot": "true"})
    told = node_file(node, folder=Folder(Path("/lab")), sockets=Path("/s"), hiding=Hiding(("/h",), ("/home/u",), ()))
    assert told["labels"] == {"pool": "spot"}
    assert administrators_patch(node) == {
        "metadata": {"labels": {"node-role.kubernetes.io/spot": "true"}},
        "spec": {"podCIDR": "10.244.2.0/24", "podCIDRs": ["10.244.2.0/24"]},
    }


@pytest.mark.parametrize(
    ("present", "figures", "pod", "after"),
    [
        ({}, {"memory.available": "1Gi"}, None, {"memory.available": "1Gi"}),
        ({"pid.available": "5"}, {"memory.available": "1Gi"}, None, {"pid.available": "5", "memory.available": "1Gi"}),
        ({}, {"disk.used": "1Gi"}, "a/b", {"pods": {"a/b": {"disk.used": "1Gi"}}}),
        (
            {"pods": {"a/b": {"disk.used": "1Gi"}}},
            {"memory.workingset": "2Gi"},
            "a/b",
            {"pods": {"a/b": {"disk.used": "1Gi", "memory.workingset": "2Gi"}}},
        ),
        ({"pid.available": "5", "pods": {"a/b": {}}}, None, None, {}),
        ({"pid.available": "5", "pods": {"a/b": {}}}, None, "a/b", {"pid.available": "5"}),
        ({"pods": {"a/b": {}, "c/d": {}}}, None, "a/b", {"pods": {"c/d": {}}}),
    ],
    ids=["first", "added", "pod", "pod-added", "reset", "reset-last-pod", "reset-one-pod"],
)
def test_figures_are_added_and_taken_off(
    present: dict[str, Any], figures: dict[str, str] | None, pod: str | None, after: dict[str, Any]
) -> None:
    assert merged(present, figures, pod=pod) == after


@pytest.mark.parametrize(
    ("figures", "pod", "message"),
    [
        ({"memory.workingset": "1"}, None, "cannot be set for a node"),
        ({"memory.available": "1"}, "a/b", "cannot be set for a pod"),
        ({"memory.available": "lots"}, None, "no Kubernetes quantity"),
        ({"disk.used": "1"}, "web-1", "NAMESPACE/NAME"),
    ],
    ids=["pod-figure-for-node", "node-figure-for-pod", "quantity", "pod-without-namespace"],
)
def test_a_bad_figure_is_refused(figures: dict[str, str], pod: str | None, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_figures(figures, pod=pod)


SERVICE = {
    "metadata": {"namespace": "a", "name": "web"},
    "spec": {"clusterIP": "10.96.1.2", "ports": [{"name": "http", "port": 80}, {"port": 81}]},
}


@pytest.mark.parametrize(
    ("text", "parts"), [("web:80", ("web", "default", "80")), ("web.shop:http", ("web", "shop", "http"))]
)
def test_a_port_forwards_target_is_read(text: str, parts: tuple[str, str, str]) -> None:
    assert port_forwards.parse_service(text) == parts


@pytest.mark.parametrize(
    "text", ["web", "web:", ":80", "web.shop.svc:80", "a/b:80", "a%2fb:80", "web.a/../b:80", "web:80/x", "Web:80"]
)
def test_a_bad_port_forward_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="SERVICE:PORT"):
        port_forwards.parse_service(text)


@pytest.mark.parametrize(("port", "target"), [("80", "10.96.1.2:80"), ("http", "10.96.1.2:80"), ("81", "10.96.1.2:81")])
def test_a_port_forward_leads_to_the_cluster_address(port: str, target: str) -> None:
    assert port_forwards.service_target(SERVICE, port) == target


@pytest.mark.parametrize(
    ("service", "message"),
    [
        (SERVICE, "no port 82; it has: 80, 81"),
        ({**SERVICE, "spec": {"clusterIP": "None"}}, "headless"),
    ],
    ids=["port", "headless"],
)
def test_a_port_forward_that_leads_nowhere_is_refused(service: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        port_forwards.service_target(service, "82")


def test_the_users_programs_win_over_ours() -> None:
    table = programs.table(podinfo=Path("/p"), extra={"busybox": ("/bin/true",), "x/y": ("@stand-in",)})
    assert (table["busybox"], table["x/y"], table["debian"], table["podinfo"]) == (
        ["/bin/true"],
        ["@stand-in"],
        ["@host"],
        ["/p"],
    )


def a_pod(**changes: Any) -> dict[str, Any]:
    """An annotated, running pod; `changes` replace its annotations, containers, phase or address."""
    annotations = {"prometheus.io/scrape": "true", "prometheus.io/port": "9797", **changes.get("annotations", {})}
    return {
        "metadata": {
            "namespace": "a",
            "name": "web-1",
            "labels": {"app.kubernetes.io/name": "web", "pod": "theirs"},
            "annotations": {key: value for key, value in annotations.items() if value},
        },
        "spec": {"nodeName": "n", "containers": changes.get("containers", [{}])},
        "status": {"phase": changes.get("phase", "Running"), "podIP": changes.get("address", "10.244.1.2")},
    }


@pytest.mark.parametrize(
    ("changes", "targets"),
    [
        ({}, ["10.244.1.2:9797"]),
        ({"annotations": {"prometheus.io/scrape": "false"}}, []),
        ({"annotations": {"prometheus.io/scrape": ""}}, []),
        ({"annotations": {"prometheus.io/port": ""}}, []),
        (
            {"annotations": {"prometheus.io/port": ""}, "containers": [{"ports": [{"containerPort": 80}]}]},
            ["10.244.1.2:80"],
        ),
        ({"phase": "Failed"}, []),
        ({"address": None}, []),
    ],
    ids=["annotated", "opted-out", "not-annotated", "no-port", "containers-port", "failed", "no-address"],
)
def test_which_pods_are_scraped(changes: dict[str, Any], targets: list[str]) -> None:
    assert [target for each in pod_targets([a_pod(**changes)]) for target in each["targets"]] == targets


def test_a_scraped_pod_carries_its_labels_and_our_own_win() -> None:
    (target,) = pod_targets([a_pod(annotations={"prometheus.io/path": "/m"})])
    assert target["labels"] == {
        "app_kubernetes_io_name": "web",
        "namespace": "a",
        "pod": "web-1",
        "node": "n",
        "__metrics_path__": "/m",
    }


def test_kubelets_are_scraped_at_their_nodes_address() -> None:
    addresses_ = [{"type": "Hostname", "address": "n"}, {"type": "InternalIP", "address": "172.30.0.11"}]
    nodes = [{"metadata": {"name": "n"}, "status": {"addresses": addresses_}}, {"metadata": {"name": "new"}}]
    assert kubelet_targets(nodes) == [{"targets": ["172.30.0.11:10250"], "labels": {"node": "n"}}]


def test_pods_are_scraped_every_second_and_components_less_often() -> None:
    config = json.loads(prometheus.config(pki=Path("/pki"), discovered=Path("/d")))
    assert config["global"]["scrape_interval"] == "1s"
    intervals = {job["job_name"]: job.get("scrape_interval", "1s") for job in config["scrape_configs"]}
    assert intervals.pop("pods") == "1s"
    assert set(intervals.values()) == {"5s"}


@pytest.mark.parametrize(
    ("said", "version"),
    [("go version go1.26.8 linux/amd64", (1, 26)), ("go version go1.25rc1 linux/arm64", (1, 25)), ("gcc 12", None)],
)
def test_gos_version_is_read(said: str, version: tuple[int, int] | None) -> None:
    assert parse_version(said) == version


RELEASES = [Release("1.35.4", Path("go.mod")), Release("1.34.2", Path("kubernetes-1.34.mod"))]


@pytest.mark.parametrize(
    ("wanted", "version"),
    [(None, "1.35.4"), ("1.35", "1.35.4"), ("v1.34", "1.34.2"), ("1.34.2", "1.34.2")],
    ids=["default", "minor", "with-v", "full"],
)
def test_a_kubernetes_version_is_chosen(wanted: str | None, version: str) -> None:
    assert choose(wanted, among=RELEASES).version == version


@pytest.mark.parametrize("wanted", ["1.2", "1.35.3", "latest"])
def test_a_version_that_is_not_there_is_refused_with_what_is(wanted: str) -> None:
    with pytest.raises(UsageError, match=r"there are: 1\.35 \(1\.35\.4\), 1\.34 \(1\.34\.2\)"):
        choose(wanted, among=RELEASES)


def test_binaries_say_which_kubernetes_they_are() -> None:
    assert "version.gitVersion=v1.35.4 " in RELEASES[0].ldflags + " "


def test_the_cache_key_follows_sources_and_modfile(tmp_path: Path) -> None:
    for name in ("go.mod", "go.sum", "main.go", "main_test.go"):
        (tmp_path / name).write_text(name)
    release = Release("1.35.4", tmp_path / "go.mod")
    keys = [key_of(release)]
    for name in ("main.go", "go.mod", "go.sum"):
        (tmp_path / name).write_text("changed")
        keys.append(key_of(release))
    assert len(set(keys)) == len(keys)
    (tmp_path / "main_test.go").write_text("changed")
    assert key_of(release) == keys[-1]


@pytest.mark.parametrize("name", ["", "A", "a/b", "..", "-a", "a" * 41, "a_b"])
def test_a_lab_cannot_have_any_name(name: str) -> None:
    with pytest.raises(UsageError, match="cannot name a lab"):
        folder_of(name)


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """It does."""
        return True


def test_progress_overwrites_itself_on_a_terminal() -> None:
    stream = Terminal()
    show = Progress(stream)
    for line in ("one\r", "two\r", "done", "next"):
        show(line)
    assert stream.getvalue() == "one\r\033[Ktwo\r\033[Kdone\nnext\n"


def test_progress_comes_now_and_then_elsewhere() -> None:
    stream = io.StringIO()
    moments_s = iter([0.0, 1.0, PLAIN_EVERY_S, PLAIN_EVERY_S + 1, PLAIN_EVERY_S + 2])
    show = Progress(stream, monotonic_s=lambda: next(moments_s))
    for line in ("one\r", "two\r", "three\r", "four\r", "done"):
        show(line)
    assert stream.getvalue() == "one\nthree\ndone\n"


def test_a_deadline_counts_down_and_stops_at_nothing() -> None:
    moments_s = iter([100.0, 104.0, 111.0, 111.0])
    deadline = Deadline(10.0, monotonic_s=lambda: next(moments_s))
    assert (deadline.left_s, deadline.left_s, deadline.passed) == (6.0, 0.0, True)


def test_every_verb_of_the_lab_has_its_heading_in_the_reference() -> None:
    page = (Path(__file__).parents[2] / "docs" / "reference" / "lab.md").read_text()
    headings = {line.removeprefix("### ") for line in page.splitlines() if line.startswith("### ")}
    assert set(LAB_VERBS) == headings
