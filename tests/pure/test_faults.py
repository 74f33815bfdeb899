"""Kinds of faults: none is half made, each is documented and proven, each keeps the contract of drivers."""

from __future__ import annotations

import ast
import asyncio
import copy
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from harness.cluster.patience import Patience
from harness.cluster.ports import Json
from harness.errors import Indeterminate, NotFound, Refused, TryLater
from harness.faults import cordon, evict, restart, taint, testing, tolerations
from harness.faults.kind import Driver, FaultKind
from harness.faults.registry import FAULTS, UNDO
from harness.faults.testing import NOOP, BrokenContract, NoopDriver, NoopFault, ValidatingDriver
from harness.history.plain import decode, plain
from harness.model.faults import Fault, Need
from harness.model.requirement import Requirement
from harness.model.taints import Effect, Taint, Toleration
from harness.run.drivers import Drivers, _Context
from harness.testing import FakeCluster
from harness.wiring.experiments import read_experiment
from tests.fakes.virtual import VirtualTime
from tests.pure.healing import NODE, SPOT, Rig

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = ROOT / "experiments"
WEB = (Requirement("app", ("web",)),)
VALUES: Mapping[str, Fault] = {
    "taint": taint.TaintFault(SPOT, at_s=1.0, for_s=2.0),
    "tolerations": tolerations.TolerationsFault(WEB, (Toleration("spot"),), at_s=1.0),
    "restart": restart.RestartFault("kube-controller-manager"),
    "cordon": cordon.CordonFault(for_s=3.0),
    "evict": evict.EvictFault(WEB, 4.0),
}
kinds = pytest.mark.parametrize("kind", FAULTS, ids=lambda kind: kind.value.kind)


@dataclass(frozen=True)
class Proof:
    """Where a kind is proven. `twin`: the experiment of tests/lab/twins.py whose broken world fails it, or a test, as
    ``file::name``. `killed`: the test that kills a run while the fault is there; "" where there is none, which
    docs/reference/faults.md must say.
    """

    twin: str
    killed: str = ""


PROOFS: Mapping[str, Proof] = {
    "taint": Proof(
        "02-toleration-seconds", "tests/contract/test_recover.py::test_a_killed_run_is_undone_by_its_ledger"
    ),
    "tolerations": Proof(
        "04-edited-seconds-ignored",
        "tests/contract/test_evict.py::test_a_run_that_is_killed_while_it_changes_pods_leaves_its_workload_only",
    ),
    "restart": Proof("06-restart-restarts-countdown"),
    "cordon": Proof("11-cordon-evicts-nobody", "tests/pure/test_heal_nodes.py::test_every_request_and_every_trouble"),
    "evict": Proof(
        "tests/contract/test_evict.py::test_an_eviction",
        "tests/contract/test_evict.py::test_a_run_that_is_killed_while_it_asks_leaves_its_workload_only",
    ),
}


def section(kind: str) -> str:
    """What docs/reference/faults.md says under the kind's heading."""
    page = (ROOT / "docs/reference/faults.md").read_text(encoding="utf-8")
    found = re.search(rf"^## `{kind}`\n(.*?)(?=^## |\Z)", page, re.M | re.S)
    assert found, f"docs/reference/faults.md has no heading for {kind}"
    return found[1]


def is_test(name: str) -> bool:
    """Whether ``file::name`` is a test."""
    file, _, test = name.partition("::")
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    return any(isinstance(node, ast.FunctionDef) and node.name == test for node in tree.body)


@kinds
def test_each_kind_is_documented(kind: FaultKind[Any]) -> None:
    text = section(kind.value.kind)
    for word in ("**YAML.**", "**Rights.**", "**Undo.**", "**Who deletes.**"):
        assert word in text, f"{kind.value.kind}: {word} is missing"
    for right in kind.value.rights:
        assert right.resource in text.replace("`", ""), f"{kind.value.kind} needs {right.resource}, and does not say so"
    if kind.value.departs_by is not None:
        assert kind.value.departs_by.value in text


@kinds
def test_each_kind_has_an_experiment(kind: FaultKind[Any]) -> None:
    found = [read_experiment(file) for file in sorted(LIBRARY.glob("*.yaml"))]
    assert any(isinstance(fault, kind.value) for experiment in found for fault in experiment.faults)


