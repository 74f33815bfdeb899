"""Building with the real Go: a module of one file, so that it takes a second."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from harness.errors import BuildFailed, UsageError
from harness.lab import build
from harness.lab.gobuild import compile_packages
from harness.lab.toolchain import GO_VARIABLE, find_go

GOOD = 'package main\n\nimport "fmt"\n\nfunc main() { fmt.Println("built") }\n'


@pytest.fixture
def module(tmp_path: Path) -> Path:
    """A Go module with the command ./cmd/hello."""
    (tmp_path / "cmd" / "hello").mkdir(parents=True)
    (tmp_path / "go.mod").write_text("module example.test/hello\n\ngo 1.25\n")
    (tmp_path / "cmd" / "hello" / "main.go").write_text(GOOD)
    return tmp_path


def compile_hello(module: Path, lines: list[str]) -> Path:
    """Builds ./cmd/hello and returns the program."""
    go = find_go((1, 25), report=lines.append)
    flags = ["-trimpath", "-buildvcs=false"]
    compile_packages(go, module, ["./cmd/hello"], flags=flags, out=module / "out", what="hello", report=lines.append)
    return module / "out" / "hello"


def test_a_build_makes_the_program_and_says_so(module: Path) -> None:
    lines: list[str] = []
    program = compile_hello(module, lines)
    assert subprocess.run([program], capture_output=True, text=True, check=True).stdout == "built\n"
    assert lines[0].endswith("\r")  # progress
    assert lines[-1].startswith("hello: built in")


def test_a_failed_build_shows_the_compilers_last_words_and_what_to_do(module: Path) -> None:
    (module / "cmd" / "hello" / "main.go").write_text(GOOD.replace("fmt.Println", "fmt.Shout"))
    with pytest.raises(BuildFailed, match=r"main\.go:5:19: undefined: fmt\.Shout(.|\n)*fix:"):
        compile_hello(module, [])


def test_a_go_that_is_no_good_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(GO_VARIABLE, "/bin/true")
    with pytest.raises(BuildFailed, match=r"TAINTLAB_GO=/bin/true is no Go of version 1\.25 or newer"):
        find_go((1, 25), report=print)


def test_a_named_folder_must_hold_all_programs(tmp_path: Path) -> None:
    (tmp_path / "kubeplane").write_text("#!/bin/sh\n")
    (tmp_path / "kubeplane").chmod(0o755)
    with pytest.raises(UsageError, match="no runnable noderuntime, podinfo"):
        build.ensure(None, named=tmp_path, in_use=(), report=print)
