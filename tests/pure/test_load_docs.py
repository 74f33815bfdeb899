"""Everything a reader may meet in a load folder is explained in docs/reference/load.md."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from loadgen.arrivals import FILE_NAME
from loadgen.config import ArrivalKind, ConnectionKind, LoadConfig
from loadgen.process import SUMMARY_NAME
from loadgen.rows import Outcome

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "load.md"
WORDS = [
    *(field.name for field in fields(LoadConfig)),
    *(outcome.label for outcome in Outcome),
    *ArrivalKind,
    *ConnectionKind,
    FILE_NAME,
    SUMMARY_NAME,
    "rows-N.bin",
    "config.json",
]


@pytest.mark.parametrize("word", WORDS)
def test_the_page_explains(word: str) -> None:
    assert f"`{word}`" in PAGE.read_text(encoding="utf-8")
