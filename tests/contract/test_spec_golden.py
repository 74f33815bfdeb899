"""What ``taintlab validate`` says of the broken files in tests/golden/spec, word for word.

After a change that is meant: ``cd tests/golden/spec && taintlab validate NAME.yaml > NAME.txt``, and read the diff.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.cli import main

GOLDEN = Path(__file__).parents[1] / "golden" / "spec"
FILES = sorted(GOLDEN.glob("*.yaml"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_messages(file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(GOLDEN)
    code = main(["validate", file.name])
    said = capsys.readouterr()
    assert said.out == file.with_suffix(".txt").read_text()
    assert said.err == ""
    assert code == (0 if said.out.startswith("ok ") else 2)


def test_each_text_has_its_file() -> None:
    assert {file.stem for file in GOLDEN.glob("*.txt")} == {file.stem for file in FILES}
