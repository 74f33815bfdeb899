"""Hypothesis strategies for write scripts: small worlds in which taints, tolerations and their timers meet often.

Everything drawn can be expressed in the write-script format, and set up on a real control plane: the pods of time 0
tolerate the taints of time 0 for ever or there are none.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from hypothesis import strategies as st

from harness.model.scenario import (
    CreatePod,
    DeletePod,
    Restart,
    Scenario,
    ScenarioNode,
    ScenarioPod,
    SetTaints,
    SetTolerations,
    Write,
)
from harness.model.taints import Effect, Operator, Taint, Toleration

KEYS = ("spot", "gpu")
VALUES = ("", "x")
SECONDS = (2, 1, 3, 5, None, None, 0, -1, 60, 18446744080)
GAPS_S = (0.57, 0.31, 0.83, 1.19, 1.71, 2.37) * 2 + (0.0,)
TAIL_S = 6.37
"""After the last write: by then every countdown of up to 5 s has ended, and what comes of it has been seen."""
RESTART_TAIL_S = 10.61
"""The same after a restart of kube-controller-manager, which may take 4 s on a busy machine."""


@cache
def taints() -> st.SearchStrategy[Taint]:
    """One taint, NoExecute most of the time."""
    effects = st.sampled_from((*(Effect.NO_EXECUTE,) * 6, Effect.NO_SCHEDULE))
    return st.builds(Taint, st.sampled_from(KEYS), effects, st.sampled_from(VALUES))


@cache
def taint_sets(*, valid: bool = True) -> st.SearchStrategy[tuple[Taint, ...]]:
    """spec.taints of a node; with `valid` False key and effect may repeat, which the API refuses."""
    return st.one_of(*(_some_taints(valid=valid),) * 3, st.just(()))


@cache
def _some_taints(*, valid: bool = True) -> st.SearchStrategy[tuple[Taint, ...]]:
    unique: Callable[[Taint], object] | None = (lambda taint: taint.identity) if valid else None
    return st.lists(taints(), min_size=1, max_size=3, unique_by=unique).map(tuple)


@cache
def tolerations() -> st.SearchStrategy[Toleration]:
    """One toleration that the API takes."""
    finite = st.builds(
        Toleration,
        st.sampled_from(KEYS),
        st.just(Operator.EXISTS),
        st.just(""),
        st.just(Effect.NO_EXECUTE),
        st.sampled_from(SECONDS),
    )
    equal = st.builds(
        Toleration,
        st.sampled_from(KEYS),
        st.just(Operator.EQUAL),
        st.sampled_from(VALUES),
        st.just(Effect.NO_EXECUTE),
        st.sampled_from(SECONDS),
    )
    every_effect = st.builds(Toleration, st.sampled_from(KEYS), st.just(Operator.EXISTS))
    blanket = st.builds(
        Toleration,
        st.just(""),
        st.just(Operator.EXISTS),
        st.just(""),
        st.just(Effect.NO_EXECUTE),
        st.sampled_from(SECONDS),
    )
    return st.one_of(finite, finite, equal, blanket, every_effect)


@cache
def toleration_lists(max_size: int = 4) -> st.SearchStrategy[tuple[Toleration, ...]]:
    """spec.tolerations of a pod."""
    some = st.lists(tolerations(), min_size=1, max_size=max_size).map(tuple)
    return st.one_of(some, some, some, some, st.just(()))


@cache
def _node(names: tuple[str, ...]) -> st.SearchStrategy[str]:
    """One of the nodes, most often the first: things must meet to be of interest."""
    return st.one_of(st.just(names[0]), st.just(names[0]), st.sampled_from(names))


@dataclass(slots=True)
class _World:
    """What has been drawn so far: nodes, every pod name, and tolerations as last written."""

    nodes: tuple[str, ...]
    written: dict[str, tuple[Toleration, ...]]
    where: dict[str, str]


_NODES = st.sampled_from((("a",), ("a",), ("a", "b"), ("a", "b", "c")))
_GAP_S = st.sampled_from(GAPS_S)
_SECONDS = st.sampled_from(SECONDS)
_TENTH = st.integers(0, 9)


@st.composite
def scripts(draw: st.DrawFn, *, restarts: bool = True, max_pods: int = 8, max_writes: int = 8) -> Scenario:
    """A whole script. `restarts` False leaves out restarts of kube-controller-manager."""
    names = draw(_NODES)
    nodes = tuple(ScenarioNode(name, {"zone": f"z-{name}"}) for name in names)
    pods = tuple(
        ScenarioPod(f"p{number}", draw(_node(names)), draw(toleration_lists()))
        for number in range(draw(st.integers(1, max_pods)))
    )
    world = _World(names, {pod.key: pod.tolerations for pod in pods}, {pod.key: pod.node for pod in pods})
    writes: list[Write] = []
    writes.append(SetTaints(0.0, "a", draw(_some_taints())))
    at_s = draw(_GAP_S)
    for _ in range(draw(st.integers(0, max_writes - 1))):
        writes.append(draw(_write(round(at_s, 3), world, restarts=restarts)))
        at_s += draw(_GAP_S)
    restarted = any(isinstance(write, Restart) for write in writes)
    return Scenario(nodes, pods, tuple(writes), round(at_s + (RESTART_TAIL_S if restarted else TAIL_S), 3))


_KINDS = ("taints",) * 6 + ("tolerations",) * 4 + ("create", "create", "delete")
_KIND = st.sampled_from(_KINDS)
_KIND_OR_RESTART = st.sampled_from((*_KINDS, "restart"))
_EDIT = st.sampled_from(("seconds", "in front", "behind", "order", "anything"))


@st.composite
def _write(draw: st.DrawFn, at_s: float, world: _World, *, restarts: bool) -> Write:
    kind = draw(_KIND_OR_RESTART if restarts else _KIND)
    pod = draw(st.sampled_from(sorted(world.written)))
    match kind:
        case "taints":
            rarely_wrong = draw(_TENTH) > 0
            return SetTaints(at_s, draw(_node(world.nodes)), draw(taint_sets(valid=rarely_wrong)))
        case "tolerations":
            world.written[pod] = draw(_edited(world.written[pod]))
            return SetTolerations(at_s, pod, world.written[pod])
        case "create":
            name = draw(st.sampled_from((pod, f"n{len(world.written)}")))
            created = ScenarioPod(name, draw(_node(world.nodes)), draw(toleration_lists()))
            world.written[name] = created.tolerations
            return CreatePod(at_s, created)
        case "delete":
            return DeletePod(at_s, pod)
    return Restart(at_s)


@st.composite
def _edited(draw: st.DrawFn, old: tuple[Toleration, ...]) -> tuple[Toleration, ...]:
    """`old` as the API would take it most of the time: other seconds, one more in front or behind, another order."""
    kind = draw(_EDIT)
    match kind:
        case "seconds" if old:
            number = draw(st.integers(0, len(old) - 1))
            seconds = draw(_SECONDS) if old[number].effect is Effect.NO_EXECUTE else None
            each = old[number]
            changed = Toleration(each.key, each.operator, each.value, each.effect, seconds)
            return (*old[:number], changed, *old[number + 1 :])
        case "in front":
            return (draw(tolerations()), *old)
        case "behind":
            return (*old, draw(tolerations()))
        case "order":
            return tuple(draw(st.permutations(old)))
    return draw(toleration_lists())
