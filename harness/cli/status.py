"""``taintlab status``: list taints, cordons and objects that taintlab left on a cluster."""

from __future__ import annotations

import argparse
import asyncio
import json
from typing import Any

from harness.cli.options import add_where, where_of
from harness.cli.parser import verb_parser
from harness.errors import ExitCode
from harness.wiring.verbs import status_verb


def add_parser(subparsers: Any) -> None:
    """Register the verb."""
    parser = verb_parser(subparsers, "status")
    add_where(parser)
    parser.add_argument("--json", action="store_true", help='{"leftovers": [...]} on stdout')
    parser.set_defaults(handler=handle)


def handle(options: argparse.Namespace) -> int:
    """0 when it could look everywhere: having something there is no error. 3 otherwise."""
    seen = asyncio.run(status_verb(where_of(options)))
    if options.json:
        body: dict[str, Any] = {"leftovers": [item.to_json() for item in seen.leftovers]}
        if seen.unknown:
            body["unknown"] = list(seen.unknown)
        print(json.dumps(body, indent=1))
    else:
        for item in seen.leftovers:
            print(f"{item.kind} {item.name}: {item.what}, of run {item.run}")
        for text in seen.unknown:
            print(f"not known: {text}")
        if seen.leftovers:
            print("revert it with: taintlab recover")
        elif not seen.unknown:
            print("nothing of taintlab is on the cluster")
    return int(ExitCode.INCONCLUSIVE if seen.unknown else ExitCode.PASS)
