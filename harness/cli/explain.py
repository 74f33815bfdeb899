"""``taintlab explain``: the rules behind predictions, with their sources."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import Any

from harness.cli.parser import verb_parser
from harness.errors import ExitCode, UsageError
from harness.semantics.rules import CATALOGUE, Rule, RuleId, closest, markdown
from harness.terminal import json_text


def add_parser(subparsers: Any) -> None:
    """Register the verb."""
    parser = verb_parser(subparsers, "explain")
    parser.add_argument("rule", nargs="?", metavar="RULE", help="one rule's id; without it all are listed")
    parser.add_argument("--json", action="store_true", help="an object, or a list of them, on stdout")
    parser.add_argument("--markdown", action="store_true", help="the page docs/reference/rules.md")
    parser.set_defaults(handler=handle)


def handle(options: argparse.Namespace) -> int:
    """0, or 2 for a rule that is not in the catalogue."""
    if options.markdown:
        print(markdown(), end="")
    elif options.rule is None:
        rules = list(CATALOGUE.values())
        print(json_text([asdict(rule) for rule in rules], indent=1) if options.json else _list(rules))
    elif options.rule not in set(RuleId):
        raise UsageError(f"no rule is called {options.rule} (closest: {', '.join(closest(options.rule))})")
    else:
        rule = CATALOGUE[RuleId(options.rule)]
        print(json_text(asdict(rule), indent=1) if options.json else _one(rule))
    return int(ExitCode.PASS)


def _list(rules: list[Rule]) -> str:
    width = max(len(rule.id) for rule in rules)
    return "\n".join(f"{rule.id:{width}}  {rule.sentence}" for rule in rules)


def _one(rule: Rule) -> str:
    versions = f"{rule.since or 'all modelled'}{' to ' + rule.until if rule.until else ''}"
    return f"{rule.id}\n  {rule.sentence}\n  source: {rule.source}\n  versions: {versions}"
