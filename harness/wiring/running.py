"""What command and plugin share when they run experiment files: request, cluster and ports of a run."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from harness.adapters.prometheus import PrometheusMetrics
from harness.clock import Clock
from harness.cluster.ports import Progress
from harness.cluster.reference import ClusterRef
from harness.engine import (
    FinishedRun,
    RunCluster,
    RunPorts,
    RunRequest,
    StopSignal,
    default_folder,
    execute,
    new_run_id,
)
from harness.errors import InvalidFile
from harness.formats.document import read_text
from harness.lab import root_notice
from harness.model.experiment import Experiment, Load
from harness.wiring.ephemeral import lab_for
from harness.wiring.experiments import examine_text
from harness.wiring.load import LoadgenDriver, load_config
from harness.wiring.sessions import ClusterSession, open_session
from harness.wiring.signals import stopped_by_signals
from harness.wiring.this_process import LIVE_RUNS, this_process
from reports.render import render


def run_to_its_end(request: RunRequest, where: ClusterRef, *, clock: Clock, progress: Progress) -> FinishedRun:
    """Run `request` on the cluster of `where` to its end, on an event loop of its own in the main thread: the ending
    signals heal and end it.
    """

    async def run() -> FinishedRun:
        stop = StopSignal()
        with stopped_by_signals(stop):
            async with AsyncExitStack() as stack:
                opening = open_session(where, clock=clock, for_writing=True)
                session = await stop.unless_asked(stack.enter_async_context(opening))
                return await execute(request, ports=ports_of(session, clock=clock, progress=progress), stop=stop)

    return asyncio.run(run())


def request_of(file: Path, *, out: Path | None, base: Path, clock: Clock, keep_secrets: bool = False) -> RunRequest:
    """What the experiment file at `file` asks for; InvalidFile with every problem of it. `out`: the run folder (None:
    `default_folder` in `base`).
    """
    text = read_text(file)
    examined = examine_text(text, file)
    if examined.experiment is None:
        raise InvalidFile(examined.problems)
    experiment, wall_ns = examined.experiment, clock.now().wall_ns
    return RunRequest(
        run=new_run_id(experiment.name, wall_ns=wall_ns, random=secrets.token_bytes),
        spec=text,
        experiment=experiment,
        folder=out or default_folder(experiment, wall_ns=wall_ns, base=base),
        keep_secrets=keep_secrets,
    )


@contextmanager
def cluster_for(
    experiment: Experiment, where: ClusterRef, *, keep_lab: bool, report: Callable[[str], None]
) -> Iterator[ClusterRef]:
    """The cluster that was named, else a lab (see `lab_for`); `report` gets what is to be said about it."""
    if where.is_named:
        if where.lab is not None and (notice := root_notice()):
            report(notice)
        yield where
        return
    with lab_for(experiment, keep=keep_lab, report=report) as lab:
        yield replace(where, lab=lab)


def ports_of(session: ClusterSession, *, clock: Clock, progress: Progress) -> RunPorts:
    """The outside of a run on an open cluster."""

    def load(experiment: Experiment, load: Load, folder: Path, *, keep_secrets: bool) -> LoadgenDriver:
        config = load_config(experiment, load)
        return LoadgenDriver(config, folder, prefix=session.load_prefix, clock=clock, keep_secrets=keep_secrets)

    target = RunCluster(
        cluster=session.cluster,
        kubernetes_version=session.kubernetes_version,
        settings=session.settings,
        reach=session.reach,
        components=session.components,
        renews_credentials=session.cluster.renews_credentials,
        notes=session.notes,
        flags=session.flags,
    )
    return RunPorts(
        target=target,
        clock=clock,
        holder=this_process(),
        live=LIVE_RUNS,
        progress=progress,
        load=load,
        render=render,
        metrics=PrometheusMetrics(session.prometheus_url) if session.prometheus_url else None,
    )
