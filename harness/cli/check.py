"""``taintlab check``: judge a finished run again."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from harness.cli.parser import verb_parser
from harness.engine import judge_folder
from harness.history.folder import existing
from reports.terminal import print_result


def add_parser(subparsers: Any) -> None:
    """Register the verb."""
    parser = verb_parser(subparsers, "check")
    parser.add_argument("folder", type=Path, metavar="DIR", help="the run's folder")
    parser.add_argument("--json", action="store_true", help="result.json on stdout")
    parser.set_defaults(handler=handle)


def handle(options: argparse.Namespace) -> int:
    """The exit code of the verdict."""
    judgement, result = judge_folder(existing(options.folder))
    if options.json:
        print(json.dumps(result, indent=1))
    else:
        print_result(options.folder)
    return int(judgement.exit_code)
