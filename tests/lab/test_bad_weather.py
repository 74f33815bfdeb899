"""A sample of the bad weather of tests/contract/test_bad_weather.py, between whole runs and a real API server.

A proxy stalls, cuts, refuses or delays; somebody else takes our changes off; a run is killed. Each row says which
verdicts and exit codes are honest answers, and after each the node must be as it was and nothing of ours be left. What
really happened to the pods is watched beside the run, past the proxy.
"""

from __future__ import annotations

import json
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.lab import Lab
from harness.lab.api import MERGE_PATCH, NO_ANSWER, Api
from tests.lab.cli import PATIENCE, Ended, facts, injected, started, taintlab, wait_for
from tests.lab.proxy import CONTEXT, Proxy, proxy_to

Json = dict[str, Any]

NODE = "spot-2"
NODE_PATH = f"/api/v1/nodes/{NODE}"
KEY = "taintlab.test/weather"
CLAIM = "taintlab.dev/claim"
FAULT_S = 4.0


def tolerating(seconds: float | None = None) -> list[Json]:
    """Tolerations of our taint, for so many seconds or for ever."""
    toleration = {"key": KEY, "operator": "Exists", "effect": "NoExecute"}
    return [toleration if seconds is None else {**toleration, "tolerationSeconds": int(seconds)}]


def pod(name: str, tolerations: list[Json]) -> Json:
    """A pod of the target node."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {
            "nodeSelector": {"kubernetes.io/hostname": NODE},
            "tolerations": tolerations,
            "terminationGracePeriodSeconds": 1,
            "containers": [{"name": "main", "image": "registry.k8s.io/pause:3.10"}],
        },
    }


def experiment(folder: Path, namespace: str, pods: list[Json], *, fault_s: float) -> Path:
    """A taint on one node, these pods on it, no load; the file."""
    for each in pods:
        each["metadata"]["namespace"] = namespace
    (folder / "pods.yaml").write_text(yaml.safe_dump_all(pods))
    spec = {
        "workload": ["pods.yaml"],
        "target": {"nodes": {"selector": f"kubernetes.io/hostname={NODE}", "count": 1}},
        "phases": {"warmup": "0s", "baseline": "1s", "fault": f"{fault_s:g}s", "recovery": "1s"},
        "faults": [{"taint": {"key": KEY, "value": "true", "effect": "NoExecute"}}],
        "expect": {"evictions": "as-predicted"},
    }
    path = folder / "experiment.yaml"
    body = {"apiVersion": "taintlab.dev/v1alpha1", "kind": "Experiment", "metadata": {"name": namespace}, "spec": spec}
    path.write_text(yaml.safe_dump(body))
    return path


@dataclass
class Place:
    """Where a test is: the lab, its API server past the proxy (`api`), the proxy, and files."""

    lab: Lab
    api: Api
    proxy: Proxy
    namespace: str
    folder: Path
    truth: Truth
    before: Json = field(default_factory=dict)

    @property
    def out(self) -> Path:
        """The run folder."""
        return self.folder / "run"

    @property
    def where(self) -> tuple[str | Path, ...]:
        """Arguments that name the proxied cluster."""
        return "--context", CONTEXT, "--kubeconfig", self.folder / "kubeconfig", "--allow-context", CONTEXT

    def pod_path(self, name: str) -> str:
        """Of a pod of the workload."""
        return f"/api/v1/namespaces/{self.namespace}/pods/{name}"

    def ask(self, method: str, path: str, body: Json | None = None, **more: Any) -> Json:
        """A request past the proxy, on a connection of its own: the server closes one that was idle for minutes."""
        self.api.close()
        out: Json = self.api.request(method, path, body, **more)
        return out

    def node(self) -> Json:
        """What a run must leave as it was."""
        node = self.ask("GET", NODE_PATH)
        meta = node["metadata"]
        return {"spec": node["spec"], "annotations": meta["annotations"], "labels": meta["labels"]}

    def patch(self, path: str, body: Json) -> Json:
        """A merge patch by somebody else, past the proxy."""
        return self.ask("PATCH", path, body, content_type=MERGE_PATCH)

    def leftovers(self) -> list[Json]:
        """What `taintlab status` finds, past the proxy."""
        found: list[Json] = taintlab("status", "--lab", self.lab.name, "--json").json["leftovers"]
        return [item for item in found if item["run"].startswith(self.namespace)]

    def recover(self, **more: Any) -> Ended:
        """`taintlab recover` of the run folder, through the proxy."""
        return taintlab("recover", self.out, "--json", *self.where, **more)

    def is_as_before(self) -> None:
        """Nothing of ours anywhere, and the node exactly as it was."""
        assert self.leftovers() == []
        assert self.node() == self.before

    @property
    def result(self) -> Json:
        """The run's."""
        out: Json = json.loads((self.out / "result.json").read_text())
        return out


