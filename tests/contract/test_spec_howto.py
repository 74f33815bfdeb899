"""The page that teaches the format shows files that are valid."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from harness.wiring.experiments import read_experiment

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/how-to/write-an-experiment.md"


def test_the_pieces_of_the_page_make_an_experiment_at_every_step(tmp_path: Path) -> None:
    """Each block is laid over the ones before it: a key that is there already takes the new value."""
    shutil.copytree(ROOT / "experiments" / "manifests", tmp_path / "manifests")
    whole, *pieces = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    blocks = re.split(r"(?m)^(?=  \w)", whole)
    names = []
    for piece in ["", *pieces]:
        for block in filter(None, re.split(r"(?m)^(?=  \w)", piece)):
            key = block.split(":")[0]
            blocks = [old for old in blocks if old.split(":")[0] != key] + [block]
        file = tmp_path / "my-service.yaml"
        file.write_text("".join(blocks))
        names.append(read_experiment(file).name)
    assert names == ["my-service"] * len(names)
    assert len(names) == 4


def test_its_links_lead_somewhere() -> None:
    for link in re.findall(r"\]\(([^)#]+)\)", PAGE.read_text()):
        assert (PAGE.parent / link).exists(), link
