"""The workload's objects: created once, seen gone, and named with what holds them when they are not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from harness.cluster.ledger import Ledger
from harness.cluster.ledger_read import LedgerRead, read_ledger
from harness.cluster.ledger_record import EXPERIMENT_ANNOTATION, RUN_LABEL, Header
from harness.errors import Indeterminate, TaintlabError, UsageError
from harness.model.experiment import Manifest
from harness.run.workload import Workload
from tests.fakes.virtual import VirtualTime
from tests.fakes.weather import Plan, Trouble, Weather
from tests.pure.healing import RUN, at

TROUBLES = [
    Trouble.REFUSED,
    Trouble.THROTTLED,
    Trouble.EXPIRED,
    Trouble.LOST_BEFORE,
    Trouble.LOST_AFTER,
    Trouble.SERVER_ERROR,
    Trouble.HELD,
    Trouble.CANCELLED_BEFORE,
    Trouble.CANCELLED_AFTER,
]
FOR_EVER = 10**9
CORE = {
    "metadata": {},
    "resources": [
        {"name": "configmaps", "kind": "ConfigMap", "namespaced": True, "verbs": ["list", "delete"]},
        {"name": "pods", "kind": "Pod", "namespaced": True, "verbs": ["list", "delete"]},
    ],
}
APPS = {
    "metadata": {},
    "resources": [{"name": "deployments", "kind": "Deployment", "namespaced": True, "verbs": ["list", "delete"]}],
}
CONFIG, WEB = "/api/v1/namespaces/default/configmaps/conf", "/apis/apps/v1/namespaces/shop/deployments/web"
POD = "/api/v1/namespaces/shop/pods/web-1"


def manifest(kind: str, name: str, namespace: str | None = None, **more: Any) -> Manifest:
    """One object to apply."""
    version = "apps/v1" if kind in ("Deployment", "StatefulSet", "ReplicaSet", "DaemonSet") else "v1"
    version = "batch/v1" if kind in ("Job", "CronJob") else version
    meta: dict[str, Any] = {"name": name, "labels": {"app": name}}
    body = {"apiVersion": version, "kind": kind, "metadata": meta, **more}
    return Manifest(version, kind, name, namespace, body, "m.yaml", 3)


CONF = manifest("ConfigMap", "conf", data={"k": "v"})
DEPLOYMENT = manifest("Deployment", "web", "shop", spec={"template": {"metadata": {"labels": {"app": "web"}}}})


@dataclass
class Rig:
    """One workload on a cluster in bad weather. A Deployment gets one pod, which follows it 4 s after."""

    folder: Path
    plan: Plan = lambda number, verb, path: None
    manifests: tuple[Manifest, ...] = (CONF, DEPLOYMENT)
    time: VirtualTime = field(default_factory=VirtualTime)
    errors: list[BaseException] = field(default_factory=list)
    pod_extra: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.cluster = Weather(self.time, self.plan)
        self.cluster.put("/api/v1", CORE)
        self.cluster.put("/apis/apps/v1", APPS)
        self.cluster.applied = self._controllers
        self.cluster.before_request = self._time_goes_on
        self.lands_after_s = 59.0
        self.pod_goes_ns: int | None = None
        self.path = self.folder / "ledger.jsonl"
        self.path.unlink(missing_ok=True)
        self.ledger = Ledger(self.path, Header(RUN, "exp"), records=4)
        self.workload = Workload(
            self.cluster,
            self.ledger,
            run_id=RUN,
            manifests=self.manifests,
            experiment="a-name-longer-than-a-label" * 4,
            clock=self.time,
        )

    def _controllers(self, verb: str, path: str) -> None:
        owner = self.cluster.objects.get(WEB)
        if owner and POD not in self.cluster.objects:
            labels = owner["spec"]["template"]["metadata"]["labels"]
            pod = {"metadata": {"namespace": "shop", "labels": labels, **self.pod_extra}, "spec": {"nodeName": "n1"}}
            self.cluster.put(POD, pod)
            self.pod_goes_ns = None
        elif owner is None and POD in self.cluster.objects and self.pod_goes_ns is None:
            pod = self.cluster.objects[POD]
            meta = {**pod["metadata"], "deletionTimestamp": "2026-01-01T00:00:30Z"}
            self.cluster.put(POD, {**pod, "metadata": meta})
            self.pod_goes_ns = self.time.after_s(4)

    def _time_goes_on(self, number: int) -> None:
        self.cluster.land(older_than_s=self.lands_after_s)
        held = POD in self.cluster.objects and self.cluster.objects[POD]["metadata"].get("finalizers")
        if self.pod_goes_ns is not None and self.time.now_ns >= self.pod_goes_ns and not held:
            self.cluster.objects.pop(POD, None)

    def run(self, *, within_s: float = 300.0, before: Callable[[], None] = lambda: None) -> list[str]:
        """Apply, then remove; its lines."""

        async def play() -> list[str]:
            task = asyncio.current_task()
            assert task is not None
            self.cluster.cancel = task.cancel
            try:
                await self.workload.apply()
            except (TaintlabError, OSError, asyncio.CancelledError) as error:
                self.errors.append(error)
            before()
            return await self.workload.remove(deadline_ns=self.time.after_s(within_s))

        try:
            return asyncio.run(play())
        finally:
            self.ledger.close()

    def left(self) -> list[str]:
        """What of the run is on the cluster: the oracle."""
        labelled = [
            at for at, obj in self.cluster.objects.items() if RUN_LABEL in (obj["metadata"].get("labels") or {})
        ]
        return sorted(labelled)

    def read(self) -> LedgerRead:
        """What the ledger says afterwards."""
        return read_ledger(self.path)


@pytest.fixture(autouse=True)
def _no_fsync(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hundreds of stories; that the ledger syncs is looked at elsewhere."""
    monkeypatch.setattr("os.fsync", lambda descriptor: None)