@kinds
def test_each_kind_is_proven(kind: FaultKind[Any]) -> None:
    proof = PROOFS[kind.value.kind]
    if proof.killed:
        assert is_test(proof.killed), proof.killed
    else:
        assert f"- `{kind.value.kind}`: no test kills a run" in (ROOT / "docs/reference/faults.md").read_text()
    if "::" in proof.twin:
        assert is_test(proof.twin), proof.twin
    else:
        assert f'"{proof.twin}"' in (ROOT / "tests/lab/twins.py").read_text(encoding="utf-8")
        faults = read_experiment(LIBRARY / f"{proof.twin}.yaml").faults
        assert any(isinstance(fault, kind.value) for fault in faults)


def test_no_kind_knows_another() -> None:
    names = {kind.value.__module__.rpartition(".")[2] for kind in FAULTS}
    for name in names:
        tree = ast.parse((ROOT / f"harness/faults/{name}.py").read_text(encoding="utf-8"))
        modules = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        modules |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        assert not {f"harness.faults.{other}" for other in names - {name}} & modules, name
        assert not [m for m in modules if m.split(".")[0] in ("asyncio", "kubernetes", "aiohttp")], name
        assert not [m for m in modules if m.startswith(("harness.run", "harness.adapters"))], name


def test_names_are_unique_and_the_undo_is_complete() -> None:
    names = [kind.value.kind for kind in FAULTS]
    assert len(set(names)) == len(names)
    assert list(VALUES) == names
    on_nodes = [kind for kind in FAULTS if kind.value.is_undone and Need.NODES in kind.value.needs]
    assert {kind.value.kind for kind in on_nodes} == set(UNDO)


