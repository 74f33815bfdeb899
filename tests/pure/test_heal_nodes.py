"""Every request of a run x everything that can go wrong with it: the node is as before, or a line says what is left."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import Any

import pytest

from harness.cluster.node_writes import heal_node
from harness.cluster.patience import Patience
from harness.faults.cordon import CordonFault
from harness.faults.registry import UNDO
from harness.faults.taint import TaintFault
from harness.model import events
from tests.fakes.weather import Trouble
from tests.pure.healing import BEFORE, GPU, NODE, RUN, SPOT, Rig, at, differences, ours
from tests.pure.node_undo import parse_claim

FOREIGN = {Trouble.FOREIGN_VALUE: ("spot",)}
DIFFERENT_NODE = (Trouble.GONE, Trouble.REPLACED)
FOR_EVER = 10**9


@pytest.fixture(autouse=True)
def _no_fsync(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thousands of stories; that the ledger syncs is looked at elsewhere."""
    monkeypatch.setattr("os.fsync", lambda descriptor: None)


def requests_in_good_weather(folder: Path) -> int:
    """How many requests the story makes when nothing goes wrong, heal of everything included."""
    rig = Rig(folder)
    assert rig.run() == []
    assert not rig.errors
    assert differences(rig.cluster.objects[NODE]) == []
    assert rig.read().outstanding == []
    return len(rig.cluster.requests)


def look(rig: Rig, lines: list[str], trouble: Trouble, where: str, *, passes: bool) -> None:
    """The oracle. `passes`: the trouble ends, so that the heal must have managed."""
    node = rig.cluster.objects.get(NODE)
    left = ours(node)
    if trouble is Trouble.REPLACED and node is not None and node["metadata"]["uid"] != "uid-n1":
        assert node["spec"] == {"unschedulable": True}, f"{where}: another node was touched: {node['spec']}"
        left = []
    elif not left and trouble is not Trouble.GONE:
        assert differences(node, *FOREIGN.get(trouble, ())) == [], where
    taints = node["spec"].get("taints") or () if node is not None else ()
    if {"key": "spot", "effect": "NoExecute", "value": "theirs"} in taints and not lines:
        told = [fact.message for fact in rig.facts.of(events.HealDone)]
        assert any("spot=theirs:NoExecute: changed by somebody else" in message for message in told), where
    if left:
        assert lines, f"{where}: {left} left, and nobody says so"
        assert all("n1" in line for line in lines), where
        assert rig.read().outstanding, f"{where}: {left} left, and the ledger says healed"
    if passes:
        assert lines == [], f"{where}: {lines}"
        assert left == [], f"{where}: {left}"
        assert rig.read().outstanding == [], where


def recovered(rig: Rig) -> None:
    """What the ledger alone knows is enough for another process."""
    rig.cluster.plan = lambda n, verb, path: None
    patience = Patience(rig.time, rig.time.after_s(30))
    for record in rig.read().outstanding:
        claim = parse_claim(record.undo, node="n1")
        coro = heal_node(
            rig.cluster, "n1", claim, run=RUN, patience=patience, kinds=UNDO, uid=record.uid, fence_first=True
        )
        asyncio.run(coro)
    assert ours(rig.cluster.objects.get(NODE)) == []


@pytest.mark.parametrize("trouble", list(Trouble), ids=[trouble.name for trouble in Trouble])
@pytest.mark.parametrize("times", [1, 4, FOR_EVER], ids=["once", "four times", "for ever"])
def test_every_request_and_every_trouble(
    tmp_path: Path, trouble: Trouble, times: int, capsys: pytest.CaptureFixture[str]
) -> None:
    count = requests_in_good_weather(tmp_path)
    left = 0
    for number in range(count):
        rig = Rig(tmp_path, at(number, trouble, times))
        lines = rig.run()
        passes = times < FOR_EVER and trouble is not Trouble.REFUSED  # a refusal is not asked again
        rig.cluster.land()
        look(rig, lines, trouble, f"{trouble} at request {number} of {count}", passes=passes)
        left += bool(lines)
        if trouble not in DIFFERENT_NODE:
            recovered(rig)
    with capsys.disabled():
        often = times if times < FOR_EVER else "for ever"
        print(f"\n{trouble.name:17} {often:>8}: {count} stories, {left} with a leftover told")


