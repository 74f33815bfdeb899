"""Names, label keys and values, and kubectl's selectors, by Kubernetes' rules."""

from __future__ import annotations

import pytest

from harness.formats import labels
from harness.formats.problems import BadValue
from harness.model.experiment import Requirement


@pytest.mark.parametrize(
    ("text", "requirements"),
    [
        ("pool=spot", (Requirement("pool", ("spot",)),)),
        ("pool==spot", (Requirement("pool", ("spot",)),)),
        ("pool = spot", (Requirement("pool", ("spot",)),)),
        ("pool!=spot", (Requirement("pool", ("spot",), negated=True),)),
        ("pool=", (Requirement("pool", ("",)),)),
        ("gpu", (Requirement("gpu"),)),
        ("!gpu", (Requirement("gpu", negated=True),)),
        ("zone in (a,b)", (Requirement("zone", ("a", "b")),)),
        ("zone in(a)", (Requirement("zone", ("a",)),)),
        ("zone notin (a, b)", (Requirement("zone", ("a", "b"), negated=True),)),
        ("in", (Requirement("in"),)),
        (
            "example.com/pool=spot,!gpu,zone in (a,b)",
            (
                Requirement("example.com/pool", ("spot",)),
                Requirement("gpu", negated=True),
                Requirement("zone", ("a", "b")),
            ),
        ),
    ],
)
def test_selector(text: str, requirements: tuple[Requirement, ...]) -> None:
    assert labels.selector(text) == requirements


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "matches everything"),
        ("  ", "matches everything"),
        ("pool=spot,", "is empty"),
        ("pool=spot zone=a", "not a term"),
        ("pool>3", "not a term"),
        ("!pool=spot", "not a term"),
        ("zone in a,b", "not a term"),
        ("zone in (a", "not a term"),
        ("=spot", "not a term"),
        ("po ol", "not a term"),
        ("-pool=x", "not a key"),
        ("pool=-x", "not a label value"),
        ("a/b/c=d", "not a key"),
        ("UPPER.com/x", "DNS name"),
        ("pool=" + "x" * 64, "not a label value"),
    ],
)
def test_no_selector(text: str, message: str) -> None:
    with pytest.raises(BadValue, match=message):
        labels.selector(text)


@pytest.mark.parametrize(
    ("labels_of_node", "text", "matches"),
    [
        ({"pool": "spot"}, "pool=spot", True),
        ({"pool": "spot"}, "pool!=spot", False),
        ({}, "pool!=spot", True),
        ({}, "pool notin (spot)", True),
        ({}, "!pool", True),
        ({"pool": ""}, "pool=", True),
        ({}, "pool=", False),
        ({"pool": ""}, "pool", True),
    ],
)
def test_selector_means_what_kubernetes_means(labels_of_node: dict[str, str], text: str, matches: bool) -> None:
    assert all(term.matches(labels_of_node) for term in labels.selector(text)) is matches


@pytest.mark.parametrize("text", ["spot", "a", "example.com/spot", "Spot_1.x", "x" * 63, "a.b/" + "x" * 63])
def test_key(text: str) -> None:
    assert labels.qualified_name(text) == text


@pytest.mark.parametrize("text", ["", "-x", "x-", "a b", "/x", "a/", "A.com/x", "x" * 64, "a" * 254 + "/x", "ü"])
def test_no_key(text: str) -> None:
    with pytest.raises(BadValue, match="not a key"):
        labels.qualified_name(text)


@pytest.mark.parametrize(
    ("text", "fix"),
    [("My Web", "write my-web"), ("web_1", "write web-1"), ("-web-", "write web"), ("---", ""), ("x" * 64, "shorten")],
)
def test_no_name(text: str, fix: str) -> None:
    with pytest.raises(BadValue) as error:
        labels.dns_label(text)
    assert fix in error.value.fix
