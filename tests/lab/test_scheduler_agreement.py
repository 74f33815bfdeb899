"""The plan's scheduler filter against the real kube-scheduler, on generated worlds.

A few worlds run here; ``TAINTLAB_AGREEMENT_WORLDS=300 pytest tests/lab/test_scheduler_agreement.py -s`` runs many and
prints how many had which constraint.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import closing

import pytest

from harness import lab as labs
from harness.adapters.kube import connect
from harness.clock import SystemClock
from harness.lab import Lab, LabSpec
from harness.lab.api import Api
from tests.lab import agreement
from tests.lab.agreement import Answer
from tests.lab.agreement_worlds import Constraint, World, make_world

WORLDS = int(os.environ.get("TAINTLAB_AGREEMENT_WORLDS", "12"))
FIRST_SEED = int(os.environ.get("TAINTLAB_AGREEMENT_SEED", "1"))
AT_ONCE = 12
ENOUGH = 20


@pytest.fixture(scope="module")
def bare_lab() -> Iterator[Lab]:
    """A control plane without nodes."""
    name = f"agree-{os.getpid()}"
    spec = LabSpec(
        name=name,
        topology=labs.plain_topology(1),
        flags=tuple(labs.parse_flag(flag) for flag in agreement.FLAGS),
        with_prometheus=False,
    )
    lab = labs.up(spec, owner=labs.this_process(), report=print)
    labs.node(lab, "node-1", labs.NodeAction.KILL)
    with closing(Api(lab.kubeconfig)) as api:
        api.request("DELETE", "/api/v1/nodes/node-1")
    yield lab
    labs.down_named(name)


@pytest.mark.timeout(3600)
def test_predicted_pending_is_observed_pending(bare_lab: Lab) -> None:
    """Every world agrees in full; the count of those that chance decides is printed, not hidden."""
    outcome = asyncio.run(_run(bare_lab))
    print(outcome.report())
    assert not outcome.disagreements, outcome.report()
    assert outcome.pending > 0
    if WORLDS >= 15 * ENOUGH:
        assert min(outcome.constraints[c] for c in Constraint) >= ENOUGH, outcome.report()


class Outcome:
    """What a batch of worlds came to."""

    def __init__(self) -> None:
        self.worlds = self.by_chance = self.pods = self.pending = self.refused = self.preempted = 0
        self.same_words = self.preempting = 0
        self.constraints: Counter[Constraint] = Counter()
        self.disagreements: list[str] = []
        self.other_words: list[str] = []

    def add(self, world: World, predicted: Answer, observed: Answer) -> None:
        self.worlds += 1
        self.constraints.update(world.uses)
        self.pods += len(world.coming)
        self.pending += len(observed.pending)
        self.refused += len(observed.refused)
        self.preempted += len(observed.preempted)
        if not predicted.same(observed):
            parts = []
            for what in ("pending", "refused", "preempted"):
                said, seen = getattr(predicted, what), getattr(observed, what)
                if said != seen:
                    parts.append(f"{what}: predicted {sorted(said)}, observed {sorted(seen)}")
            words = {
                name: (predicted.reasons.get(name), observed.reasons.get(name))
                for name in predicted.pending ^ observed.pending
            }
            self.disagreements.append(f"{world.name} {sorted(world.uses)}: {'; '.join(parts)} {words}")
        for name in predicted.pending & observed.pending:
            said, seen = predicted.reasons[name], observed.reasons[name].split(". ")[0].rstrip(".") + "."
            if said.rstrip(".") + "." == seen:
                self.same_words += 1
            else:
                self.other_words.append(f"{world.name}/{name}: said {said!r}, seen {observed.reasons[name]!r}")

    def report(self) -> str:
        lines = [
            f"{self.worlds} worlds compared, {self.by_chance} left to chance; {self.pods} pods came: "
            f"{self.pending} Pending, {self.refused} refused by a quota, {self.preempted} preempted, "
            f"{self.preempting} make room by preemption",
            f"disagreements: {len(self.disagreements)}",
            *self.disagreements,
            f"Pending for the same reasons word for word: {self.same_words} of {self.pending}",
            *self.other_words[:10],
            *(f"  {constraint.value}: {self.constraints[constraint]} worlds" for constraint in Constraint),
        ]
        return "\n".join(lines)


async def _run(lab: Lab) -> Outcome:
    outcome = Outcome()
    cluster = await connect(kubeconfig=lab.kubeconfig, context=None, name=lab.name, clock=SystemClock())
    try:
        await agreement.prepare(cluster)
        seed, told = FIRST_SEED, 0
        while outcome.worlds < WORLDS:
            worlds = [make_world(seed + number) for number in range(AT_ONCE)]
            seed += AT_ONCE
            await asyncio.gather(*(agreement.build(cluster, world) for world in worlds))
            await agreement.settled(cluster, worlds)
            inventory = await agreement.snapshot(cluster, lab.kubernetes_version)
            predicted = {world.name: agreement.decided(world, inventory) for world in worlds}
            firm = [world for world in worlds if predicted[world.name] is not None]
            outcome.by_chance += len(worlds) - len(firm)
            observed = await agreement.observe(cluster, firm)
            for world in firm:
                found = predicted[world.name]
                assert found is not None
                answer, preempting = found
                outcome.preempting += preempting
                outcome.add(world, answer, observed[world.name])
            await agreement.remove(cluster, worlds)
            print(f"{outcome.worlds} worlds, {len(outcome.disagreements)} disagreements", flush=True)
            for line in outcome.disagreements[told:]:
                print(line, flush=True)
            told = len(outcome.disagreements)
    finally:
        await cluster.close()
    return outcome
