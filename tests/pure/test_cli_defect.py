"""What nobody foresaw is one message too, and never the exit code of a verdict."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from harness import cli
from harness.cli import explain


def test_a_defect_is_told_in_one_line_and_keeps_its_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def fails(_: object) -> int:
        raise ZeroDivisionError("by\nnought")

    monkeypatch.setattr(explain, "handle", fails)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert cli.main(["explain", "no-toleration"]) == 3
    (line,) = capsys.readouterr().err.splitlines()
    assert "ZeroDivisionError: by nought" in line
    (file,) = re.findall(r"with (\S+);", line)
    assert "test_cli_defect.py" in Path(file).read_text()
