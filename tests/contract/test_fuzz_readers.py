"""A small batch of the fuzz of readers; ``python -m tests.fuzz.readers`` makes the large one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz.readers import KINDS, fuzz

FILES = 100


@pytest.mark.parametrize("kind", KINDS)
def test_hostile_files_end_in_an_answer_or_in_one_message(kind: str, tmp_path: Path) -> None:
    tally = fuzz(kind, files=FILES, seed=1, folder=tmp_path)
    assert tally.cases == FILES
    assert not (*tally.defects, *tally.wrong_codes, *tally.steering, *tally.slow)
    assert tally.codes[0], "some are good all the same, so that what comes after reading is reached"
    assert sum(number for code, number in tally.codes.items() if code)
