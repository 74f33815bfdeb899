"""What a policy does to nodes, and how they look to controllers and scheduler afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from harness.model.scenario import ConditionStatus, ConditionType
from harness.model.state import Node
from harness.model.taints import Effect, Taint, with_taints
from harness.model.wellknown import CONDITION_TAINTS, UNSCHEDULABLE


@dataclass(frozen=True, slots=True)
class Condition:
    """A node condition as it will be reported from now on."""

    type: ConditionType
    status: ConditionStatus

    @property
    def taints(self) -> tuple[Taint, ...]:
        """What the node lifecycle controller makes of it (`CONDITION_TAINTS`)."""
        key = CONDITION_TAINTS.get((self.type, self.status))
        if key is None:
            return ()
        put_on = Taint(key, Effect.NO_SCHEDULE), Taint(key, Effect.NO_EXECUTE)
        return put_on if self.type is ConditionType.READY else put_on[:1]

    def __str__(self) -> str:
        """``MemoryPressure=True``."""
        return f"{self.type}={self.status}"


@dataclass(frozen=True, slots=True)
class Change:
    """Everything done to `targets` (node names) at second 0. `lose`: power off. `window_s`: the nodes end that long
    after, as with an interruption; None when they stay.
    """

    targets: tuple[str, ...]
    taints: tuple[Taint, ...] = ()
    cordon: bool = False
    drain: bool = False
    lose: bool = False
    conditions: tuple[Condition, ...] = ()
    window_s: float | None = None

    @property
    def words(self) -> tuple[str, ...]:
        """Each change in a few words, in the order of the fields."""
        out = [f"taint {taint}" for taint in self.taints]
        out += ["cordon"] if self.cordon and not self.drain else []
        out += ["drain"] if self.drain else []
        out += ["lose the node"] if self.lose else []
        return tuple(out + [f"condition {condition}" for condition in self.conditions])

    @property
    def put_on(self) -> tuple[Taint, ...]:
        """Every taint that the targets carry in the end because of this."""
        out = list(self.taints)
        if self.cordon or self.drain:
            out.append(Taint(UNSCHEDULABLE, Effect.NO_SCHEDULE))
        if self.lose:
            out += Condition(ConditionType.READY, ConditionStatus.UNKNOWN).taints
        for condition in self.conditions:
            out += condition.taints
        return tuple(out)


def nodes_after(nodes: Sequence[Node], change: Change) -> tuple[Node, ...]:
    """The nodes as the scheduler finds them when the change has taken its effect."""
    targets, put_on = set(change.targets), change.put_on
    closed = change.cordon or change.drain
    after: dict[tuple[Taint, ...], tuple[Taint, ...]] = {}
    out = []
    for node in nodes:
        if node.name not in targets:
            out.append(node)
            continue
        taints = after.get(node.taints)
        if taints is None:
            taints = after[node.taints] = with_taints(node.taints, put_on)
        out.append(
            replace(
                node, taints=taints, unschedulable=node.unschedulable or closed, ready=node.ready and not change.lose
            )
        )
    return tuple(out)