class Truth:
    """When each pod's deletion was accepted, watched at the API server itself: CLOCK_MONOTONIC seconds by pod name."""

    def __init__(self, lab: Lab, namespace: str) -> None:
        """Nothing is watched before the context is entered."""
        self._path = f"/api/v1/namespaces/{namespace}/pods"
        self._lab = lab
        self._thread = threading.Thread(target=self._watch, name="truth", daemon=True)
        self._ended = False
        self._trouble = ""
        self.left_s: dict[str, float] = {}
        self.gone: set[str] = set()

    def __enter__(self) -> Truth:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended = True

    def _watch(self) -> None:
        try:
            self._follow()
        except NO_ANSWER as error:
            self._trouble = repr(error)

    def _follow(self) -> None:
        with closing(Api(self._lab.kubeconfig)) as api:
            listed = api.request("GET", self._path)
            version = listed["metadata"]["resourceVersion"]
            with api.watch(self._path, resource_version=version, timeout_s=300) as lines:
                for line in lines:
                    now_s, meta = time.monotonic(), line["object"]["metadata"]
                    if meta.get("deletionTimestamp"):
                        self.left_s.setdefault(meta["name"], now_s)
                    if line["type"] == "DELETED":
                        self.gone.add(meta["name"])
                    if self._ended:
                        return

    def after_injection_s(self, folder: Path, name: str) -> float | None:
        """When a pod left, as a result counts it: seconds after the acknowledgement; None when it did not."""
        assert not self._trouble, self._trouble
        (begun,) = facts(folder, "RunStarted")
        done = next(fact for fact in facts(folder, "StepDone") if fact["step"].startswith("inject-"))
        left_s = self.left_s.get(name)
        return None if left_s is None else left_s - (begun["mono_ns"] + done["t_ns"]) / 1e9


