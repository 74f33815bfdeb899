"""A small batch of the differential fuzz; ``python -m tests.fuzz.differential`` runs the large one."""

from __future__ import annotations

import asyncio
import os

import pytest

from harness import lab as labs
from harness.model.scenario import Scenario
from harness.replay.replayer import Replayed
from tests.fuzz import differential
from tests.lab.too_busy import note, tell_if_busy
from tests.mutants import MUTANTS, Mutant
from tests.slowness import figures, inflated

SCRIPTS, SEED = 45, 23
"""With this seed three scripts or more show each of the mutants below, on the busiest machine that is allowed too."""
NOTICED = {"the last match", "always replaced", "never cancelled", "the longest", "a second more", "a second's grace"}
"""Mutants of the predictor that so small a batch must notice."""


@pytest.fixture(scope="module")
def batch() -> list[Scenario]:
    """Generated scripts."""
    return differential.generate(SCRIPTS, SEED)


@pytest.fixture(scope="module")
def replayed(batch: list[Scenario]) -> list[Replayed | Exception]:
    """What the real controllers made of them."""
    name = f"fuzz-{os.getpid()}"
    labs.up(differential.lab_spec(name), owner=labs.this_process(), report=print)
    try:
        results = asyncio.run(differential.replay(name, batch, side_by_side=15))
    finally:
        labs.down_named(name)
    note(f"fuzz: {figures(results)}")
    return results


def disagreements(batch: list[Scenario], replayed: list[Replayed | Exception]) -> list[str]:
    """Of all scripts, with the script's number."""
    out = []
    for number, (scenario, result) in enumerate(zip(batch, replayed, strict=True)):
        if isinstance(result, Exception):
            out.append(f"{number}: {result!r}")
        else:
            out += [f"{number}: {line}" for line in differential.compare(scenario, result).disagreements]
    return out


def too_busy(batch: list[Scenario], replayed: list[Replayed | Exception]) -> list[str]:
    """The scripts of which this machine could not tell."""
    return [
        f"script {number}: {line}"
        for number, (scenario, result) in enumerate(zip(batch, replayed, strict=True))
        if isinstance(result, Replayed)
        for line in differential.compare(scenario, result).found.too_busy
    ]


@pytest.mark.timeout(1800)
def test_predictor_and_controllers_agree(batch: list[Scenario], replayed: list[Replayed | Exception]) -> None:
    assert disagreements(batch, replayed) == []
    tell_if_busy(too_busy(batch, replayed))


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("mutant", [m for m in MUTANTS if m.how in NOTICED], ids=lambda mutant: mutant.how)
def test_a_broken_predictor_is_noticed(
    mutant: Mutant, batch: list[Scenario], replayed: list[Replayed | Exception]
) -> None:
    with mutant.applied():
        assert disagreements(batch, replayed)


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("mutant", [m for m in MUTANTS if m.how in NOTICED], ids=lambda mutant: mutant.how)
def test_a_broken_predictor_is_noticed_with_the_reference_at_the_cap(
    mutant: Mutant, batch: list[Scenario], replayed: list[Replayed | Exception]
) -> None:
    slow = [inflated(result) if isinstance(result, Replayed) else result for result in replayed]
    with mutant.applied():
        assert disagreements(batch, slow)
