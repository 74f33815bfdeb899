"""``taintlab schema``: the JSON Schema of experiment files, for editors."""

from __future__ import annotations

import argparse
import json
from typing import Any

from harness.cli.parser import verb_parser
from harness.errors import ExitCode
from harness.wiring.experiments import json_schema, reference


def add_parser(subparsers: Any) -> None:
    """Register the verb."""
    parser = verb_parser(
        subparsers,
        "schema",
        description="Print the JSON Schema (2020-12) of experiment files. An editor with a YAML language server uses "
        "it after the line: # yaml-language-server: $schema=FILE",
    )
    parser.add_argument("--markdown", action="store_true", help="the reference page in Markdown instead")
    parser.set_defaults(handler=handle)


def handle(options: argparse.Namespace) -> int:
    """Print it to standard output; always ExitCode.PASS."""
    print(
        reference() if options.markdown else json.dumps(json_schema(), indent=2), end="" if options.markdown else "\n"
    )
    return int(ExitCode.PASS)
