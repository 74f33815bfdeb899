"""``taintlab replay``: perform a write script on a real control plane."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from harness.cli.options import add_where, where_of
from harness.cli.parser import verb_parser
from harness.errors import ExitCode, TaintlabError, UsageError
from harness.formats.script import read_script, scripts_in
from harness.lab.progress import Progress
from harness.replay.replayer import Replayed
from harness.wiring.replaying import replay_all


def add_parser(subparsers: Any) -> None:
    """Register the verb."""
    parser = verb_parser(
        subparsers,
        "replay",
        description="Perform a script of API writes on a real control plane, and tell what its pods did.",
    )
    parser.add_argument("scripts", nargs="+", type=Path, metavar="SCRIPT", help="a file, or a folder of them")
    add_where(parser)
    parser.add_argument("--json", action="store_true", help="as predict --json (the default: the same)")
    parser.set_defaults(handler=handle)


def handle(options: argparse.Namespace) -> int:
    """0 when every script was performed; 2 for a file that cannot be read; 3 when the cluster could not show one."""
    files = scripts_in(options.scripts)
    if not files:
        raise UsageError(f"{options.scripts[0]}: no .yaml, .yml or .json file in it")
    scenarios = [read_script(file) for file in files]
    single = files == tuple(options.scripts) and len(files) == 1
    results = replay_all(scenarios, where_of(options), report=Progress(sys.stderr))
    code = ExitCode.PASS
    for file, result in zip(files, results, strict=True):
        if isinstance(result, Replayed):
            found = result.to_json()
            print(json.dumps(found if single else {"script": str(file)} | found, indent=1 if single else None))
        elif isinstance(result, TaintlabError):
            print(f"taintlab: {file}: {result}", file=sys.stderr)
            code = max(code, result.exit_code)
        else:
            raise result
    return int(code)
