"""What ``validate`` takes as load, the load process takes too: nobody learns of a bad header when the pods are up."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.wiring.experiments import examine_text
from harness.wiring.load import load_config


def sent(load: dict[str, Any], phases: dict[str, str] | None = None) -> bool:
    """Whether the reader takes it; UsageError from the load process's own check fails the test."""
    text = json.dumps(
        {
            "apiVersion": "taintlab.dev/v1alpha1",
            "kind": "Experiment",
            "metadata": {"name": "e"},
            "spec": {
                "load": {"url": "http://web", "rate": "1/s", **load},
                "phases": phases or {"baseline": "10s"},
            },
        },
        ensure_ascii=False,
    )
    experiment = examine_text(text, Path("e.yaml")).experiment
    if experiment is None:
        return False
    assert experiment.load is not None
    load_config(experiment, experiment.load)
    return True


@pytest.mark.parametrize(
    ("load", "phases", "taken"),
    [
        ({}, None, True),
        ({"rate": "100000/s"}, {"baseline": "2m"}, True),
        ({"rate": "100000/s"}, {"baseline": "3m"}, False),
        ({"rate": "0.0001/h"}, None, True),
        ({"timeout": "10m"}, None, True),
        ({"timeout": "10m1s"}, None, False),
        ({"timeout": "1ms"}, None, True),
        ({"processes": 64}, None, True),
        ({}, {"warmup": "24h", "baseline": "24h", "fault": "24h", "recovery": "24h"}, True),
        ({"headers": {"Host": "other", "X-A": "é\t"}}, None, True),
        ({"headers": {"X-A": "€"}}, None, False),
        ({"headers": {"Content-Length": "5"}}, None, False),
        ({"method": "OPTIONS", "body": "€", "arrivals": "uniform", "connection": "per-request"}, None, True),
        ({"url": "https://[fe80::1]:8443/a/b?c=d&e=%20"}, None, True),
        ({"url": "http://web/é"}, None, False),
        ({"url": "http://web_1.default.svc"}, None, True),
    ],
)
def test_same_answer(load: dict[str, Any], phases: dict[str, str] | None, taken: bool) -> None:
    assert sent(load, phases) is taken


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="htp:/s[]@?#%. a1é\\\x00_-", max_size=24).map(lambda rest: "http://" + rest))
def test_no_url_is_taken_that_cannot_be_dialled(url: str) -> None:
    sent({"url": url})
