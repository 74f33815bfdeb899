"""The first impression: help that teaches, suggestions, old names that go on working, completion."""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import cli, lab
from harness.cli import LAB_VERBS, VERBS, lab_handlers, whole_parser
from harness.cli.parser import lab_menu, listed, main_menu
from harness.cli.verbs import Verb
from harness.errors import ExitCode

ROOT = Path(__file__).resolve().parents[2]
ALL = {(name,): verb for name, verb in VERBS.items()} | {("lab", name): verb for name, verb in LAB_VERBS.items()}


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a command."""
    try:
        code = cli.main(arguments)
    except SystemExit as ended:
        code = int(ended.code or 0)
    out, err = capsys.readouterr()
    return code, out, err


def verbs_below(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """The parsers of all verbs that it lists."""
    (action,) = [each for each in parser._actions if isinstance(each, argparse._SubParsersAction)]
    return {name: action.choices[name] for name in listed(action)}


def lines_of(menu: str) -> Iterator[tuple[str, str, str]]:
    """(verb, what it does, example) of every entry of a menu."""
    yield from re.findall(r"^  ([a-z-]+) +(\S.*)\n +\$ (.+)$", menu, re.M)


def test_without_a_verb_the_list_is_shown_and_a_script_does_not_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    asked, alone = said(capsys, "--help"), said(capsys)
    assert asked == (0, main_menu(), "")
    assert alone == (2, main_menu(), "")
    assert said(capsys, "lab") == (2, lab_menu(), "")
    assert said(capsys, "lab", "--help") == (0, lab_menu(), "")


@pytest.mark.parametrize(("menu", "table"), [(main_menu(), VERBS), (lab_menu(), LAB_VERBS)], ids=["taintlab", "lab"])
def test_every_verb_has_a_line_and_an_example(menu: str, table: dict[str, Verb]) -> None:
    assert list(lines_of(menu)) == [(name, verb.summary, verb.examples[0]) for name, verb in table.items()]
    assert [line for line in menu.splitlines() if len(line) > 80] == []


def test_the_list_begins_with_how_to_begin() -> None:
    begin = main_menu().split("Begin:\n")[1].split("\n\n")[0].splitlines()
    assert len(begin) == 3
    for line in begin:
        whole_parser().parse_args(line.partition("#")[0].split()[2:])


def test_the_tables_are_the_parsers() -> None:
    parsers = verbs_below(whole_parser())
    assert list(parsers) == list(VERBS)
    assert sorted(verbs_below(parsers["lab"])) == sorted(LAB_VERBS)


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_the_page_of_a_verb_has_examples_and_exit_codes_and_no_markup(
    path: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    code, page, err = said(capsys, *path, "--help")
    assert (code, err) == (0, "")
    verb = ALL[path]
    assert verb.examples
    assert [example for example in verb.examples if example not in page] == []
    found = dict(re.findall(r"^  (\d+) +(\S.*)$", page.split("exit codes:\n")[1], re.M))
    codes = VERBS["lab"].exits if path == ("lab",) else verb.exits
    assert set(found) == {str(int(each)) for each in codes} | {"2", "130"}
    assert [mark for mark in ("`", "::", "**", ":class:") if mark in page] == []


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_examples_are_accepted(path: tuple[str, ...]) -> None:
    """The last taintlab command of each example names this verb, and its arguments are understood."""
    for example in ALL[path].examples:
        words = re.findall(r"taintlab ([^>)\"]+)", example)[-1].split()
        if path != ("lab",):
            assert tuple(words[: len(path)]) == path
        assert callable(whole_parser().parse_args(words).handler)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["rnu"], "taintlab: there is no verb 'rnu': did you mean run?"),
        (["Run"], "taintlab: there is no verb 'Run': did you mean run?"),
        (["up"], "taintlab: there is no verb 'up': did you mean lab up?"),
        (["xyzzy"], f"taintlab: there is no verb 'xyzzy': one of: {', '.join(VERBS)}"),
        (["\x1b[\nrun"], "taintlab: there is no verb '\N{REPLACEMENT CHARACTER}[ run': did you mean run?"),
        (["lab", "presure"], "taintlab lab: there is no verb 'presure': did you mean pressure?"),
        (["lab", "xyzzy"], f"taintlab lab: there is no verb 'xyzzy': one of: {', '.join(LAB_VERBS)}"),
        (["run", "x.yaml", "--labb", "demo"], "taintlab run: there is no option '--labb': did you mean --lab?"),
        (["run", "x.yaml", "--xyzzy"], "taintlab run: there is no option '--xyzzy': taintlab run --help lists them"),
        (["lab", "up", "--nmae=x"], "taintlab lab up: there is no option '--nmae': did you mean --name?"),
        (["lab", "node", "kil", "n"], "taintlab lab node: there is no ACTION 'kil': did you mean kill?"),
        (["completion", "bsh"], "taintlab completion: there is no SHELL 'bsh': did you mean bash?"),
        (["--verion"], "taintlab: there is no option '--verion': did you mean --version?"),
    ],
    ids=lambda value: None if isinstance(value, str) else " ".join(value).encode("unicode_escape").decode(),
)
def test_a_slip_is_one_line_that_says_what_was_meant(
    arguments: list[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said(capsys, *arguments) == (2, "", f"{line}\n")


@pytest.mark.parametrize(
    ("arguments", "first"),
    [
        (["run"], "taintlab run: the following arguments are required: FILE"),
        (["report", "a", "b"], "taintlab report: more arguments than it takes: b"),
        (["lab", "up", "--nodes", "two"], "taintlab lab up: argument --nodes: invalid int value: 'two'"),
    ],
)
def test_other_wrong_usage_shows_the_usage(
    arguments: list[str], first: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = said(capsys, *arguments)
    assert (code, out, err.splitlines()[0]) == (ExitCode.USAGE, "", first)
    assert "\nusage: taintlab " in err


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("dial n memory.available=1Gi", "pressure n memory.available=1Gi"),
        (
            "dial n --name x memory.available=1Gi pid.available=5",
            "pressure n --name x memory.available=1Gi pid.available=5",
        ),
        ("dial n --reset --pod a/b", "pressure n --reset --pod a/b"),
        ("door web:80", "port-forward web:80"),
        ("node freeze n", "node pause n"),
        ("node thaw n", "node resume n"),
        ("restart doors", "restart port-forwards"),
        ("kill doors", "kill port-forwards"),
        ("logs doors", "logs port-forwards"),
    ],
)
def test_old_names_mean_the_new_ones(old: str, new: str) -> None:
    before, after = (vars(whole_parser().parse_args(["lab", *words.split()])) for words in (old, new))
    del before["lab_verb"], after["lab_verb"]
    assert before == after
    assert callable(before["handler"])


def test_figures_stand_wherever_they_like() -> None:
    words = ["lab", "pressure", "n", "memory.available=1Gi", "--name", "x", "pid.available=5"]
    assert whole_parser().parse_args(words).figures == ["memory.available=1Gi", "pid.available=5"]


def test_a_paused_node_is_asked_of_the_lab_in_its_own_word(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    monkeypatch.setattr(lab, "get", lambda name: name)
    monkeypatch.setattr(lab, "node", lambda *what: asked.extend(what))
    assert cli.main(["lab", "node", "freeze", "n", "--name", "x"]) == 0
    assert asked == ["x", "n", lab.NodeAction.PAUSE]
    assert lab_handlers.node.__doc__


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_knows_verbs_and_options_and_no_old_names(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, script, err = said(capsys, "completion", shell)
    assert (code, err) == (0, "")
    assert [verb for verb in (*VERBS, *LAB_VERBS) if not re.search(rf"\b{verb}\b", script)] == []
    assert re.search(r"allow[-_]context", script)
    assert re.findall(r"\b(dial|door|freeze|thaw)\b", script) == []


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("re", ["replay", "recover", "report"]),
        ("lab po", ["port-forward"]),
        ("run --la", ["--lab"]),
        ("lab node pa", ["pause"]),
        ("completion f", ["fish"]),
        ("validate experim", ["experiments"]),
    ],
)
def test_bash_completes(words: str, offered: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "taintlab.bash").write_text(said(capsys, "completion", "bash")[1])
    program = (
        'source "$1"; shift; COMP_WORDS=(taintlab "$@"); COMP_CWORD=$#; COMP_LINE="taintlab $*"; '
        'COMP_POINT=${#COMP_LINE}; _shtab_taintlab; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    argv = ["bash", "-c", program, "bash", str(tmp_path / "taintlab.bash"), *words.split()]
    done = subprocess.run(argv, capture_output=True, text=True, cwd=ROOT, check=True)
    assert sorted(done.stdout.split()) == sorted(offered)


def test_help_loads_neither_shtab_nor_the_verbs() -> None:
    program = (
        "import sys; from harness.cli import main; main([]); "
        "heavy = {'shtab', 'yaml', 'rich', 'kubernetes', 'harness.cli.run', 'harness.formats'} & set(sys.modules); "
        "sys.exit(str(sorted(heavy)) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
