"""``taintlab run``: run an experiment and judge it."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.cli.options import add_where, where_of
from harness.cli.parser import verb_parser
from harness.cli.progress import progress_for
from harness.clock import Clock, SystemClock
from harness.cluster.ports import Progress
from harness.errors import ExitCode, TaintlabError, worst
from harness.lab import root_notice
from harness.lab.progress import Progress as LabProgress
from harness.model.experiment import Experiment
from harness.wiring.ephemeral import lab_for
from harness.wiring.experiments import read_experiment
from harness.wiring.running import Finished, default_folder, run_experiment
from harness.wiring.sessions import ClusterRef, open_session
from reports.render import render
from reports.terminal import print_result


def add_parser(subparsers: Any) -> None:
    """Register the verb."""
    parser = verb_parser(subparsers, "run")
    parser.add_argument("file", type=Path, metavar="FILE", help="the experiment")
    add_where(parser)
    parser.add_argument("--out", type=Path, metavar="DIR", help="the run folder (default: runs/NAME/UTC-SEED)")
    parser.add_argument(
        "--keep-secrets",
        action="store_true",
        help="store header values, bodies, arguments, environment and Secret data in the run folder as they are",
    )
    parser.add_argument("--keep", action="store_true", help="leave the lab that the run started up")
    parser.set_defaults(handler=handle)


def handle(options: argparse.Namespace) -> int:
    """The exit code of the verdict."""
    experiment = read_experiment(options.file)
    where = where_of(options)
    clock = SystemClock()
    path = options.out or default_folder(experiment, clock=clock, base=Path.cwd())
    with contextlib.ExitStack() as stack:
        if where.lab is None and where.context is None:
            lab = stack.enter_context(lab_for(experiment, keep=options.keep, report=LabProgress(sys.stderr)))
            where = replace(where, lab=lab)
        elif where.lab is not None and (notice := root_notice()):
            _say(notice)
        with progress_for(sys.stderr, clock) as progress:
            finished = asyncio.run(_run(experiment, where, path, clock, progress, keep_secrets=options.keep_secrets))
    return int(_tell(finished))


def _tell(finished: Finished) -> ExitCode:
    """Render and print; the exit code of the run, whatever becomes of that."""
    code = finished.judgement.exit_code if finished.judgement.healed else ExitCode.HEAL_FAILED
    try:
        render(finished.folder)
        print_result(finished.folder)
    except (TaintlabError, OSError) as error:
        code = worst([code, ExitCode.INCONCLUSIVE])
        _say(f"taintlab: {finished.judgement.verdict}, but its report could not be written: {error}")
    if not finished.judgement.healed:
        _say(f"revert what is left on the cluster with: taintlab recover {shlex.quote(str(finished.folder))}")
    return code


async def _run(
    experiment: Experiment, where: ClusterRef, path: Path, clock: Clock, progress: Progress, *, keep_secrets: bool
) -> Finished:
    async with open_session(where, clock=clock, for_writing=True) as place:
        return await run_experiment(experiment, place, path, clock=clock, progress=progress, keep_secrets=keep_secrets)


def _say(line: str) -> None:
    with contextlib.suppress(OSError):  # nobody reads any more: the exit code still tells
        print(line, file=sys.stderr, flush=True)
