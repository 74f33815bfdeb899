"""``taintlab schema``: the JSON Schema of the files that we read, for editors."""

from __future__ import annotations

import argparse
import json
from typing import Any

from harness.cli.parser import verb_parser
from harness.errors import ExitCode
from harness.formats.script import reference as script
from harness.formats.topology import reference as topology
from harness.wiring.experiments import json_schema, reference

_KINDS = {
    "experiment": (json_schema, reference),
    "script": (script.json_schema, script.reference),
    "topology": (topology.json_schema, topology.reference),
}


def add_parser(subparsers: Any) -> None:
    """Register the verb."""
    parser = verb_parser(
        subparsers,
        "schema",
        description="Print the JSON Schema (2020-12) of experiment files, or of another kind of file. "
        "An editor with a YAML language server uses it after the line: # yaml-language-server: $schema=FILE",
    )
    parser.add_argument("kind", nargs="?", choices=list(_KINDS), default="experiment", help="the kind of file")
    parser.add_argument("--markdown", action="store_true", help="the reference page in Markdown instead")
    parser.set_defaults(handler=handle)


def handle(options: argparse.Namespace) -> int:
    """Print it to standard output; always ExitCode.PASS."""
    schema, page = _KINDS[options.kind]
    print(page() if options.markdown else json.dumps(schema(), indent=2), end="" if options.markdown else "\n")
    return int(ExitCode.PASS)
