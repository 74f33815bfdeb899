"""``taintlab completion``: shell completion, written by shtab from the parsers themselves."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from harness.cli.parser import verb_parser
from harness.errors import ExitCode

SHELLS = ("bash", "zsh", "fish")


def add_parser(subparsers: Any) -> None:
    """Register the verb."""
    parser = verb_parser(
        subparsers,
        "completion",
        description="Print a completion script. Read it once for this shell (the first example), or put it where the "
        "shell looks for such files: then it is loaded when it is first needed.",
    )
    parser.add_argument("shell", choices=SHELLS, metavar="SHELL", help=", ".join(SHELLS))
    parser.set_defaults(handler=handle)


def handle(options: argparse.Namespace) -> int:
    """Print the script; always ExitCode.PASS."""
    import shtab  # only here: no other verb waits for it

    from harness.cli import whole_parser

    parser = whole_parser()
    _mark_files(parser, shtab.FILE, shtab.DIRECTORY)
    print(shtab.complete(parser, shell=options.shell), end="")
    return int(ExitCode.PASS)


def _mark_files(parser: argparse.ArgumentParser, file: object, folder: object) -> None:
    """Tell shtab which arguments are files and which folders: those of type Path or called FILE."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                _mark_files(below, file, folder)
        elif action.type is Path or action.metavar == "FILE":
            action.complete = folder if action.metavar == "DIR" else file  # type: ignore[attr-defined]
