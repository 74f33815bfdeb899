"""``taintlab report``: render a finished run again."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from harness.cli.parser import verb_parser
from harness.errors import ExitCode
from harness.files import shown
from harness.history.folder import existing
from reports.render import render


def add_parser(subparsers: Any) -> None:
    """Register the verb."""
    parser = verb_parser(subparsers, "report")
    parser.add_argument("folder", type=Path, metavar="DIR", help="the run's folder")
    parser.set_defaults(handler=handle)


def handle(options: argparse.Namespace) -> int:
    """0 when the page was written; it never judges anything anew."""
    print(shown(render(existing(options.folder).path)))
    return int(ExitCode.PASS)
