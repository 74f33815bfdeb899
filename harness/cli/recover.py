"""``taintlab recover``: take off what is ours."""

from __future__ import annotations

import argparse
import asyncio
import json
from pathlib import Path
from typing import Any

from harness.cli.options import add_where, where_of
from harness.errors import ExitCode
from harness.wiring.verbs import recover_verb


def add_parser(subparsers: Any) -> None:
    """Register the verb."""
    parser: argparse.ArgumentParser = subparsers.add_parser("recover", help="take everything of ours off a cluster")
    parser.add_argument("folder", nargs="?", type=Path, metavar="DIR", help="the run's folder, if there is one")
    add_where(parser)
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    parser.set_defaults(handler=handle)


def handle(options: argparse.Namespace) -> int:
    """0 when nothing of ours is left, 5 otherwise."""
    done = asyncio.run(recover_verb(options.folder, where_of(options)))
    if options.json:
        body = {"undone": done.undone, "left_alone": done.left_alone, "leftovers": done.remaining}
        print(json.dumps(body, indent=1))
    else:
        for text in done.undone:
            print(f"undone: {text}")
        for text in done.left_alone:
            print(f"left alone: {text}")
        for text in done.remaining:
            print(f"still there: {text}")
        if not done.remaining:
            print("nothing of ours is on the cluster" + ("" if done.undone else " (and nothing was)"))
    return int(ExitCode.HEAL_FAILED if done.remaining else ExitCode.PASS)