def test_a_write_that_lands_late_lands_on_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each write held, each later request as the moment of its landing, and after everything: B2."""
    count = requests_in_good_weather(tmp_path)
    fates: dict[str, int] = {}
    stories = 0
    for number in range(count):
        for landing in (*range(number + 1, count + 8), FOR_EVER):
            rig = Rig(tmp_path, at(number, Trouble.HELD))
            rig.cluster.before_request = lambda n, rig=rig, landing=landing: (
                rig.cluster.land() if n == landing else None
            )
            lines = rig.run()
            rig.cluster.land()
            where = f"request {number} held, landing at {landing}: {rig.cluster.late}"
            look(rig, lines, Trouble.HELD, where, passes=True)
            stories += 1
            for fate in rig.cluster.late:
                fates[fate] = fates.get(fate, 0) + 1
    assert fates["409"]
    with capsys.disabled():
        print(f"\nheld writes: {stories} stories, landings {fates}")


STORM = [trouble for trouble in Trouble if trouble not in (Trouble.REFUSED, Trouble.GONE, Trouble.REPLACED)]


def test_storms(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Any trouble at any request, many in one run, held writes landing at any time; then it is calm again."""
    calm_after, told = 40, 0
    seeds = 500
    for seed in range(seeds):
        chance = random.Random(seed)
        storm = {n: chance.choice(STORM) for n in range(calm_after) if chance.random() < 0.4}
        rig = Rig(tmp_path, lambda n, verb, path, storm=storm: storm.get(n))

        def land(n: int, rig: Rig = rig, chance: random.Random = chance) -> None:
            if chance.random() < 0.2:
                rig.cluster.land()

        rig.cluster.before_request = land
        lines = rig.run(within_s=600)
        rig.cluster.land()
        trouble = Trouble.FOREIGN_VALUE if Trouble.FOREIGN_VALUE in storm.values() else Trouble.RIVAL
        look(rig, lines, trouble, f"seed {seed}: {storm}", passes=True)
        told += bool(lines)
    with capsys.disabled():
        print(f"\nstorms: {seeds} stories, {told} with a leftover told")


def test_without_the_fence_a_late_write_would_stay(tmp_path: Path) -> None:
    """The twin: the same story, healed by reading alone, leaves the taint."""

    async def story(rig: Rig, *, fenced: bool) -> list[str]:
        with pytest.raises(Exception, match="timed out"):
            await rig.drivers.inject(TaintFault(SPOT), "n1")
        record = rig.read().outstanding[0]
        patience = Patience(rig.time, rig.time.after_s(30))
        claim = parse_claim(record.undo, node="n1")
        await heal_node(
            rig.cluster, "n1", claim, run=RUN, patience=patience, kinds=UNDO, uid=record.uid, fence_first=fenced
        )
        rig.cluster.land()
        return ours(rig.cluster.objects[NODE])

    assert asyncio.run(story(Rig(tmp_path, at(1, Trouble.HELD)), fenced=False)) != []
    rig = Rig(tmp_path, at(1, Trouble.HELD))
    assert asyncio.run(story(rig, fenced=True)) == []
    assert rig.cluster.late == ["409"]


def test_a_full_disk_forbids_no_heal(tmp_path: Path) -> None:
    rig = Rig(tmp_path)

    async def story() -> None:
        await rig.faults()
        rig.facts.broken = True

    assert rig.run(story=story) == []
    assert differences(rig.cluster.objects[NODE]) == []


def test_a_ledger_that_cannot_be_written_forbids_the_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At each of its lines: nothing is changed that is not written before, and what was is taken off."""
    for line in range(8):
        rig = Rig(tmp_path)
        write, written = rig.ledger._write, iter(range(100))  # the one place where a line is written

        def full(what: Any, *, number: int = line, write: Any = write, written: Any = written) -> None:
            if next(written) >= number:
                raise OSError(28, "No space left on device")
            write(what)

        monkeypatch.setattr(rig.ledger, "_write", full)
        assert rig.run() == []
        assert differences(rig.cluster.objects[NODE]) == []
        if line == 0:
            assert "PATCH" not in [verb for verb, _ in rig.cluster.requests]
        assert bool(rig.errors) == (line < 3), line


def test_cancelled_while_the_ledger_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At each of its lines, before and after it is on the disk: the node is as before, and the ledger says so."""
    for line in range(10):
        for after in (False, True):
            rig = Rig(tmp_path)
            write, written = rig.ledger._write, iter(range(100))

            def cancelling(
                what: Any, *, at: int = line, after: bool = after, rig: Rig = rig, write: Any = write, n: Any = written
            ) -> None:
                now = next(n) == at
                if now and not after:
                    rig.loop.call_soon_threadsafe(rig.cluster.cancel)
                write(what)
                if now and after:
                    rig.loop.call_soon_threadsafe(rig.cluster.cancel)

            monkeypatch.setattr(rig.ledger, "_write", cancelling)
            assert rig.run() == []
            assert differences(rig.cluster.objects[NODE]) == []
            assert rig.read().outstanding == [], (line, after)


def test_a_node_that_was_never_written_to_is_no_leftover(tmp_path: Path) -> None:
    """The node cannot even be read, for ever: nothing was sent, so there is nothing to say."""
    for verb in ("GET", "PATCH"):
        rig = Rig(tmp_path, lambda n, v, path, verb=verb: Trouble.REFUSED if v == verb else None)
        assert rig.run() == []
        assert rig.errors
        assert rig.read().outstanding == []