@kinds
def test_a_value_survives_its_json(kind: FaultKind[Any]) -> None:
    values = [each.value for each in FAULTS]
    fault = VALUES[kind.value.kind]
    written = plain(fault)
    assert written["type"] == kind.value.kind
    assert decode(Fault, written, values) == fault  # type: ignore[type-abstract]
    # taintlab 0.1.0 wrote the name of the class
    assert decode(Fault, {**written, "type": kind.value.__name__}, values) == fault  # type: ignore[type-abstract]


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"type": "flood"}, "expected one of taint, tolerations, restart, cordon, evict, got 'flood'"),
        ({}, "got null"),
        ({"type": "restart", "component": "etcd", "for_s": 3.0}, "restart is not undone, so it has no length: 3.0"),
        ({"type": "taint"}, r"misses taint - at `\$`"),
    ],
)
def test_a_fault_that_is_none_is_refused_with_its_place(value: Json, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        decode(Fault, value, [kind.value for kind in FAULTS])  # type: ignore[type-abstract]


# ---- a kind that forgets something


def test_a_kind_that_forgets_a_method_is_no_kind() -> None:
    """No heal step, no prediction, by silence: that was the catch-all's work."""
    for name in sorted(Fault.__abstractmethods__):
        members = {key: value for key, value in vars(NoopFault).items() if key != name and not key.startswith("__")}
        members = {key: value for key, value in members.items() if key not in {each.name for each in fields(Fault)}}
        made = type("Half", (Fault,), {**members, "__slots__": (), **({"__str__": str} if name != "__str__" else {})})
        with pytest.raises(TypeError, match=rf"Half lacks .*{name}"):
            FaultKind(made, NOOP.shape, NOOP.driver)
        with pytest.raises(TypeError, match="abstract"):
            made()


@pytest.mark.parametrize("name", ["kind", "is_undone", "needs", "rights", "departs_by", "unplanned"])
def test_a_kind_that_forgets_a_word_is_no_kind(name: str) -> None:
    members = {key: value for key, value in vars(NoopFault).items() if key in Fault.__abstractmethods__ | {"__str__"}}
    words = {
        key: getattr(NoopFault, key) for key in ("kind", "is_undone", "needs", "rights", "departs_by", "unplanned")
    }
    del words[name]
    with pytest.raises(TypeError, match=f"Half lacks {name}"):
        FaultKind(type("Half", (Fault,), {**members, **words, "__slots__": ()}), NOOP.shape, NOOP.driver)


class _NoHeal(Driver[NoopFault]):
    async def inject(self, fault: NoopFault, subject: str, context: Any) -> Mapping[str, Any]:
        return {}


class _Fleeting(NoopFault):
    is_undone: ClassVar = False


@pytest.mark.parametrize(
    ("value", "driver"), [(NoopFault, _NoHeal()), (_Fleeting, NoopDriver())], ids=["no heal", "a heal too many"]
)
def test_a_heal_and_the_plan_must_agree(value: type[NoopFault], driver: Driver[NoopFault]) -> None:
    with pytest.raises(TypeError, match="its driver says otherwise"):
        FaultKind(value, NOOP.shape, driver)


def test_a_driver_without_a_heal_is_none() -> None:
    class Half(testing.UndoingDriver[NoopFault]):
        async def inject(self, fault: NoopFault, subject: str, context: Any) -> Mapping[str, Any]:
            return {}

    with pytest.raises(TypeError, match="abstract"):
        Half()  # type: ignore[abstract]


def test_a_mapping_begins_with_the_name_of_its_kind() -> None:
    with pytest.raises(TypeError, match="begins with taint, not noop"):
        FaultKind(NoopFault, taint.SHAPE, NOOP.driver)


def test_a_kind_that_was_not_handed_in_is_an_error(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    for work in (rig.drivers.inject(NoopFault(), ""), rig.drivers.heal(NoopFault(), "")):
        with pytest.raises(KeyError):
            asyncio.run(work)
    with pytest.raises(TypeError, match="is not undone"):
        asyncio.run(rig.drivers.heal(VALUES["restart"], ""))


# ---- drivers keep their contract


def snapshot(cluster: FakeCluster) -> dict[str, object]:
    """Every object without what the server writes."""
    out: dict[str, object] = {}
    for path, obj in cluster.objects.items():
        bare = copy.deepcopy(obj)
        bare["metadata"].pop("resourceVersion", None)
        out[path] = bare
    return out


def context_of(drivers: Drivers) -> _Context:
    return drivers._context(30.0)


@pytest.mark.parametrize("kind", [taint.KIND, cordon.KIND, NOOP], ids=lambda kind: kind.value.kind)
def test_a_driver_undoes_what_it_does_and_nothing_else(tmp_path: Path, kind: FaultKind[Any]) -> None:
    rig = Rig(tmp_path)
    fault = VALUES.get(kind.value.kind, NoopFault())
    driver = ValidatingDriver(kind.driver, lambda: snapshot(rig.cluster), [NODE])  # type: ignore[type-var]

    async def story() -> None:
        context = context_of(rig.drivers)
        assert await driver.is_healed(fault, "n1", context)
        await driver.inject(fault, "n1", context)
        assert await driver.is_healed(fault, "n1", context) is not bool(fault.holds)
        await driver.heal(fault, "n1", context)
        await driver.inject(fault, "n1", context)
        await driver.heal(fault, "n1", context)

    asyncio.run(story())


class _Bad(NoopDriver):
    """Breaks one clause of the contract."""

    def __init__(self, cluster: FakeCluster, what: str) -> None:
        self.cluster, self.what = cluster, what

    async def inject(self, fault: NoopFault, subject: str, context: Any) -> Mapping[str, Any]:
        if self.what in ("leaves something", "touches another"):
            path = NODE if self.what == "leaves something" else "/api/v1/nodes/other"
            self.cluster.put(path, {"metadata": {"uid": "uid-n1"}, "spec": {"unschedulable": True}})
        return {"at": object()} if self.what == "receipt" else {}

    async def is_healed(self, fault: NoopFault, subject: str, context: Any) -> bool:
        return self.what != "never healed"


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("receipt", "no plain JSON"),
        ("leaves something", f"after the heal of noop there differ: {NODE}"),
        ("touches another", "inject of noop touched /api/v1/nodes/other"),
        ("never healed", "noop is not healed after its heal"),
        ("healed first", "which was not injected"),
    ],
)
def test_the_wrapper_notices(tmp_path: Path, what: str, words: str) -> None:
    rig = Rig(tmp_path)
    driver = ValidatingDriver(_Bad(rig.cluster, what), lambda: snapshot(rig.cluster), [NODE])

    async def story() -> None:
        context = context_of(rig.drivers)
        if what != "healed first":
            await driver.inject(NoopFault(), "", context)
        await driver.heal(NoopFault(), "", context)

    with pytest.raises(BrokenContract, match=words):
        asyncio.run(story())


# ---- evictions

POD = {"metadata": {"name": "a", "namespace": "shop", "uid": "u", "labels": {"app": "web"}}}
Say = Callable[[int], object]


class Evictor(FakeCluster):
    """`answers`: what each POST comes to: an error to raise, or None for success. Every pod is as `objects` has it."""

    def __init__(self, time: VirtualTime, answers: Sequence[Exception | None]) -> None:
        super().__init__(time)
        self.answers = iter(answers)
        self.asked: list[tuple[str, Mapping[str, Any]]] = []

    async def create(self, path: str, body: Mapping[str, Any]) -> Json:
        self.asked.append((path, body))
        answer = next(self.answers)
        if answer is not None:
            raise answer
        return {"kind": "Status"}


