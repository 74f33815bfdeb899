"""``taintlab recover``: revert what runs left on a cluster."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from harness.cli.options import add_where
from harness.cli.parser import verb_parser
from harness.cluster.reference import ClusterRef
from harness.engine.recovering import RecoverRequest
from harness.errors import ExitCode, UsageError
from harness.run.recover.context import Recovered
from harness.wiring.verbs import recover_verb


def add_parser(subparsers: Any) -> None:
    """Register the verb."""
    parser = verb_parser(
        subparsers,
        "recover",
        description="Revert what taintlab left on a cluster. With a run's folder: what its ledger says. On a lab "
        "without one: everything. On a context without one: say --run ID or --all, else it is only listed.",
    )
    parser.add_argument(
        "folder", nargs="?", type=Path, metavar="DIR", help="a run's folder: revert what its ledger says"
    )
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--run", metavar="ID", help="without DIR: revert what the cluster says of this run")
    group.add_argument("--all", action="store_true", dest="everything", help="without DIR: of every run")
    parser.add_argument("--force", action="store_true", help="also of a run that is still alive (it ends INVALID)")
    add_where(parser)
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    parser.set_defaults(handler=handle)


def handle(options: argparse.Namespace) -> int:
    """0 when nothing is left, 5 otherwise; 2 when nothing was undone because nobody said whose it is."""
    if options.folder is not None and (options.run is not None or options.everything):
        raise UsageError("with a run's folder, its ledger says what is undone: leave --run and --all out")
    request = RecoverRequest(options.folder, options.run, options.everything, options.force)
    done = asyncio.run(recover_verb(request, _where(options), lambda text: _say(text, as_json=options.json)))
    if options.json:
        body = {"undone": done.undone, "left_alone": done.left_alone, "leftovers": done.remaining}
        if done.notes:
            body["notes"] = done.notes
        print(json.dumps(body, indent=1))
    else:
        _tell(done)
    if done.refused:
        print(f"taintlab: {done.refused}", file=sys.stderr)
        return int(ExitCode.USAGE)
    return int(ExitCode.HEAL_FAILED if done.remaining else ExitCode.PASS)


def _where(options: argparse.Namespace) -> ClusterRef:
    """As for every verb, but that a folder may name the context that --kubeconfig is of."""
    if options.kubeconfig is not None and options.context is None and options.folder is None:
        raise UsageError("--kubeconfig needs --context: which cluster is touched is always said")
    return ClusterRef(
        lab=options.lab,
        context=options.context,
        kubeconfig=options.kubeconfig,
        allow=tuple(options.allow_context),
    )


def _say(text: str, *, as_json: bool) -> None:
    print(text, file=sys.stderr if as_json else sys.stdout, flush=True)


def _tell(done: Recovered) -> None:
    for text in done.undone:
        print(f"undone: {text}")
    for text in done.left_alone:
        print(f"left alone: {text}")
    for text in done.notes:
        print(f"note: {text}")
    for text in done.remaining:
        print(f"{'would undo' if done.refused else 'still there'}: {text}")
    if not done.remaining and not done.refused:
        print("nothing of taintlab is left" + ("" if done.undone else " (and nothing was there)"))
