"""Recovery on the fake cluster in bad weather, in virtual time: what is called undone is gone, the rest is named."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.cluster.ledger import Ledger
from harness.cluster.ledger_read import read_ledger
from harness.cluster.ledger_record import Header, Record, RecordKind
from harness.cluster.patience import Patience
from harness.cluster.ports import Json
from harness.cluster.survey import labelled_objects
from harness.cluster.undo import CLAIM_ANNOTATION, Holder, NodeUndo
from harness.faults.taint import TaintChange
from harness.model.taints import Effect, Taint
from harness.run.recover.by_claims import recover_claims
from harness.run.recover.by_ledger import RunLedger, recover_ledger
from harness.run.recover.context import Recovered, RecoveryContext
from harness.run.recover.liveness import LocalProcesses
from tests.fakes.virtual import VirtualTime
from tests.fakes.weather import Plan, Trouble, Weather

RUN = "exp-20260101T000000-0a1b2c3d"
HERE = Holder("host", "boot", 1, 1, 1)
SPOT = Taint("spot", Effect.NO_EXECUTE, "x")
CLAIM = NodeUndo(RUN, "2026-01-01T00:01:00Z", (TaintChange(SPOT, None, 0),))
MAP, POD = "/api/v1/namespaces/shop/configmaps/settings", "/api/v1/namespaces/shop/pods/web-1"
TYPES = {"configmaps": "ConfigMap", "pods": "Pod"}
LABELS = {"taintlab.dev/run": RUN}


def node_path(name: str) -> str:
    return f"/api/v1/nodes/{name}"


def calm(number: int, verb: str, path: str) -> None:
    """Nothing goes wrong."""


class World:
    """Two tainted nodes and a ConfigMap of a dead run, and the ledger that names them."""

    def __init__(self, tmp_path: Path, plan: Plan = calm) -> None:
        self.time = VirtualTime()
        self.cluster = Weather(self.time, plan, node=node_path("n1"))
        self.said: list[str] = []
        verbs = ["list", "delete", "get"]
        types = [{"name": n, "kind": kind, "namespaced": True, "verbs": verbs} for n, kind in TYPES.items()]
        self.cluster.objects["/api/v1"] = {"resources": types}
        self.cluster.objects["/apis"] = {"groups": []}
        for name in ("n1", "n2"):
            meta: Json = {"annotations": {CLAIM_ANNOTATION: CLAIM.to_json()}, "uid": f"uid-{name}"}
            self.cluster.put(node_path(name), {"metadata": meta, "spec": {"taints": [SPOT.to_api()]}})
        self.cluster.put(MAP, {"kind": "ConfigMap", "metadata": {"labels": LABELS, "namespace": "shop", "uid": "m"}})
        self.ledger = tmp_path / "ledger.jsonl"
        ledger = Ledger(self.ledger, Header(RUN, "exp", {"lab": "a"}))
        for name in ("n1", "n2"):
            node = Record(f"node:{name}", RecordKind.NODE, name, CLAIM.words(), f"uid-{name}", CLAIM.to_json())
            ledger.intend(node)
        ledger.intend(Record(f"object:{MAP}", RecordKind.OBJECT, MAP, "ConfigMap settings", "m"))
        ledger.close()

    @property
    def context(self) -> RecoveryContext:
        patience = Patience(self.time, self.time.after_s(600))
        return RecoveryContext(self.cluster, patience, LocalProcesses(HERE, lambda _: False), self.said.append)

    def by_ledger(self, *, written_ago_s: float = 1e6) -> Recovered:
        written_ns = self.time.now().wall_ns - int(written_ago_s * 1e9)
        ledger = RunLedger(self.ledger, read_ledger(self.ledger), RUN, written_ns, same_cluster=True)
        return asyncio.run(recover_ledger(self.context, ledger))

    def by_claims(self) -> Recovered:
        return asyncio.run(recover_claims(self.context, run=RUN))

    def left(self) -> list[str]:
        """What is on the cluster, by an oracle that knows only the objects."""
        found = []
        for path, obj in self.cluster.objects.items():
            if path.startswith("/api/v1/nodes/"):
                ours = SPOT.to_api() in (obj["spec"].get("taints") or [])
                notes = [key for key in obj["metadata"].get("annotations") or {} if key.startswith("taintlab.dev/")]
                found += [path] if ours or notes else []
            elif (obj.get("metadata") or {}).get("labels") == LABELS:
                found.append(path)
        return found

    def open_records(self) -> list[str]:
        return [record.id for record in read_ledger(self.ledger).outstanding]


@pytest.mark.parametrize("how", [World.by_ledger, World.by_claims])
def test_in_fair_weather_all_is_undone(tmp_path: Path, how: Callable[[World], Recovered]) -> None:
    world = World(tmp_path)
    done = how(world)
    assert (done.remaining, world.left()) == ((), [])
    assert len(done.undone) == 3
    assert world.said, "it says what it will do"


ERRORS = (
    Trouble.REFUSED,
    Trouble.THROTTLED,
    Trouble.EXPIRED,
    Trouble.LOST_BEFORE,
    Trouble.LOST_AFTER,
    Trouble.SERVER_ERROR,
)
RIVALS = (Trouble.RIVAL, Trouble.GONE, Trouble.REPLACED, Trouble.STRIPPED, Trouble.FOREIGN_VALUE, Trouble.UNTAINTED)
WAYS = {"ledger": World.by_ledger, "claims": World.by_claims}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("lasting", [False, True], ids=["once", "from then on"])
@pytest.mark.parametrize("trouble", [*ERRORS, *RIVALS])
def test_every_trouble_at_every_request(
    tmp_path: Path, way: str, trouble: Trouble, lasting: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """Wherever a path starts to fail: nothing is called undone that is there, what is left is named, a record is closed
    only for what is gone, and what has nothing to do with that path is undone.

    Without a ledger, a claim that was stripped before anybody looked is known to nobody: that point is left out.
    """
    (tmp_path / "fair").mkdir()
    fair = World(tmp_path / "fair")
    WAYS[way](fair)
    named = 0
    first = 1 if (way, trouble) == ("claims", Trouble.STRIPPED) else 0
    for at, (_, path) in list(enumerate(fair.cluster.requests))[first:]:
        folder = tmp_path / str(at)
        folder.mkdir()

        def plan(number: int, verb: str, where: str, *, at: int = at, path: str = path) -> Trouble | None:
            hit = number == at or (lasting and number > at and where == path)
            return trouble if hit else None

        world = World(folder, plan)
        done = WAYS[way](world)
        left = world.left()
        told = "\n".join(done.remaining)
        for thing in left:
            assert thing.rsplit("/", 1)[1] in told or "not known" in told, (at, path, left, done)
        if trouble in RIVALS and not (lasting and trouble is Trouble.RIVAL):
            assert not done.remaining, (at, path, done)
            assert not left
        elif not lasting and trouble is not Trouble.REFUSED:
            assert (done.remaining, left) == ((), []), (at, path, done)
        if way == "ledger":
            still = {record.partition(":")[2].rsplit("/", 1)[-1] for record in world.open_records()}
            assert {thing.rsplit("/", 1)[1] for thing in left} <= still, (at, path, left, still)
            assert len(left) <= 1, "one thing's trouble is its own"
        named += bool(done.remaining)
    with capsys.disabled():
        print(f"\n{way}, {trouble}, {'lasting' if lasting else 'once'}: {len(fair.cluster.requests)} points, "
              f"{named} named what is left")  # fmt: skip


def test_a_write_of_the_dead_run_that_lands_late_is_refused(tmp_path: Path) -> None:
    """B2: the node looks untouched, its taint is still under way. The fence makes it a 409."""
    world = World(tmp_path)
    before = world.cluster.put(node_path("n1"), {"metadata": {"uid": "uid-n1"}, "spec": {}})
    body = {"metadata": {"resourceVersion": before["metadata"]["resourceVersion"]}, "spec": {"taints": [SPOT.to_api()]}}
    world.cluster.held.append((node_path("n1"), body, 0))
    assert world.by_ledger().remaining == ()
    world.cluster.land()
    assert world.cluster.late == ["409"]
    assert world.left() == []


@pytest.mark.parametrize("way", WAYS)
def test_b8_a_finalizer_is_named_after_a_minute(tmp_path: Path, way: str) -> None:
    world = World(tmp_path)
    world.cluster.objects[MAP]["metadata"]["finalizers"] = ["example.com/hold"]
    began_ns = world.time.now_ns
    done = WAYS[way](world)
    (line,) = done.remaining
    assert "settings" in line
    assert "example.com/hold" in line
    assert 60 <= (world.time.now_ns - began_ns) / 1e9 < 75
    if way == "ledger":
        assert world.open_records() == [f"object:{MAP}"]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("grace_s", "least_s"), [(30, 60), (100, 130)])
def test_b8_a_pod_that_stays_is_named_with_what_holds_it(tmp_path: Path, way: str, grace_s: int, least_s: int) -> None:
    world = World(tmp_path)
    meta = {
        "labels": LABELS,
        "namespace": "shop",
        "ownerReferences": [{"uid": "m"}],
        "finalizers": ["example.com/hold"],
        "deletionTimestamp": "2026-01-01T00:00:00Z",
    }
    world.cluster.put(POD, {"metadata": meta, "spec": {"terminationGracePeriodSeconds": grace_s}})
    began_ns = world.time.now_ns
    (line,) = WAYS[way](world).remaining
    assert "Pod shop/web-1" in line
    assert "example.com/hold" in line
    assert least_s <= (world.time.now_ns - began_ns) / 1e9 < least_s + 20


@pytest.mark.parametrize(("age_s", "lands", "gone"), [(1, True, True), (1, False, True), (1000, False, True)])
def test_a_create_that_was_under_way_is_waited_for(tmp_path: Path, age_s: float, lands: bool, gone: bool) -> None:
    world = World(tmp_path)
    late = "/api/v1/namespaces/shop/configmaps/late"
    ledger = Ledger(world.ledger)
    ledger.intend(Record(f"object:{late}", RecordKind.OBJECT, late, "ConfigMap late"))
    ledger.close()
    seen = 0

    def land(number: int) -> None:
        nonlocal seen
        before = seen
        seen += world.cluster.requests[number] == ("GET", late)
        if lands and (before, seen) == (2, 3):
            world.cluster.put(late, {"metadata": {"labels": LABELS, "namespace": "shop"}})

    world.cluster.before_request = land
    done = world.by_ledger(written_ago_s=age_s)
    assert done.remaining == ()
    assert (late not in world.cluster.objects) is gone
    assert (seen > 3) is (age_s < 10)


def test_healed_lines_are_written_one_by_one(tmp_path: Path) -> None:
    """Killed in the middle, the ledger says what was done until then."""
    world = World(tmp_path)
    open_at_delete: list[list[str]] = []

    def look(number: int) -> None:
        if world.cluster.requests[number] == ("DELETE", MAP):
            open_at_delete.append(world.open_records())

    world.cluster.before_request = look
    world.by_ledger()
    assert open_at_delete == [[f"object:{MAP}"]]
    assert world.open_records() == []


def test_c4_a_broken_preferred_version_is_looked_at_by_another(tmp_path: Path) -> None:
    """A conversion webhook that is down breaks one version's list, not the other's."""
    world = World(tmp_path)
    listed: list[str] = []

    def plan(number: int, verb: str, path: str) -> Trouble | None:
        listed.append(path)
        return Trouble.SERVER_ERROR if path == "/apis/example.com/v2/things" else None

    world.cluster.plan = plan
    versions = [{"groupVersion": f"example.com/{v}"} for v in ("v1", "v2", "v3")]
    group = {"name": "example.com", "versions": versions, "preferredVersion": versions[1]}
    world.cluster.objects["/apis"] = {"groups": [group]}
    thing = {"name": "things", "kind": "Thing", "namespaced": True, "verbs": ["list", "delete"]}
    for version in ("v1", "v2", "v3"):
        world.cluster.objects[f"/apis/example.com/{version}"] = {"resources": [thing]}
    world.cluster.put("/apis/example.com/v1/namespaces/shop/things/a", {"metadata": {"labels": LABELS, "uid": "t"}})
    seen = asyncio.run(labelled_objects(world.cluster, world.context.patience))
    assert {item.path for item in seen.things} == {MAP, "/apis/example.com/v1/things/a"}
    assert seen.unknown == ()
    assert "/apis/example.com/v3/things" not in listed, "one version suffices"


@pytest.mark.parametrize(
    "body",
    [{}, {"resources": None}, {"resources": [{}]}, {"resources": [{"name": 1, "kind": "K"}]}, {"resources": "x"}],
    ids=json.dumps,
)
def test_a_discovery_document_that_is_none_is_said(tmp_path: Path, body: Json) -> None:
    world = World(tmp_path)
    world.cluster.objects["/api/v1"] = body
    done = world.by_claims()
    assert any("not known: the types of v1" in text for text in done.remaining)
    assert world.left() == [MAP]


def test_c3_one_strange_object_spoils_its_type_alone(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.cluster.put(POD, {"metadata": {"labels": {**LABELS, "a": 7}, "namespace": "shop"}})
    done = world.by_claims()
    assert any("not known: pods (v1)" in text for text in done.remaining)
    assert MAP not in world.cluster.objects