def requests_in_good_weather(folder: Path) -> int:
    """How many requests the story makes when nothing goes wrong."""
    rig = Rig(folder)
    assert rig.run() == []
    assert (rig.left(), rig.errors, rig.read().outstanding) == ([], [], [])
    assert rig.time.now_ns - 10**12 >= 4 * 10**9, "the pod needed 4 s to go, and that was waited for"
    return len(rig.cluster.requests)


@pytest.mark.parametrize("trouble", TROUBLES, ids=[trouble.name for trouble in TROUBLES])
@pytest.mark.parametrize("times", [1, 4, FOR_EVER], ids=["once", "four times", "for ever"])
def test_every_request_and_every_trouble(
    tmp_path: Path, trouble: Trouble, times: int, capsys: pytest.CaptureFixture[str]
) -> None:
    count = requests_in_good_weather(tmp_path)
    told = 0
    for number in range(count):
        rig = Rig(tmp_path, at(number, trouble, times))
        lines = rig.run()
        where = f"{trouble} at request {number} of {count}: {lines} {rig.cluster.requests}"
        # A create that is still under way less than a minute after it was sent may land after the end.
        rig.cluster.held = [held for held in rig.cluster.held if rig.time.now_ns - held[2] < 60 * 10**9]
        rig.cluster.land()
        if rig.left():
            assert lines, f"{where}: {rig.left()} left, and nobody says so"
        if {CONFIG, WEB} & set(rig.left()):
            assert rig.read().outstanding, f"{where}: the ledger says healed"
        if times < FOR_EVER and trouble is not Trouble.REFUSED:
            assert (lines, rig.left(), rig.read().outstanding) == ([], [], []), where
        told += bool(lines)
    with capsys.disabled():
        often = times if times < FOR_EVER else "for ever"
        print(f"\n{trouble.name:17} {often:>8}: {count} stories of objects, {told} with a leftover told")


@pytest.mark.parametrize("after_s", [0.5, 10.0, 30.0, 59.0])
def test_a_create_that_lands_late_is_waited_for(tmp_path: Path, after_s: float) -> None:
    """Its answer was lost, it was not there, and it came up to a minute after it was sent."""
    rig = Rig(tmp_path, lambda n, verb, path: Trouble.HELD if verb == "POST" and "configmaps" in path else None)
    rig.lands_after_s = after_s
    assert rig.run() == []
    assert rig.cluster.late == ["landed"]
    assert rig.left() == []
    assert rig.read().outstanding == []