def test_what_was_seen_undone_needs_no_second_look(tmp_path: Path) -> None:
    rig = Rig(tmp_path)

    async def story() -> None:
        await rig.drivers.inject(CordonFault(), "n1")
        await rig.drivers.heal(CordonFault(), "n1")
        rig.cluster.plan = lambda n, verb, path: Trouble.REFUSED

    assert rig.run(story=story) == []
    assert rig.read().outstanding == []


def test_a_stripped_annotation_is_healed_from_memory_and_told(tmp_path: Path) -> None:
    rig = Rig(tmp_path)

    async def story() -> None:
        await rig.faults()
        rig.cluster._rival(Trouble.STRIPPED)
        await rig.drivers.renew("2026-01-01T00:01:00Z")
        await rig.drivers.renew("2026-01-01T00:01:30Z")

    assert rig.run(story=story) == []
    assert differences(rig.cluster.objects[NODE]) == []
    assert [fact.node for fact in rig.facts.of(events.ClaimLost)] == ["n1"]


def test_a_quiet_run_loses_no_claim(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    assert rig.run() == []
    assert rig.facts.of(events.ClaimLost) == []
    assert [fact.ok for fact in rig.facts.of(events.HealDone)] == [True, True]
    assert "found_missing" not in rig.details[0]


def test_a_timed_heal_says_that_the_taint_was_gone(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    details = []

    async def story() -> None:
        await rig.drivers.inject(TaintFault(SPOT), "n1")
        rig.cluster._rival(Trouble.UNTAINTED)
        details.append(await rig.drivers.heal(TaintFault(SPOT), "n1"))

    assert rig.run(story=story) == []
    assert details[0]["found_missing"] == "taint spot=x:NoExecute"


def test_a_node_that_is_gone_is_healed_and_says_so(tmp_path: Path) -> None:
    for trouble, words in ((Trouble.GONE, "gone with its node"), (Trouble.REPLACED, "another one has its name now")):
        rig = Rig(tmp_path)

        async def story(rig: Rig = rig, trouble: Trouble = trouble) -> None:
            await rig.drivers.inject(TaintFault(SPOT), "n1")
            rig.cluster._rival(trouble)

        assert rig.run(story=story) == []
        assert words in rig.facts.of(events.HealDone)[-1].message
        assert rig.read().outstanding == []


def test_what_is_put_back_at_once_is_a_leftover_and_no_heal(tmp_path: Path) -> None:
    """A controller, or an admission webhook, that wants our very taint: accepted is not done."""
    rig = Rig(tmp_path)

    async def story() -> None:
        await rig.drivers.inject(TaintFault(SPOT), "n1")

        def put_back(verb: str, path: str) -> None:
            node = rig.cluster.objects[NODE]
            if SPOT.to_api() not in node["spec"]["taints"]:
                spec = {"taints": [*node["spec"]["taints"], SPOT.to_api()]}
                rig.cluster.put(NODE, {**node, "spec": spec})

        rig.cluster.applied = put_back

    assert rig.run(story=story) == ["node n1 still has taint spot=x:NoExecute after it was removed"]
    assert len(rig.read().outstanding) == 1
    assert not rig.facts.of(events.HealDone)[-1].ok


def test_giving_up_ends_it_and_names_the_last_error(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    give_up = asyncio.Event()

    async def play() -> list[str]:
        await rig.drivers.inject(CordonFault(), "n1")
        rig.cluster.plan = lambda n, verb, path: Trouble.THROTTLED if verb == "PATCH" else None
        asyncio.get_running_loop().call_later(0.05, give_up.set)
        return await rig.drivers.heal_all(rig.time.after_s(1e6), give_up)

    lines = asyncio.run(play())
    assert len(lines) == 1
    assert "cordon" in lines[0]
    assert "429" in lines[0]
    assert "n1" in lines[0]


def test_what_the_server_asks_to_wait_is_waited(tmp_path: Path) -> None:
    rig = Rig(tmp_path)

    async def play() -> float:
        await rig.drivers.inject(CordonFault(), "n1")
        start = rig.time.now_ns
        first = len(rig.cluster.requests)
        rig.cluster.plan = at(first, Trouble.THROTTLED, 3)
        assert await rig.drivers.heal_all(rig.time.after_s(60)) == []
        return (rig.time.now_ns - start) / 1e9

    assert asyncio.run(play()) == pytest.approx(6.0)


def test_one_bad_node_of_thirty_stops_no_other(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    names = [f"n{i}" for i in range(1, 31)]
    for name in names[1:]:
        rig.cluster.put(f"/api/v1/nodes/{name}", {**BEFORE, "metadata": {"name": name, "uid": f"uid-{name}"}})

    async def story() -> None:
        for name in names:
            await rig.drivers.inject(TaintFault(GPU), name)
        rig.cluster.plan = lambda n, verb, path: Trouble.REFUSED if path.endswith("/n7") else None

    lines = rig.run(story=story)
    assert len(lines) == 1
    assert lines[0].startswith("node n7 may still have taint gpu=ours:NoSchedule: ")
    assert "403" in lines[0]
    assert [name for name in names if ours(rig.cluster.objects[f"/api/v1/nodes/{name}"])] == ["n7"]