@dataclass
class EvictContext:
    """What `evict` uses of a context."""

    cluster: Evictor
    time: VirtualTime
    there: Sequence[Json]

    def patience(self, seconds: float) -> Patience:
        return Patience(self.time, self.time.after_s(seconds))

    def pods(self, selector: Sequence[Requirement]) -> list[Json]:
        return [pod for pod in self.there if all(term.matches(pod["metadata"]["labels"]) for term in selector)]


BUSY, FORBIDDEN = TryLater("POST: 429 budget", status=429), Refused("POST: 403", status=403)
LOST, ABSENT = Indeterminate("POST: reset"), NotFound("POST: 404", status=404)
TAKEN = {"status": {"conditions": [{"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI"}]}}


def evicting(
    answers: Sequence[Exception | None], *, stored: Json | None = None, pods: Sequence[Json] = (POD,)
) -> tuple[Mapping[str, Any], Evictor, float]:
    """The receipt, the server, and the seconds that it took."""
    time = VirtualTime()
    began_ns = time.now_ns
    cluster = Evictor(time, answers)
    if stored is not None:
        cluster.put("/api/v1/namespaces/shop/pods/a", stored)
    context: Any = EvictContext(cluster, time, pods)
    said = asyncio.run(evict.KIND.driver.inject(evict.EvictFault(WEB, 3.0), "", context))
    return said, cluster, (time.now_ns - began_ns) / 1e9


def test_an_eviction_names_the_very_pod() -> None:
    said, cluster, seconds = evicting([None])
    assert said == {"evicted": ["u"], "gone": [], "refused": {}}
    ((path, body),) = cluster.asked
    assert path == "/api/v1/namespaces/shop/pods/a/eviction"
    assert body["deleteOptions"] == {"preconditions": {"uid": "u"}}
    assert seconds == 0.0


def test_a_budget_is_asked_every_second_until_the_time_is_over() -> None:
    assert evicting([BUSY, BUSY, None])[0]["evicted"] == ["u"]
    assert evicting([BUSY, BUSY, None])[2] == 2.0
    said, cluster, seconds = evicting([BUSY] * 9)
    assert said == {"evicted": [], "gone": [], "refused": {"shop/a": "POST: 429 budget"}}
    assert (len(cluster.asked), seconds) == (4, 3.0)


@pytest.mark.parametrize(
    ("answers", "stored", "evicted", "gone"),
    [
        ([ABSENT], None, [], ["shop/a"]),
        ([LOST], {**POD, **TAKEN, "metadata": {**POD["metadata"], "deletionTimestamp": "x"}}, ["u"], []),
        ([LOST, None], POD, ["u"], []),
        ([LOST, ABSENT], None, [], ["shop/a"]),
    ],
    ids=["gone by itself", "lost, and taken", "lost, and not taken", "lost, and gone: by whom is not known"],
)
def test_an_answer_is_read_for_what_it_says(
    answers: list[Exception | None], stored: Json | None, evicted: list[str], gone: list[str]
) -> None:
    said, _, _ = evicting(answers, stored=stored)
    assert (said["evicted"], said["gone"]) == (evicted, gone)


def test_what_is_not_known_is_not_told() -> None:
    with pytest.raises(Indeterminate, match="not known whether these pods were evicted: shop/a: POST: reset"):
        evicting([LOST] * 9)
    with pytest.raises(Refused, match="403"):
        evicting([FORBIDDEN])
    with pytest.raises(Refused, match="evict app=web: no pod of the workload has these labels"):
        evicting([], pods=[])


def test_one_pod_that_is_forbidden_hides_no_other() -> None:
    other = {"metadata": {**POD["metadata"], "name": "b", "uid": "v"}}
    said, _, _ = evicting([None, FORBIDDEN], pods=[POD, other])
    assert said == {"evicted": ["u"], "gone": [], "refused": {"shop/b": "POST: 403"}}


# ---- marks


def test_a_mark_tells_taints_apart() -> None:
    from tests.pure.records import node_seen

    mark = taint.TaintFault(SPOT).mark
    assert mark.is_on(node_seen("MODIFIED", (SPOT,)))
    assert not mark.is_on(node_seen("MODIFIED", (replace(SPOT, value="theirs"),)))
    assert not mark.is_on(node_seen("MODIFIED", (Taint("spot", Effect.NO_SCHEDULE, "x"),), cordoned=True))
    assert cordon.CordonFault().mark.is_on(node_seen("MODIFIED", (), cordoned=True))