def test_giving_up_on_a_lost_create_is_a_leftover(tmp_path: Path) -> None:
    rig = Rig(tmp_path, lambda n, verb, path: Trouble.HELD if verb == "POST" else None)

    async def play() -> list[str]:
        with pytest.raises(Indeterminate):
            await rig.workload.apply()
        give_up = asyncio.Event()
        give_up.set()
        return await rig.workload.remove(deadline_ns=rig.time.after_s(100), give_up=give_up)

    lines = asyncio.run(play())
    assert lines == [f"ConfigMap conf ({CONFIG}): not known: its create was not answered and may still land"]
    assert [record.subject for record in rig.read().outstanding] == [CONFIG]


def test_an_object_that_a_finalizer_holds_is_a_leftover_by_name(tmp_path: Path) -> None:
    rig = Rig(tmp_path)

    def hold() -> None:
        there = rig.cluster.objects[CONFIG]
        rig.cluster.put(CONFIG, {**there, "metadata": {**there["metadata"], "finalizers": ["foreign.io/keep"]}})

    lines = rig.run(before=hold)
    held = (
        f"ConfigMap conf ({CONFIG}): still terminating since 2026-01-01T00:00:00Z; held by finalizers foreign.io/keep"
    )
    assert lines == [held]
    assert [record.subject for record in rig.read().outstanding] == [CONFIG]
    assert rig.read().outstanding[0].uid


def test_a_pod_that_stays_is_a_leftover_by_name_and_in_the_ledger(tmp_path: Path) -> None:
    rig = Rig(tmp_path, pod_extra={"finalizers": ["foreign.io/keep"]})
    ready = {"status": {"conditions": [{"type": "Ready", "status": "Unknown"}]}}
    rig.cluster.put("/api/v1/nodes/n1", {"spec": {}, **ready})
    start = rig.time.now_ns
    lines = rig.run()
    assert lines == [
        "pod shop/web-1: still terminating since 2026-01-01T00:00:30Z; held by finalizers foreign.io/keep; "
        "its node n1 is not reachable (Ready is Unknown)"
    ]
    assert (rig.time.now_ns - start) / 1e9 >= 60
    record = rig.read().outstanding[0]
    assert (record.subject, record.uid) == (POD, rig.cluster.objects[POD]["metadata"]["uid"])


def test_a_long_grace_period_is_waited_for(tmp_path: Path) -> None:
    spec = {"template": {"metadata": {"labels": {}}, "spec": {"terminationGracePeriodSeconds": 120}}}
    rig = Rig(
        tmp_path,
        manifests=(manifest("Deployment", "web", "shop", spec=spec),),
        pod_extra={"finalizers": ["foreign.io/keep"]},
    )
    start = rig.time.now_ns
    assert len(rig.run()) == 1
    assert (rig.time.now_ns - start) / 1e9 >= 150


def test_another_object_under_the_name_is_not_deleted(tmp_path: Path) -> None:
    rig = Rig(tmp_path)

    def replace() -> None:
        rig.cluster.drop(CONFIG)
        rig.cluster.put(CONFIG, {"metadata": {}, "data": {"theirs": "1"}})

    assert rig.run(before=replace) == []
    assert rig.cluster.objects[CONFIG]["data"] == {"theirs": "1"}
    assert rig.read().outstanding == []


def test_a_deletion_that_never_begins_is_a_leftover(tmp_path: Path) -> None:
    """Accepted is not done: DELETE answers 200 and nothing happens (a webhook, a broken aggregated API)."""
    rig = Rig(tmp_path)

    async def accept(path: str, *, propagation: str = "Background", uid: str | None = None) -> None:
        return None

    rig.cluster.delete = accept  # type: ignore[method-assign]
    lines = rig.run(within_s=20)
    assert len(lines) >= 2
    assert any("not being deleted" in line for line in lines)
    assert set(rig.left()) == {CONFIG, WEB, POD}


