"""``taintlab run``: run an experiment and judge it."""

from __future__ import annotations

import argparse
import contextlib
import shlex
import sys
from pathlib import Path
from typing import Any

from harness.cli.options import add_where, where_of
from harness.cli.parser import verb_parser
from harness.clock import SystemClock
from harness.engine import FinishedRun
from harness.errors import ExitCode, TaintlabError, worst
from harness.lab.progress import Progress as LabProgress
from harness.wiring.running import cluster_for, request_of, run_to_its_end
from reports.progress import progress_for
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
    clock = SystemClock()
    request = request_of(options.file, out=options.out, base=Path.cwd(), clock=clock, keep_secrets=options.keep_secrets)
    cluster = cluster_for(request.experiment, where_of(options), keep_lab=options.keep, report=LabProgress(sys.stderr))
    with cluster as where, progress_for(sys.stderr, clock) as progress:
        finished = run_to_its_end(request, where, clock=clock, progress=progress)
    return int(_tell(finished))


def _tell(finished: FinishedRun) -> ExitCode:
    """Print; the exit code of the run, whatever becomes of that."""
    code, problem = finished.exit_code, finished.unrendered
    try:
        print_result(finished.folder)
    except (TaintlabError, OSError) as error:
        problem = problem or str(error)
    if problem:
        code = worst([code, ExitCode.INCONCLUSIVE])
        _say(f"taintlab: {finished.judgement.verdict}, but its report could not be written: {problem}")
    if not finished.judgement.healed:
        _say(f"revert what is left on the cluster with: taintlab recover {shlex.quote(str(finished.folder))}")
    return code


def _say(line: str) -> None:
    with contextlib.suppress(OSError):  # nobody reads any more: the exit code still tells
        print(line, file=sys.stderr, flush=True)