@pytest.fixture
def place(lab: Lab, tmp_path: Path) -> Iterator[Place]:
    """A namespace of the test's own, a proxy in fair weather, and the node as it is."""
    name = f"weather-{uuid.uuid4().hex[:6]}"
    with closing(Api(lab.kubeconfig)) as api, proxy_to(lab.kubeconfig) as proxy, Truth(lab, name) as truth:
        api.request("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
        # The controller manager makes the ServiceAccount without which pods are refused; made here, it finds it.
        api.ensure(f"/api/v1/namespaces/{name}/serviceaccounts", {"metadata": {"name": "default"}})
        proxy.kubeconfig(lab.kubeconfig, tmp_path / "kubeconfig")
        place = Place(lab, api, proxy, name, tmp_path, truth)
        place.before = place.node()
        try:
            yield place
        finally:
            if place.node() != place.before:  # the test failed; those after it need the node
                taintlab("recover", "--lab", lab.name)
            place.ask("DELETE", f"/api/v1/namespaces/{name}")


@contextmanager
def running(place: Place, pods: list[Json], *, fault_s: float = FAULT_S) -> Iterator[subprocess.Popen[bytes]]:
    """A run through the proxy, from the moment at which its taint is acknowledged."""
    file = experiment(place.folder, place.namespace, pods, fault_s=fault_s)
    with started("run", file, *place.where, "--out", place.out, log=place.folder / "log") as process:
        wait_for(lambda: injected(place.out) or process.poll() is not None, timeout_s=60, what="the injection")
        assert process.poll() is None, (place.folder / "log").read_text()
        yield process


def ended(place: Place, process: subprocess.Popen[bytes], *, timeout_s: float = 60) -> tuple[int, Json, str]:
    """Exit code, result, and all that was printed. No run may call anything a defect of ours."""
    code = process.wait(PATIENCE * timeout_s)
    told = (place.folder / "log").read_text()
    assert "Traceback" not in told
    assert "defect" not in told
    return code, place.result, told


def heal_begun(place: Place) -> bool:
    """Whether the run has begun to take its taint off."""
    return bool(facts(place.out, "HealInvoked"))


def gone(place: Place, name: str) -> bool:
    """Whether a pod is gone from the API server."""
    return name in place.truth.gone


# --- what happens ---


def fair(_: Place) -> None:
    """Nothing."""


def stall_while_the_pod_that_must_stay_is_deleted(place: Place) -> None:
    """3 s without a byte. What is deleted meanwhile was deleted by somebody else, and in no case stayed."""
    place.proxy.stall()
    began_s = time.monotonic()
    place.ask("DELETE", place.pod_path("stays"))
    wait_for(lambda: gone(place, "stays"), timeout_s=10, what="the deletion")
    time.sleep(max(0.0, began_s + 3.0 - time.monotonic()))
    assert not heal_begun(place), "the stall outlasted the fault"
    place.proxy.go_on()


def stall_until_the_heal(place: Place) -> None:
    """Not a byte from the injection to the end of the fault phase."""
    place.proxy.stall()
    wait_for(lambda: heal_begun(place), timeout_s=FAULT_S + 10, what="the heal")
    place.proxy.go_on()


def stall_open_connections_for_good(place: Place) -> None:
    """What a NAT that forgot its connections does: the watches stay open and are dead, new connections work."""
    place.proxy.stall_open_ones()
    place.ask("DELETE", place.pod_path("stays"))


def cut_and_refuse_for_2_s(place: Place) -> None:
    """RST on every connection, none accepted for 2 s."""
    place.proxy.refuse()
    place.proxy.cut()
    time.sleep(2.0)
    place.proxy.accept()


def refuse_around_the_heal(place: Place) -> None:
    """From the last second of the fault phase until 4 s after the first try to heal."""
    wait_for(lambda: gone(place, "leaves"), timeout_s=20, what="the eviction")
    place.proxy.refuse()
    place.proxy.cut()
    wait_for(lambda: heal_begun(place), timeout_s=FAULT_S + 10, what="the heal")
    time.sleep(4.0)
    place.proxy.accept()


def late_by_1500_ms(place: Place) -> None:
    """Every answer and every line of a watch, until the end of the run."""
    place.proxy.delay(1.5)


def untaint(place: Place) -> None:
    """kubectl taint node NODE KEY-, half a second after the injection."""
    time.sleep(0.5)
    place.patch(NODE_PATH, {"spec": {"taints": place.before["spec"].get("taints")}})


def strip(place: Place) -> None:
    """kubectl annotate node NODE taintlab.dev/claim-, half a second after the injection."""
    time.sleep(0.5)
    place.patch(NODE_PATH, {"metadata": {"annotations": {CLAIM: None}}})


@dataclass(frozen=True)
class Row:
    """`weather` comes up when the taint has been acknowledged. `seconds`: for how long the pod `leaves` tolerates it
    (0: not at all). `held`: the proxy must have held bytes back, else the row proves nothing. `says`: in the result's
    reason.
    """

    id: str
    weather: Callable[[Place], None]
    seconds: float = 0
    fault_s: float = FAULT_S
    verdicts: tuple[str, ...] = ("PASS",)
    codes: tuple[int, ...] = (0,)
    held: bool = False
    says: str = ""


UNPROVEN: dict[str, Any] = {"verdicts": ("INCONCLUSIVE", "INVALID"), "codes": (3,)}
EITHER: dict[str, Any] = {"verdicts": ("PASS", "INCONCLUSIVE", "INVALID"), "codes": (0, 3)}
INVALID: dict[str, Any] = {"verdicts": ("INVALID",), "codes": (3,)}

ROWS = [
    Row("fair", fair),
    Row("fair, leaves after 2 s", fair, seconds=2),
    Row(
        "stalled for 3 s, the pod that must stay is deleted",
        stall_while_the_pod_that_must_stay_is_deleted,
        fault_s=8.0,
        held=True,
        **UNPROVEN,
    ),
    Row(
        "watches dead for good, the pod that must stay is deleted",
        stall_open_connections_for_good,
        held=True,
        **UNPROVEN,
    ),
    Row("stalled until the heal", stall_until_the_heal, seconds=1, held=True, **EITHER),
    Row("stalled until the heal, shortly after it was due", stall_until_the_heal, seconds=2, held=True, **EITHER),
    Row("cut after the injection, refused for 2 s", cut_and_refuse_for_2_s, seconds=1, **EITHER),
    Row("refused around the heal", refuse_around_the_heal, **EITHER),
    Row("late by 1.5 s", late_by_1500_ms, seconds=2, held=True, **EITHER),
    Row("late by 1.5 s, due while the heal is under way", late_by_1500_ms, seconds=6, held=True, **EITHER),
    Row("taint taken off by another", untaint, says="removed", **INVALID),
    Row("annotation stripped", strip, says="undo record", **INVALID),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_a_run_in_bad_weather_says_nothing_wrong_and_leaves_nothing(place: Place, row: Row) -> None:
    leaves = pod("leaves", tolerating(row.seconds) if row.seconds else [])
    began_s = time.monotonic()
    with running(place, [leaves, pod("stays", tolerating())], fault_s=row.fault_s) as process:
        row.weather(place)
        code, result, told = ended(place, process)
    place.proxy.delay(0.0)
    took_s = time.monotonic() - began_s
    left_s = place.truth.after_injection_s(place.out, "leaves")
    print(
        f"| {row.id} | {result['verdict']} | {code} | nothing | {took_s:.0f} s | left {left_s} | {result['reason']} |"
    )
    place.is_as_before()
    assert code in row.codes, told
    assert result["verdict"] in row.verdicts, told
    assert result["healed"] is True
    assert row.says in result["reason"]
    assert place.proxy.accepted > 0
    assert bool(place.proxy.held) is row.held, "the weather was not what the row says"
    firm_words_are_true(place, result)


def firm_words_are_true(place: Place, result: Json) -> None:
    """Verdicts on single pods, held against what was seen past the proxy. (Early and late are those of no row: the
    control plane is upstream's own, and keeps its rules.)
    """
    for row in result["evictions"]:
        name = row["pod"].partition("/")[2]
        left_s = place.truth.after_injection_s(place.out, name)
        words = row["verdict"]
        assert words in ("on time", "survived", "unknown"), row
        if words == "on time":
            assert left_s is not None
            first_s, last_s = row["predicted_s"]
            assert first_s - 0.5 <= left_s <= last_s, row
        if words == "survived":
            closing = [fact for fact in facts(place.out, "ClosingList") if fact["resource"] == "pods"]
            done = next(fact for fact in facts(place.out, "StepDone") if fact["step"].startswith("inject-"))
            until_s = (closing[-1]["t_ns"] - done["t_ns"]) / 1e9
            assert left_s is None or left_s >= until_s, row


@pytest.mark.slow
def test_a_foreign_finalizer_is_a_leftover_until_it_is_off(place: Place) -> None:
    hold = f"taintlab.test/{place.namespace}"
    with running(place, [pod("leaves", []), pod("stays", tolerating())]) as process:
        place.patch(place.pod_path("stays"), {"metadata": {"finalizers": [hold]}})
        try:
            code, result, told = ended(place, process, timeout_s=120)
            assert (code, result["healed"]) == (5, False), told
            assert hold in "".join(result["leftovers"])
            assert [item["name"] for item in place.leftovers()] == ["stays"]
            assert hold in json.dumps(place.leftovers())
            assert place.node() == place.before
            again = place.recover()
            assert again.code == 5, again.out + again.err
            assert hold in again.out
        finally:
            place.patch(place.pod_path("stays"), {"metadata": {"finalizers": None}})
    last = place.recover()
    assert (last.code, last.json["leftovers"]) == (0, []), last.out + last.err
    place.is_as_before()


def test_a_run_that_was_killed_in_a_stall_is_recovered(place: Place) -> None:
    with running(place, [pod("leaves", []), pod("stays", tolerating())], fault_s=30.0) as process:
        place.proxy.stall()
        process.kill()
        process.wait()
    place.proxy.go_on()
    assert place.node() != place.before
    assert {item["kind"] for item in place.leftovers()} >= {"Node", "Pod"}
    checked = taintlab("check", place.out, "--json")
    assert (checked.code, checked.json["verdict"]) == (5, "INVALID"), checked.out
    recovered = place.recover()
    assert (recovered.code, recovered.json["leftovers"]) == (0, []), recovered.out + recovered.err
    place.is_as_before()


def test_a_recovery_waits_for_an_api_server_that_is_away(place: Place) -> None:
    """It tries again until it is let in, and says nothing is left only then."""
    with running(place, [pod("stays", tolerating())], fault_s=30.0) as process:
        process.kill()
        process.wait()
    place.proxy.refuse()
    place.proxy.cut()
    argv = ("recover", place.out, "--json", *place.where)
    with started(*argv, log=place.folder / "recovered") as recovering:
        with pytest.raises(subprocess.TimeoutExpired):
            recovering.wait(5.0)
        assert place.node() != place.before
        place.proxy.accept()
        code = recovering.wait(PATIENCE * 60)
    assert code == 0, (place.folder / "recovered").read_text()
    place.is_as_before()
