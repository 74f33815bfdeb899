"""What is measured beside a replay, on the fake cluster: no controller evicts there, only the harness's own part ends.

Real seconds, few of them: lower bounds only, which a busy machine cannot break.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from harness.clock import SystemClock
from harness.cluster.ports import Json
from harness.errors import Indeterminate
from harness.plan.allowance import Measured, What, needed_s
from harness.replay.reference import Reference
from harness.testing import FakeCluster

LONG_S = 1.2


class SlowCluster(FakeCluster):
    """Each GET of a pod takes `get_s`; `failing`: so many deletions of pods get no answer."""

    def __init__(self, get_s: float = 0.0, failing: int = 0) -> None:
        super().__init__()
        self.get_s = get_s
        self.failing = failing

    async def get(self, path: str, **query: str) -> Json:
        """See the port."""
        if "/pods/" in path:
            await asyncio.sleep(self.get_s)
        return await super().get(path, **query)

    async def delete(self, path: str, *, propagation: str = "Background", uid: str | None = None) -> None:
        """See the port."""
        if "/pods/" in path and self.failing:
            self.failing -= 1
            raise Indeterminate(f"DELETE {path}: connection reset")
        await super().delete(path, propagation=propagation, uid=uid)


def measure(cluster: FakeCluster, *, controller: bool = False) -> tuple[Measured, ...]:
    """All samples of a little more than a second, or until an eviction of its own has ended; counted from its begin."""

    async def story() -> tuple[Measured, ...]:
        clock = SystemClock()
        zero_ns = clock.now().mono_ns
        reference = Reference(cluster, clock, prefix="t", label="taintlab.dev/replay", controller=controller)
        async with reference.running():
            await asyncio.sleep(LONG_S)
            async with asyncio.timeout(60):
                while True:
                    measured = reference.measured(zero_ns, clock.now().mono_ns, zero_ns=zero_ns)
                    if any(not sample.open for sample in of(What.OWN_EVICTION, measured)):
                        return measured
                    await asyncio.sleep(0.05)

    return asyncio.run(story())


def of(what: What, measured: tuple[Measured, ...]) -> list[Measured]:
    return [sample for sample in measured if sample.what is what]


def test_each_part_of_an_eviction_is_timed_and_all_of_it_removed() -> None:
    cluster = FakeCluster()
    measured = measure(cluster)
    for what in (What.WRITE_TO_WATCH, What.DELETE_TO_WATCH, What.OWN_EVICTION):
        assert of(what, measured), what
        assert all(0 <= sample.began_s <= sample.ended_s for sample in of(what, measured))
    assert not of(What.CONTROLLER, measured)
    assert cluster.objects.keys() <= {"/api/v1/namespaces/t-reference/serviceaccounts/default"}


def test_slow_answers_are_in_it() -> None:
    measured = measure(SlowCluster(get_s=0.2))
    assert min(sample.seconds for sample in of(What.OWN_EVICTION, measured)) >= 0.2 / 3
    assert max(sample.seconds for sample in of(What.OWN_EVICTION, measured)) >= 0.2
    assert needed_s(measured, 0.0, LONG_S) >= 0.2


def test_a_round_that_has_not_ended_counts_with_its_length_so_far() -> None:
    measured = measure(FakeCluster(), controller=True)
    (sample,) = of(What.CONTROLLER, measured)  # nobody evicts that pod
    assert sample.open
    assert sample.seconds >= LONG_S / 2
    assert needed_s(measured, 0.0, LONG_S, restarted=True) > needed_s(measured, 0.0, LONG_S)


def test_a_round_that_failed_is_no_sample_and_the_next_one_is() -> None:
    measured = measure(SlowCluster(failing=1))
    assert [sample for sample in of(What.OWN_EVICTION, measured) if not sample.open]


def test_leaving_ends_it_whatever_it_is_waiting_for() -> None:
    """A cancellation that comes together with what was awaited must not be lost (asyncio.wait_for of 3.11 loses it)."""

    async def story() -> None:
        clock = SystemClock()
        for number in range(60):
            cluster = FakeCluster()
            reference = Reference(cluster, clock, prefix="t", label="taintlab.dev/replay", controller=False)
            async with asyncio.timeout(60), reference.running():
                for _ in range(number):
                    await asyncio.sleep(0)

    asyncio.run(story())


@pytest.mark.parametrize("controller", [False, True])
def test_own_pods_are_marked(controller: bool) -> None:
    cluster = FakeCluster()
    made: dict[str, Mapping[str, Any]] = {}
    create = cluster.create

    async def noting(path: str, body: Mapping[str, Any]) -> Json:
        made[f"{path}/{body['metadata']['name']}"] = body
        return await create(path, body)

    cluster.create = noting  # type: ignore[method-assign]  # to see what is made, nothing is replaced
    measure(cluster, controller=controller)
    nodes = [body for path, body in made.items() if path.startswith("/api/v1/nodes/")]
    assert len(nodes) == 1 + controller
    assert all(body["metadata"]["labels"] == {"taintlab.dev/replay": "t-reference"} for body in nodes)
