"""Experiment files as test items: collected when a cluster is named, passed and failed with their reasons."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from harness.lab import Lab
from tests.lab.conftest import lab  # noqa: F401 -- a fixture
from tests.lab.experiments import Made, deployment, web

QUICK = {"warmup": "0s", "baseline": "1s", "fault": "3s", "recovery": "1s"}
EVICTIONS = {"evictions": "as-predicted"}


def pytest_in(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run pytest in a process of its own, without this session's configuration."""
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:locust", "-c", "/dev/null", "-rA"]
    return subprocess.run([*command, *arguments, str(folder)], capture_output=True, text=True, check=False, cwd=folder)


def test_without_a_cluster_nothing_is_collected(tmp_path: Path) -> None:
    web("alone", load=False, expect=EVICTIONS).write(tmp_path)
    done = pytest_in(tmp_path)
    assert done.returncode == 5, done.stdout
    assert "no tests ran" in done.stdout


def test_experiments_pass_and_fail_as_items(lab: Lab, tmp_path: Path) -> None:  # noqa: F811 -- the fixture
    web("item-good", load=False, phases=QUICK, expect=EVICTIONS).write(tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    objects = [deployment("web", replicas=1, tolerations=[], pool="general")]
    Made("item-nobody", objects, load=False, phases=QUICK, expect=EVICTIONS).write(other)
    (tmp_path / "broken.yaml").write_text("apiVersion: taintlab.dev/v1alpha1\nkind: Experiment\nspec: {fautls: []}\n")
    done = pytest_in(tmp_path, "--taintlab-lab", lab.name, "--taintlab-out", str(tmp_path / "out"))
    assert done.returncode == 1, done.stdout + done.stderr
    assert "1 passed" in done.stdout
    assert "2 failed" in done.stdout
    assert "no pod ran on the target" in done.stdout
    assert "broken.yaml:3" in done.stdout
    assert "Traceback" not in done.stdout
    assert len(list((tmp_path / "out" / "runs").rglob("report.html"))) == 2