def test_what_exists_is_refused_and_stays(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.cluster.put(CONFIG, {"metadata": {}, "data": {"theirs": "1"}})
    assert rig.run() == []
    assert "exists already" in str(rig.errors[0])
    assert rig.cluster.objects[CONFIG]["data"] == {"theirs": "1"}


def test_labels_and_the_full_name(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    asyncio.run(rig.workload.apply())
    web = rig.cluster.objects[WEB]
    assert web["metadata"]["labels"] == {"app": "web", RUN_LABEL: RUN}
    assert web["spec"]["template"]["metadata"]["labels"] == {"app": "web", RUN_LABEL: RUN}
    assert web["metadata"]["annotations"][EXPERIMENT_ANNOTATION] == "a-name-longer-than-a-label" * 4
    assert rig.cluster.objects[POD]["metadata"]["labels"][RUN_LABEL] == RUN
    assert {record.subject: record.uid for record in rig.read().outstanding} == {
        path: rig.cluster.objects[path]["metadata"]["uid"] for path in (CONFIG, WEB)
    }


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "ReplicaSet", "DaemonSet", "Job", "CronJob"])
def test_every_kind_of_template_is_labelled(tmp_path: Path, kind: str) -> None:
    template: dict[str, Any] = {"metadata": {"labels": {"a": "b"}}, "spec": {}}
    spec = {"jobTemplate": {"spec": {"template": template}}} if kind == "CronJob" else {"template": template}
    group = "batch/v1" if kind in ("Job", "CronJob") else "apps/v1"
    rig = Rig(tmp_path, manifests=(manifest(kind, "x", spec=spec),))
    plural = kind.lower() + "s"
    resource = {"name": plural, "kind": kind, "namespaced": True, "verbs": ["list", "delete"]}
    rig.cluster.put(f"/apis/{group}", {"metadata": {}, "resources": [resource]})
    asyncio.run(rig.workload.apply())
    made = rig.cluster.objects[f"/apis/{group}/namespaces/default/{plural}/x"]["spec"]
    pod = made["jobTemplate"]["spec"]["template"] if kind == "CronJob" else made["template"]
    assert pod["metadata"]["labels"] == {"a": "b", RUN_LABEL: RUN}


@pytest.mark.parametrize("name", ["../../../../version", "a/b", "A", "", "x" * 254, "a..b", "-a", "a%2Fb", "a b", "é"])
def test_a_name_that_is_none_makes_no_request(tmp_path: Path, name: str) -> None:
    for bad in (manifest("ConfigMap", name), manifest("ConfigMap", "fine", name)):
        rig = Rig(tmp_path, manifests=(CONF, bad))
        with pytest.raises(UsageError, match=r"m.yaml:3: ConfigMap: the name"):
            asyncio.run(rig.workload.apply())
        assert rig.cluster.requests == []
        rig.ledger.close()


def test_an_unwritable_ledger_creates_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig(tmp_path)

    def full(line: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(rig.ledger, "_write", full)
    assert rig.run() == []
    assert rig.left() == []
    assert "POST" not in [verb for verb, _ in rig.cluster.requests]
    assert isinstance(rig.errors[0], OSError)


def test_pods_that_cannot_be_listed_are_not_known_to_be_gone(tmp_path: Path) -> None:
    rig = Rig(tmp_path, lambda n, verb, path: Trouble.REFUSED if path.endswith("/pods") else None)
    lines = rig.run()
    assert len(lines) == 1
    assert "not known whether they are gone" in lines[0]


def test_the_claims_of_a_stateful_set_go_too_and_no_others(tmp_path: Path) -> None:
    spec = {"template": {}, "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": {}}]}
    rig = Rig(tmp_path, manifests=(manifest("StatefulSet", "db", spec=spec),))
    resource = {"name": "statefulsets", "kind": "StatefulSet", "namespaced": True, "verbs": ["list", "delete"]}
    rig.cluster.put("/apis/apps/v1", {"metadata": {}, "resources": [resource]})
    claims = "/api/v1/namespaces/default/persistentvolumeclaims"

    def controller() -> None:
        made = rig.cluster.objects["/apis/apps/v1/namespaces/default/statefulsets/db"]
        labels = made["spec"]["volumeClaimTemplates"][0]["metadata"]["labels"]
        rig.cluster.put(f"{claims}/data-db-0", {"metadata": {"namespace": "default", "labels": labels}})
        rig.cluster.put(f"{claims}/theirs", {"metadata": {"namespace": "default"}})

    assert rig.run(before=controller) == []
    assert [path for path in rig.cluster.objects if path.startswith(claims)] == [f"{claims}/theirs"]
    assert rig.read().outstanding == []
