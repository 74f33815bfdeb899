"""The command ``taintlab``: one file a verb, no logic in any of them."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import tempfile
import traceback
from collections.abc import Sequence
from contextlib import suppress

from harness import __version__
from harness.errors import ExitCode, TaintlabError, told
from harness.terminal import clean_output, one_line

#: Verb to (module, help). Only the module of the verb that was asked for is imported, so that each starts fast.
VERBS: dict[str, tuple[str, str]] = {
    "run": ("harness.cli.run", "run an experiment and judge it"),
    "validate": ("harness.cli.validate", "check experiment files without a cluster"),
    "check": ("harness.cli.check", "judge a finished run again, from its folder alone"),
    "report": ("harness.cli.report", "render a finished run again, from its folder alone"),
    "recover": ("harness.cli.recover", "undo what taintlab left on a cluster"),
    "status": ("harness.cli.status", "what taintlab left on a cluster"),
    "lab": ("harness.cli.lab", "the embedded cluster: up, down, dial, kill a node ..."),
    "plan": ("harness.cli.plan", "what a taint policy would do to a cluster, before anything is touched"),
    "snapshot": ("harness.cli.snapshot", "write a cluster's state to a file, for plan --world"),
    "predict": ("harness.cli.predict", "what a write script does to its pods, without a cluster"),
    "replay": ("harness.cli.replay", "perform a write script on a real control plane"),
    "explain": ("harness.cli.explain", "the rules behind predictions, with their sources"),
    "schema": ("harness.cli.schema", "the JSON Schema of experiment files, for editors"),
}


def build_parser(verb: str | None) -> argparse.ArgumentParser:
    """The parser with every verb named, and the arguments of `verb` (those of the others are not loaded)."""
    parser = argparse.ArgumentParser(
        prog="taintlab",
        description="Prove a taint policy before it evicts production.",
        epilog="exit codes: 0 PASS, 1 FAIL, 2 wrong usage or invalid file, 3 INCONCLUSIVE or INVALID, "
        "4 aborted by a guard and healed, 5 heal failed, 130 interrupted and healed",
    )
    parser.add_argument("--version", action="version", version=f"taintlab {__version__}")
    subparsers = parser.add_subparsers(metavar="VERB", dest="verb", required=True)
    for name, (module, text) in VERBS.items():
        if name == verb:
            importlib.import_module(module).add_parser(subparsers)
        else:
            subparsers.add_parser(name, help=text, add_help=False)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; the process exit code. Errors are printed as one message, without a traceback.

    A reader that went away (``| head``) changes nothing: what the verb does is done, and its exit code stays.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    verb = next((word for word in arguments if not word.startswith("-")), None)
    with clean_output():
        try:
            options = build_parser(verb).parse_args(arguments)
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
        "`taintlab recover` takes off what may be left on a cluster",
        file=sys.stderr,
    )
    return ExitCode.INCONCLUSIVE
