"""Single values: what is accepted, what it means, and the fix for what is not."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.formats import values
from harness.formats.meant import did_you_mean
from harness.formats.problems import BadValue
from harness.model.experiment import SloKind


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("5s", 5.0),
        ("250ms", 0.25),
        ("1m30s", 90.0),
        ("2h", 7200.0),
        ("1h1m1s1ms", 3661.001),
        ("1.5s", 1.5),
        ("0.1s", 0.1),
        ("0s", 0.0),
        ("24h", 86400.0),
    ],
)
def test_duration(text: str, seconds: float) -> None:
    assert values.duration_s(text) == seconds


@pytest.mark.parametrize(
    ("text", "message", "fix"),
    [
        ("5", "needs a unit", "write 5s"),
        ("0", "needs a unit", "write 0s"),
        ("2.5", "needs a unit", "write 2.5s"),
        ("-5s", "must not be negative", ""),
        ("5 s", "not a duration", "write 5s"),
        ("5S", "not a duration", "write 5s"),
        ("20 sec", "not a duration", "write 20s"),
        ("3 minutes", "not a duration", "write 3m"),
        ("1d", "not a duration", "write 24h"),
        ("30s1m", "not a duration", "write 1m30s"),
        ("5s5s", "not a duration", "write 10s"),
        ("", "not a duration", "write it like"),
        ("soon", "not a duration", "write it like"),
        ("1s ", "not a duration", "write 1s"),
        ("٣s", "not a duration", "write it like"),
        ("25h", "longer than a day", "unit"),
        ("9" * 60 + "h", "longer than a day", "unit"),
    ],
)
def test_no_duration(text: str, message: str, fix: str) -> None:
    with pytest.raises(BadValue) as error:
        values.duration_s(text)
    assert message in error.value.message
    assert fix in error.value.fix


@given(st.integers(min_value=0, max_value=86_400_000))
def test_a_duration_is_written_as_it_is_read(milliseconds: int) -> None:
    seconds = milliseconds / 1000
    assert values.duration_s(values.format_duration(seconds)) == seconds


@pytest.mark.parametrize(
    ("text", "per_s", "shown"),
    [
        ("100/s", 100.0, "100/s"),
        ("0.5/s", 0.5, "30/m"),
        ("60/m", 1.0, "1/s"),
        ("50/m", 50 / 60, "50/m"),
        ("1/h", 1 / 3600, "1/h"),
        ("0.0001/s", 0.0001, "0.0001/s"),
    ],
)
def test_rate(text: str, per_s: float, shown: str) -> None:
    assert values.rate_per_s(text) == pytest.approx(per_s)
    assert values.format_rate(values.rate_per_s(text)) == shown


@pytest.mark.parametrize(
    ("text", "message", "fix"),
    [
        ("100", "how many per", "write 100/s"),
        ("100rps", "how many per", "write 100/s"),
        ("100 / s", "how many per", "write 100/s"),
        ("100/sec", "how many per", "write 100/s"),
        ("50/min", "how many per", "write 50/m"),
        ("600 per hour", "how many per", "write 600/h"),
        ("fast", "how many per", "write it like"),
        ("-1/s", "above 0", ""),
        ("0/s", "above 0", "leave load out"),
        ("0.0/m", "above 0", "leave load out"),
        ("100001/s", "more than one machine", ""),
    ],
)
def test_no_rate(text: str, message: str, fix: str) -> None:
    with pytest.raises(BadValue) as error:
        values.rate_per_s(text)
    assert message in error.value.message
    assert fix in error.value.fix


@pytest.mark.parametrize(
    "text",
    [
        "http://web.default.svc",
        "http://web.default.svc:8080/path?q=1",
        "https://example.com/",
        "http://[::1]:80/",
        "http://10.0.0.1",
        "http://web?x=1",
    ],
)
def test_url(text: str) -> None:
    assert values.http_url(text) == text
    assert re.fullmatch(values.URL, text), "the schema's pattern must agree"


@pytest.mark.parametrize(
    ("text", "message", "fix"),
    [
        ("web.default.svc", "not an http address", "write http://web.default.svc"),
        ("web:80/x", "not an http address", "write http://web:80/x"),
        ("/path", "not an http address", "write http://path"),
        ("ftp://web", "not an http address", "write http://web"),
        ("http://", "not an http address", "write"),
        ("http:web", "not an http address", "write http://web"),
        ("http://:80/", "no host", "write it like"),
        ("http://web:0/", "no port", "write it like"),
        ("http://web:99999/", "not an address", "write it like"),
        ("http://web:port/", "not an address", "write it like"),
        ("http://user:pw@web/", "user or password", "Authorization"),
        ("http://web/#top", "fragment", "write http://web/"),
        ("http://web/a b", "blank", "%20"),
        ("http://web/ü", "not ASCII", "percent-encode"),
        ("http://web..svc/", "not an address", "write it like"),
    ],
)
def test_no_url(text: str, message: str, fix: str) -> None:
    with pytest.raises(BadValue) as error:
        values.http_url(text)
    assert message in error.value.message
    assert fix in error.value.fix
    assert "http://http" not in error.value.fix


@pytest.mark.parametrize(
    ("text", "goal"),
    [
        ("success", values.Goal(SloKind.SUCCESS)),
        ("latency <= 250ms", values.Goal(SloKind.LATENCY, 0.25)),
        ("latency<=1s", values.Goal(SloKind.LATENCY, 1.0)),
    ],
)
def test_goal(text: str, goal: values.Goal) -> None:
    assert values.goal(text) == goal
    assert re.fullmatch(values.GOAL, text), "the schema's pattern must agree"


@pytest.mark.parametrize(
    ("text", "message", "fix"),
    [
        ("latency < 250ms", "compared with <=", "write latency <= 250ms"),
        ("latency >= 250ms", "compared with <=", "write latency <= 250ms"),
        ("latency <= 250", "needs a unit", "write latency <= 250ms"),
        ("latency <= 0s", "within 0 s", "write latency <= 250ms"),
        ("latency", "what a good request is", "success"),
        ("ok", "what a good request is", "success"),
        ("p99 < 1s", "what a good request is", "success"),
    ],
)
def test_no_goal(text: str, message: str, fix: str) -> None:
    with pytest.raises(BadValue) as error:
        values.goal(text)
    assert message in error.value.message
    assert fix in error.value.fix


@pytest.mark.parametrize("text", ["kube-apiserver=--v=4", "kubelet=--feature-gates=A=true,B=false", "etcd=--debug"])
def test_lab_flag(text: str) -> None:
    assert values.lab_flag(text) == text


@pytest.mark.parametrize(
    ("text", "fix"),
    [
        ("kube-api-server=--v=4", "did you mean kube-apiserver?"),
        ("kube-apiserver=v=4", "write kube-apiserver=--v=4"),
        ("kube-apiserver=-v=4", "write kube-apiserver=--v=4"),
        ("--v=4", "one of: etcd"),
        ("kube-apiserver", "write kube-controller-manager=--kube-api-qps=50"),
    ],
)
def test_no_lab_flag(text: str, fix: str) -> None:
    with pytest.raises(BadValue) as error:
        values.lab_flag(text)
    assert fix in error.value.fix


@pytest.mark.parametrize(
    ("word", "fix"),
    [
        ("noexecute", "did you mean NoExecute?"),
        ("NoExcute", "did you mean NoExecute?"),
        ("Evict", "one of: NoSchedule, NoExecute"),
    ],
)
def test_did_you_mean(word: str, fix: str) -> None:
    assert did_you_mean(word, ("NoSchedule", "NoExecute")) == fix
