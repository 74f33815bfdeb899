"""The Go side: formatted, vetted, and its own tests. After the lab's build: everything below is compiled then."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from harness.lab import Lab
from harness.lab.build import PLANE, choose
from harness.lab.toolchain import find_go


@pytest.fixture(scope="module")
def go(lab: Lab) -> Path:
    """A toolchain that is new enough; the lab is up, so its packages are in the build cache."""
    return find_go(choose(None).go, report=print)


def run(*command: str | Path) -> str:
    """Run in the module with the build's own settings; what it printed."""
    environment = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-trimpath -buildvcs=false", "GOTOOLCHAIN": "local"}
    done = subprocess.run([*map(str, command)], cwd=PLANE, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_go_code_is_formatted(go: Path) -> None:
    assert run(go.parent / "gofmt", "-l", ".") == ""


@pytest.mark.timeout(900)
def test_the_go_code_is_vetted(go: Path) -> None:
    run(go, "vet", "./...")


@pytest.mark.timeout(900)
def test_the_go_tests_pass(go: Path) -> None:
    assert "FAIL" not in run(go, "test", "./...")
