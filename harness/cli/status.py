"""``taintlab status``: what of ours is on a cluster."""

from __future__ import annotations

import argparse
import asyncio
import json
from typing import Any

from harness.cli.options import add_where, where_of
from harness.errors import ExitCode
from harness.wiring.verbs import status_verb


def add_parser(subparsers: Any) -> None:
    """Register the verb."""
    parser: argparse.ArgumentParser = subparsers.add_parser("status", help="what of ours is on a cluster")
    add_where(parser)
    parser.add_argument("--json", action="store_true", help='{"leftovers": [...]} on stdout')
    parser.set_defaults(handler=handle)


def handle(options: argparse.Namespace) -> int:
    """Always 0 when the cluster answered: having something there is no error."""
    found = asyncio.run(status_verb(where_of(options)))
    if options.json:
        print(json.dumps({"leftovers": [item.to_json() for item in found]}, indent=1))
    elif not found:
        print("nothing of ours is on the cluster")
    else:
        for item in found:
            print(f"{item.kind} {item.name}: {item.what}, of run {item.run}")
        print("take it off with: taintlab recover")
    return int(ExitCode.PASS)
