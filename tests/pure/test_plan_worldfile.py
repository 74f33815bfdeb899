"""World files: what kubectl prints and what we wrote ourselves, in pieces of any size; what is wrong with one."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from harness.errors import UsageError
from harness.model.state import ClusterState, PodTemplate, Subject
from harness.snapshot import Header, WorldWriter, read_world, wire, worldfile
from tests.pure.plan_objects import Json, budget, mounts, node, pod, service, template_of, tolerate, volume

OBJECTS: list[Json] = [
    node("a", taints=("x=y:NoSchedule",), zone="z1"),
    node("b", cordoned=True),
    *(
        pod(f"web-{number}", "a", app="web", owner="ReplicaSet/web-1", tolerations=[tolerate("x")])
        for number in range(7)
    ),
    pod("done", "b", phase="Succeeded"),
    pod("waits"),
    pod("odd", "b", labels={"text": 'braces }, {"apiVersion": in a string'}),
]


def as_list(items: list[Json], **frame: object) -> Json:
    return {"apiVersion": "v1", "items": [{"apiVersion": "v1", **item} for item in items], "kind": "List", **frame}


WAYS: dict[str, Callable[[Json], str]] = {
    "compact": lambda value: json.dumps(value, separators=(",", ":")),
    "with blanks": json.dumps,
    "as kubectl indents": lambda value: json.dumps(value, indent=4),
    "items last": lambda value: json.dumps({k: value[k] for k in ("kind", "apiVersion", "items")}),
}


@pytest.mark.parametrize("chunk_bytes", [64, 1000, 1 << 20], ids=["tiny pieces", "small pieces", "one piece"])
@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
def test_a_list_is_read_whatever_it_looks_like(
    way: Callable[[Json], str], packed: bool, chunk_bytes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worldfile, "_CHUNK_BYTES", chunk_bytes)
    data = way(as_list(OBJECTS)).encode()
    path = tmp_path / "world"
    path.write_bytes(gzip.compress(data) if packed else data)
    assert_same(read_world(path))


def assert_same(seen: ClusterState) -> None:
    """`seen` is `OBJECTS`."""
    assert [each.name for each in seen.nodes] == ["a", "b"]
    assert [str(taint) for taint in seen.nodes[0].taints] == ["x=y:NoSchedule"]
    assert seen.nodes[1].unschedulable
    assert [each.name for each in seen.pods] == [item["metadata"]["name"] for item in OBJECTS[2:]]
    web = {pod.template for pod in seen.pods if pod.name.startswith("web-")}
    assert len(web) == 1, "pods whose specs are the same share one template"
    assert [pod.alive for pod in seen.pods[-3:]] == [False, False, True]


def test_what_a_plain_list_does_not_hold_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "world.json"
    path.write_text(json.dumps(as_list([node("a"), service("web", "web")])))
    missing = read_world(path).missing
    assert missing[Subject.BUDGETS] == "not in world.json"
    assert Subject.SERVICES not in missing
    assert Subject.PODS in missing


def test_other_kinds_are_passed_over_and_items_of_a_podlist_need_no_kind(tmp_path: Path) -> None:
    path = tmp_path / "world.json"
    path.write_text(json.dumps(as_list([{"kind": "ConfigMap", "data": {"kind": "Pod"}}, *OBJECTS])))
    assert_same(read_world(path))
    bare = {key: value for key, value in pod("p", "a").items() if key != "kind"}
    path.write_text(json.dumps({"kind": "PodList", "apiVersion": "v1", "items": [bare, node("a")]}))
    assert [each.name for each in read_world(path).pods] == ["p"]


def test_what_we_write_we_read(tmp_path: Path) -> None:
    """All but what no plan looks at; and what could not be read stays known as such."""
    path = tmp_path / "world.json.gz"
    objects = [*OBJECTS, service("web", "web"), budget("web", "web", allowed=1), *volume("pv", values=("z1",))]
    items = msgspec.json.decode(json.dumps(objects), type=list[wire.Item])
    header = Header(version=1, kubernetes="v1.35.4", taken="2026-01-01T00:00:00Z", missing={"jobs.batch": "forbidden"})
    with path.open("wb") as file:
        writer = WorldWriter(file, packed=True)
        writer.add(items[:5])
        writer.add(items[5:])
        writer.close(header)
    seen = read_world(path)
    assert_same(seen)
    assert (seen.kubernetes_version, seen.taken) == ("v1.35.4", "2026-01-01T00:00:00Z")
    assert seen.missing == {Subject.JOBS: "forbidden"}
    assert (len(seen.services), len(seen.budgets), len(seen.volumes), len(seen.claims)) == (1, 1, 1, 1)


def test_a_snapshot_holds_no_environment(tmp_path: Path) -> None:
    secret = pod("p", "a")
    secret["spec"]["containers"][0]["env"] = [{"name": "PASSWORD", "value": "hunter2"}]
    stream = io.BytesIO()
    writer = WorldWriter(stream, packed=False)
    writer.add(msgspec.json.decode(json.dumps([secret]), type=list[wire.Item]))
    writer.close(Header(version=1))
    assert b"hunter2" not in stream.getvalue()


BAD = {
    "empty": (b"", "truncated"),
    "no JSON": (b"nodes: []", "malformed"),
    "no list": (b'{"kind": "Node"}', "no items"),
    "another list": (b'{"kind": "Table", "items": []}', "kind is Table, not List"),
    "no nodes": (json.dumps(as_list([pod("p")])).encode(), "no Node in it"),
    "a wrong type": (
        json.dumps(as_list([node("a"), {**pod("p"), "spec": {"nodeName": 7}}])).encode(),
        "item 1 of the list",
    ),
    "an unknown effect": (json.dumps(as_list([node("a", taints=("x=:Sometimes",))])).encode(), "Sometimes"),
    "a bad quantity": (json.dumps(as_list([node("a", cpu="many")])).encode(), "'many' is no Kubernetes quantity"),
    "cut off": (json.dumps(as_list(OBJECTS)).encode()[:-40], "List"),
    "cut off in gzip": (gzip.compress(json.dumps(as_list(OBJECTS)).encode())[:-40], "damaged"),
    "from the future": (json.dumps(as_list(OBJECTS, taintlab={"version": 99})).encode(), "newer taintlab"),
}


@pytest.mark.parametrize(("data", "says"), BAD.values(), ids=BAD.keys())
def test_a_bad_file_is_one_clear_message(data: bytes, says: str, tmp_path: Path) -> None:
    path = tmp_path / "world.json"
    path.write_bytes(data)
    with pytest.raises(UsageError) as caught:
        read_world(path)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        read_world(tmp_path / "none")


# --- templates ---

REQUESTS: dict[str, tuple[Json, dict[str, int]]] = {
    "containers add up": ({"containers": list(({"resources": {"requests": {"cpu": "1"}}},) * 2)}, {"cpu": 2000}),
    "a limit stands in for a request": (
        {"containers": [{"resources": {"limits": {"memory": "1Ki"}}}]},
        {"memory": 1024},
    ),
    "the largest init container": (
        {
            "containers": [{"resources": {"requests": {"cpu": "1", "memory": "1"}}}],
            "initContainers": [{"resources": {"requests": {"cpu": "3"}}}, {"resources": {"requests": {"cpu": "2"}}}],
        },
        {"cpu": 3000, "memory": 1},
    ),
    "sidecars run on": (
        {
            "containers": [{"resources": {"requests": {"cpu": "1"}}}],
            "initContainers": [
                {"restartPolicy": "Always", "resources": {"requests": {"cpu": "500m"}}},
                {"resources": {"requests": {"cpu": "1200m"}}},
            ],
        },
        {"cpu": 1700},
    ),
    "the pod's own requests": (
        {"containers": [{"resources": {"requests": {"cpu": "1"}}}], "resources": {"requests": {"cpu": "250m"}}},
        {"cpu": 250},
    ),
    "overhead": ({"containers": [{}], "overhead": {"cpu": "10m"}}, {"cpu": 10}),
    "fractions round up": (
        {"containers": [{"resources": {"requests": {"cpu": "0.0001", "memory": "1500m"}}}]},
        {"cpu": 1, "memory": 2},
    ),
}


@pytest.mark.parametrize(("spec", "requests"), REQUESTS.values(), ids=REQUESTS.keys())
def test_requests_as_the_scheduler_counts_them(spec: Json, requests: dict[str, int]) -> None:
    assert dict(template_of({**pod("p"), "spec": spec}).requests) == requests


DIFFERENT: dict[str, Json] = {
    "labels": {"labels": {"other": "one"}},
    "owner": {"owner": "ReplicaSet/other"},
    "tolerations": {"tolerations": [tolerate()]},
    "requests": {"cpu": "2"},
    "ports": {"ports": [{"hostPort": 1}]},
    "selector": {"nodeSelector": {"a": "b"}},
    "claim": {"volumes": mounts("c")},
    "priority": {"priority": 7},
    "grace": {"grace": 1},
    "namespace": {"namespace": "other"},
    "gates": {"schedulingGates": [{"name": "g"}]},
    "mirror": {"mirror": True},
    "local data": {"volumes": [{"name": "d", "emptyDir": {}}]},
}


@pytest.mark.parametrize("change", DIFFERENT.values(), ids=DIFFERENT.keys())
def test_pods_that_differ_have_templates_of_their_own(change: Json, tmp_path: Path) -> None:
    path = tmp_path / "world.json"
    path.write_text(json.dumps(as_list([node("a"), pod("p"), pod("q"), pod("r", **change)])))
    first, second, third = (each.template for each in read_world(path).pods)
    assert first is second
    assert third is not first


def test_the_parts_of_a_template() -> None:
    constraint = {"maxSkew": 2, "topologyKey": "z", "whenUnsatisfiable": "DoNotSchedule", "matchLabelKeys": ["app"]}
    template: PodTemplate = template_of(
        pod("p", app="x", topologySpreadConstraints=[{**constraint, "labelSelector": {"matchLabels": {"tier": "1"}}}])
    )
    [spread] = template.spread
    assert (spread.max_skew, spread.min_domains) == (2, 1)
    assert spread.selector.matches({"app": "x", "tier": "1"})
    assert not spread.selector.matches({"app": "y", "tier": "1"}), "matchLabelKeys adds the pod's own value"
    assert template.workload == "bare pods of default"
