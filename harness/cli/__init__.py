"""The command ``taintlab``: one file a verb, no logic in any of them."""

from __future__ import annotations

import importlib
import os
import sys
import tempfile
import traceback
from collections.abc import Sequence
from contextlib import suppress

from harness import __version__
from harness.cli.parser import Parser, main_menu
from harness.cli.verbs import LAB_VERBS, VERBS
from harness.errors import ExitCode, TaintlabError, told
from harness.terminal import clean_output, one_line

__all__ = ["LAB_VERBS", "VERBS", "build_parser", "main", "whole_parser"]


def build_parser(verb: str | None) -> Parser:
    """The parser with every verb named, and the arguments of `verb` (those of the others are not loaded)."""
    return _parser_with({verb} if verb else set())


def whole_parser() -> Parser:
    """The parser with the arguments of every verb: for completion and for tests."""
    return _parser_with(set(VERBS))


def _parser_with(wanted: set[str]) -> Parser:
    parser = Parser(prog="taintlab")
    parser.menu = main_menu()
    parser.add_argument("--version", action="version", version=f"taintlab {__version__}", help="the version")
    subparsers = parser.add_subparsers(metavar="VERB", dest="verb")
    for name, verb in VERBS.items():
        if name in wanted:
            importlib.import_module(verb.module).add_parser(subparsers)
        else:
            subparsers.add_parser(name, help=verb.summary, add_help=False)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; the process exit code. Errors are printed as one message, without a traceback.

    Without a verb: the list of verbs, and ExitCode.USAGE, so that a script with an empty variable does not go on.
    A reader that went away (``| head``) changes nothing: what the verb does is done, and its exit code stays.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    verb = next((word for word in arguments if not word.startswith("-")), None)
    with clean_output():
        try:
            parser = build_parser(verb)
            options = parser.parse_args(arguments)
            if options.verb is None:
                parser.print_help()
                return int(ExitCode.USAGE)
            return int(options.handler(options))
        except TaintlabError as error:
            print(f"taintlab: {told(error)}", file=sys.stderr)
            return int(error.exit_code)
        except KeyboardInterrupt:
            return int(ExitCode.INTERRUPTED)
        except Exception as error:
            return int(_defect(error))


def _defect(error: Exception) -> ExitCode:
    """What nobody foresaw: one message, the traceback in a file, and an exit code that is no verdict."""
    details = traceback.format_exc()
    where = "the traceback (no file could be written)"
    with suppress(OSError):
        descriptor, where = tempfile.mkstemp(prefix="taintlab-defect-", suffix=".txt")
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(details)
    words = one_line(error) or "no message"
    print(
        f"taintlab: a defect of taintlab itself ({type(error).__name__}: {words}): please report it with {where}; "
        "`taintlab recover` reverts what may be left on a cluster",
        file=sys.stderr,
    )
    return ExitCode.INCONCLUSIVE
