"""``taintlab snapshot``: a cluster into a file, for plans without it."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path
from typing import Any

from harness.cli.options import add_where, where_of
from harness.cli.parser import verb_parser
from harness.clock import SystemClock
from harness.cluster.reference import ClusterRef
from harness.errors import ExitCode, UsageError
from harness.files import whole_file
from harness.snapshot import Header
from harness.terminal import one_line
from harness.wiring.planning import save_snapshot


def add_parser(subparsers: Any) -> None:
    """Register the verb."""
    parser = verb_parser(
        subparsers,
        "snapshot",
        description="Read everything a plan looks at into one file: a v1 List in JSON, without environment variables, "
        "images, secrets or config maps. Reads only. taintlab plan --world FILE plans on it.",
    )
    add_where(parser)
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="where to; a name that ends in .gz is packed (default: stdout, packed)"
    )
    parser.set_defaults(handler=handle)


def handle(options: argparse.Namespace) -> int:
    """Write the file; what could not be read is said on stderr, a line each, and noted in the file."""
    where = where_of(options)
    if options.out is None:
        if sys.stdout.isatty():
            raise UsageError("name a file: taintlab snapshot --out world.json.gz")
        header = asyncio.run(save_snapshot(where, sys.stdout.buffer, packed=True, clock=SystemClock()))
    else:
        header = _into(options.out, where)
    for why in (header.missing or {}).values():
        print(f"taintlab: {one_line(why)}", file=sys.stderr)
    print(one_line(f"taintlab: snapshot of {header.cluster} (Kubernetes {header.kubernetes})"), file=sys.stderr)
    return int(ExitCode.PASS)


def _into(path: Path, where: ClusterRef) -> Header:
    """The file appears when it is whole, not before."""
    try:
        with whole_file(path, mode=None) as file:
            return asyncio.run(save_snapshot(where, file, packed=path.suffix == ".gz", clock=SystemClock()))
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from error
