"""The parser that all verbs share: help that teaches, and errors that say what was probably meant.

Python 3.11's argparse has neither a list of verbs in groups nor suggestions (`suggest_on_error` came with 3.14).
"""

from __future__ import annotations

import argparse
import shutil
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any, Never

from harness.cli.verbs import LAB_VERBS, VERBS, Verb
from harness.errors import ExitCode
from harness.terminal import one_line

_BEGIN = """\
Begin:
  $ taintlab lab up --name demo     # builds Kubernetes first, once: 10 minutes
  $ taintlab run experiments/01-noexecute-evicts.yaml --lab demo
  $ taintlab lab down --name demo"""
_MORE = "options:\n  -h, --help  this list; after a verb: all about that verb"
_WIDEST = 100
_LONGEST = 400
"""Characters of a message that may quote what was typed."""


class Parser(argparse.ArgumentParser):
    """An ArgumentParser whose unknown verbs, options and choices end in one line with a suggestion, exit code 2."""

    menu: str = ""
    """Printed for --help in place of argparse's own page, when it is not empty."""

    def format_help(self) -> str:
        """The menu, or argparse's page."""
        return self.menu or super().format_help()

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> tuple[Any, list[str]]:
        """As upstream; but what is not known ends here, where it is known what could have been meant."""
        parsed, left = super().parse_known_args(args, namespace)
        left = self.take(parsed, left)
        for word in left:
            if word.startswith("-"):
                self._refuse_option(word.partition("=")[0])
        if left:
            self.error(f"more arguments than it takes: {' '.join(left)}")
        return parsed, []

    def take(self, parsed: argparse.Namespace, left: list[str]) -> list[str]:
        """What is still left over of `left`, for a parser that can use some of it."""
        del parsed
        return left

    def error(self, message: str) -> Never:
        """One line, the usage and where to read more; exit code 2."""
        self.exit(
            int(ExitCode.USAGE),
            f"{self.prog}: {one_line(message, _LONGEST)}\n{self.format_usage()}{self.prog} --help says more\n",
        )

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """Upstream's hook for `choices`, verbs too (argparse.py, ArgumentParser._check_value, 3.11 to 3.14)."""
        if action.choices is None or value in action.choices:
            return
        if isinstance(action, argparse._SubParsersAction):
            self.exit(int(ExitCode.USAGE), f"{self.prog}: {_no_such_verb(str(value), listed(action))}\n")
        kind = str(action.metavar or "/".join(action.option_strings) or action.dest)
        self.exit(
            int(ExitCode.USAGE), f"{self.prog}: {_none_called(kind, str(value), list(map(str, action.choices)))}\n"
        )

    def _refuse_option(self, word: str) -> Never:
        known = [option for option in self._option_string_actions if option.startswith("--")]
        close = _closest(word, known)
        fix = f"did you mean {close}?" if close else f"{self.prog} --help lists them"
        self.exit(int(ExitCode.USAGE), f"{self.prog}: there is no option {one_line(word, 80)!r}: {fix}\n")


def listed(action: argparse._SubParsersAction[Any]) -> list[str]:
    """The verbs of a group that help lists, without aliases: argparse keeps an entry for each that has a help text."""
    return [each.dest for each in action._get_subactions()]


def _no_such_verb(word: str, known: Sequence[str]) -> str:
    """The message for an unknown verb; one of the lab's own, typed without `lab`, is told apart."""
    if word in LAB_VERBS and "lab" in known:
        return f"there is no verb {word!r}: did you mean lab {word}?"
    return _none_called("verb", word, known)


def _none_called(kind: str, word: str, known: Sequence[str]) -> str:
    from harness.formats.meant import did_you_mean  # loads the reader of experiment files, which --help does not need

    return f"there is no {kind} {one_line(word, 80)!r}: {did_you_mean(word, known)}"


def _closest(word: str, known: Sequence[str]) -> str:
    """The one of `known` that was probably meant, or ""."""
    from difflib import get_close_matches

    return next(iter(get_close_matches(word[:100].lower(), known, n=1, cutoff=0.6)), "")


def verb_parser(
    subparsers: argparse._SubParsersAction[Any],
    name: str,
    *,
    table: Mapping[str, Verb] = VERBS,
    description: str = "",
    alias: str = "",
) -> Any:
    """The parser of one verb: its line in the list, and a page with the summary, examples and exit codes.

    `alias`: an old name under which the same page is found; it is listed nowhere.
    """
    verb = table[name]
    listing: dict[str, Any] = {} if alias else {"help": verb.summary}
    return subparsers.add_parser(
        alias or name,
        **listing,
        description=_filled(description or f"{verb.summary[0].upper()}{verb.summary[1:]}."),
        epilog=_epilog(verb),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def main_menu() -> str:
    """What `taintlab` and `taintlab --help` print."""
    head = "taintlab: prove a taint policy before it evicts production"
    codes = (
        "exit codes: 0 PASS, 1 FAIL, 2 wrong usage or invalid file, 3 INCONCLUSIVE or\n"
        "INVALID, 4 aborted by a guard and healed, 5 heal failed, 130 interrupted"
    )
    parts = [head, _BEGIN, _groups(VERBS), f"{_MORE}\n  --version   the version", codes]
    return "\n\n".join(parts) + "\n"


def lab_menu() -> str:
    """What `taintlab lab` and `taintlab lab --help` print."""
    head = "taintlab lab: a real Kubernetes on this machine, without containers"
    tail = "Most verbs take --name NAME (default: default); several labs run side by side.\n" + _exits(VERBS["lab"])
    return "\n\n".join([head, _groups(LAB_VERBS), _MORE, tail]) + "\n"


def _groups(table: Mapping[str, Verb]) -> str:
    """The verbs under their headings, two lines each: what it does, and an example."""
    width = max(map(len, table))
    blocks: dict[str, list[str]] = {}
    for name, verb in table.items():
        lines = blocks.setdefault(verb.group, [])
        lines += [f"  {name:{width}}  {verb.summary}", f"  {'':{width}}  $ {verb.examples[0]}"]
    return "\n\n".join("\n".join((f"{heading}:", *lines)) for heading, lines in blocks.items())


def _epilog(verb: Verb) -> str:
    title = "example" if len(verb.examples) == 1 else "examples"
    return "\n".join((f"{title}:", *(f"  {example}" for example in verb.examples), "", _exits(verb)))


def _exits(verb: Verb) -> str:
    codes = {int(ExitCode.INTERRUPTED): "interrupted (Ctrl-C)"} | {int(code): text for code, text in verb.exits.items()}
    also = codes.get(ExitCode.USAGE)
    codes[int(ExitCode.USAGE)] = f"wrong usage, or {also}" if also else "wrong usage"
    return "\n".join(("exit codes:", *(f"  {code:<3} {codes[code]}" for code in sorted(codes))))


def _filled(text: str) -> str:
    return textwrap.fill(text, min(_WIDEST, shutil.get_terminal_size().columns - 2))
