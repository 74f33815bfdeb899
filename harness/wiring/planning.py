"""What plans and snapshots are made of: a policy, a world file, a cluster, plans of before. Nothing is changed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import msgspec

from harness.clock import Clock
from harness.cluster.reference import ClusterRef
from harness.errors import UsageError
from harness.faults.cordon import CordonFault
from harness.faults.taint import TaintFault
from harness.files import read_regular
from harness.formats.labels import parse_taint
from harness.impact.diff import check_plan, compare
from harness.impact.planned import Drain, EndOfNode, LoseNode, NodeCondition
from harness.impact.request import PlanInput
from harness.model.plan_file import PlanDiff, PlanFile
from harness.model.planned_fault import PlannedFault
from harness.model.scenario import ConditionStatus, ConditionType
from harness.semantics.eviction.settings import Settings
from harness.snapshot import Header, read_world
from harness.snapshot.capture import capture, save
from harness.snapshot.control_plane import settings_of
from harness.wiring.sessions import open_session


def policy_faults(
    *,
    taints: Sequence[str] = (),
    cordon: bool = False,
    drain: bool = False,
    lose_node: bool = False,
    conditions: Sequence[str] = (),
    window_s: float | None = None,
) -> tuple[PlannedFault, ...]:
    """A policy from the command line as faults, all at second 0. `taints`: ``key=value:Effect``. `conditions`:
    ``Type=Status``, or ``Type`` for True. `window_s`: the nodes end that long after. UsageError for what is none.

    A drain cordons by itself.
    """
    faults: list[PlannedFault] = [_taint(text) for text in taints]
    if cordon and not drain:
        faults.append(CordonFault())
    if drain:
        faults.append(Drain())
    if lose_node:
        faults.append(LoseNode())
    faults += map(_condition, conditions)
    if window_s is not None:
        if not (math.isfinite(window_s) and window_s >= 0):
            raise UsageError(f"--window {window_s:g}: seconds are needed, 0 or more")
        faults.append(EndOfNode(at_s=window_s))
    return tuple(faults)


def _taint(text: str) -> TaintFault:
    try:
        return TaintFault(taint=parse_taint(text))
    except ValueError as error:
        raise UsageError(f"--taint: {error}") from error


def _condition(text: str) -> NodeCondition:
    kind, _, status = text.partition("=")
    try:
        return NodeCondition(ConditionType(kind), ConditionStatus(status or "True"))
    except ValueError as error:
        known = ", ".join(ConditionType)
        raise UsageError(
            f"--condition {text}: {error}; write one of {known}, with =True, =False or =Unknown"
        ) from error


async def read_input(where: ClusterRef, world: Path | None, *, clock: Clock) -> PlanInput:
    """The world in a file, or of the cluster that was named. UsageError when neither or both were named."""
    if world is not None:
        if where.is_named:
            raise UsageError("--world is a world already: leave --lab and --context out")
        state = read_world(world)
        settings, notes = settings_of(state.kubernetes_version or f"1.{Settings().minor}", state.flags)
        return PlanInput(state, settings, world.name, notes)
    async with open_session(where, clock=clock, for_writing=False) as session:
        state = await capture(session.cluster, kubernetes_version=session.kubernetes_version, clock=clock)
        return PlanInput(state, session.settings, session.cluster.name, session.notes)


async def save_snapshot(where: ClusterRef, stream: IO[bytes], *, packed: bool, clock: Clock) -> Header:
    """Read the cluster into a world file on `stream` (gzip when `packed`), page by page; the header written."""
    async with open_session(where, clock=clock, for_writing=False) as session:
        return await save(
            session.cluster,
            stream,
            packed=packed,
            kubernetes_version=session.kubernetes_version,
            flags=session.flags,
            clock=clock,
        )


def read_plans(first: Path, second: Path) -> PlanDiff:
    """Two plans in files, compared. UsageError for what is no plan."""
    return compare(_read_plan(first), _read_plan(second))


def _read_plan(path: Path) -> PlanFile:
    try:
        return check_plan(msgspec.json.decode(read_regular(path, follow_link=True)), where=str(path))
    except msgspec.DecodeError as error:
        raise UsageError(f"{path} is no JSON: {error}") from error
    except (RecursionError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is no plan: {error}") from error
