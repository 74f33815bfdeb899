"""Experiment files with every fault and every check that there is, handed in to `harness.formats.experiment`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from harness.check.registry import EXPECT_KEYS
from harness.errors import Problem
from harness.faults.registry import FAULTS
from harness.formats import experiment as files
from harness.formats.experiment import Examined, experiment_files
from harness.model.experiment import Experiment

__all__ = [
    "Examined",
    "examine",
    "examine_text",
    "experiment_files",
    "json_schema",
    "read_experiment",
    "read_experiment_text",
    "reference",
    "validate",
]


def read_experiment(path: Path | str) -> Experiment:
    """The experiment in the file `path`; InvalidFile with every problem of it."""
    return files.read_experiment(path, FAULTS, EXPECT_KEYS)


def read_experiment_text(text: str, *, name: str) -> Experiment:
    """The experiment of a text that is no file, called `name` in problems; it may name no files."""
    return files.read_experiment_text(text, FAULTS, EXPECT_KEYS, name=name)


def validate(paths: Iterable[Path | str]) -> list[Problem]:
    """Every problem of these experiment files; a folder stands for the experiments in it."""
    return files.validate(paths, FAULTS, EXPECT_KEYS)


def examine(path: Path) -> Examined:
    """One experiment file: the experiment, or what is wrong with it."""
    return files.examine(path, FAULTS, EXPECT_KEYS)


def examine_text(text: str, path: Path) -> Examined:
    """The same for a text that is (or might be) at `path`."""
    return files.examine_text(text, path, FAULTS, EXPECT_KEYS)


def json_schema() -> dict[str, Any]:
    """The JSON Schema of experiment files."""
    return files.json_schema(FAULTS, EXPECT_KEYS)


def reference() -> str:
    """docs/reference/experiment.md."""
    return files.reference(FAULTS, EXPECT_KEYS)
