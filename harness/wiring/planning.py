"""What plans and snapshots read: a world file, a cluster, plans that were written before. Nothing is changed."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import msgspec

from harness.clock import Clock
from harness.cluster.reference import ClusterRef
from harness.errors import UsageError
from harness.files import read_regular
from harness.impact.diff import check_plan, compare
from harness.impact.request import PlanInput
from harness.model.plan_file import PlanDiff, PlanFile
from harness.semantics.eviction.settings import Settings
from harness.snapshot import Header, read_world
from harness.snapshot.capture import capture, save
from harness.snapshot.control_plane import settings_of
from harness.wiring.sessions import open_session


@contextmanager
def no_cycle_collector() -> Iterator[None]:
    """A plan makes millions of small values and no cycles: the cycle collector would look at them over and over."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


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
