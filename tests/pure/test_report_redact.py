"""Secrets do not reach the page; everything else of the file stays as written."""

from __future__ import annotations

import pytest

from reports.redact import redact_text, redact_yaml


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        pytest.param("a: 1  # why\nb: [x, y]\n", "a: 1  # why\nb: [x, y]\n", id="nothing-secret-stays-as-written"),
        pytest.param("password: hunter2\n", "password: [redacted]\n", id="password"),
        pytest.param(
            "h: {Authorization: 'Bearer abcdefgh', X: y}\n", "h: {Authorization: [redacted], X: y}\n", id="flow"
        ),
        pytest.param("apiKey: abc\napi-key: d\n", "apiKey: [redacted]\napi-key: [redacted]\n", id="api-key"),
        pytest.param("env:\n- {name: A, value: b}\n", "env:\n- {name: A, value: [redacted]}\n", id="env"),
        pytest.param("env:\n- name: A\n  value: b # c\n", "env:\n- name: A\n  value: [redacted] # c\n", id="env-block"),
        pytest.param("value: b\n", "value: b\n", id="value-outside-env"),
        pytest.param("token: |\n  ab\n  cd\nnext: 1\n", "token: [redacted]\nnext: 1\n", id="block-scalar"),
        pytest.param("kind: Secret\ndata: {x: abc}\n", "kind: Secret\ndata: {x: [redacted]}\n", id="secret-data"),
        pytest.param("kind: ConfigMap\ndata: {x: abc}\n", "kind: ConfigMap\ndata: {x: abc}\n", id="config-map-data"),
        pytest.param("a: 1\n---\ntoken: x\n", "a: 1\n---\ntoken: [redacted]\n", id="second-document"),
        pytest.param("secretName: web\n", "secretName: web\n", id="a-name-is-no-secret"),
        pytest.param("automountServiceAccountToken: false\n", "automountServiceAccountToken: false\n", id="a-switch"),
        pytest.param("url: http://u:pw@h/x\n", "url: http://u:[redacted]@h/x\n", id="password-in-url"),
        pytest.param("tolerationSeconds: 5\n", "tolerationSeconds: 5\n", id="toleration"),
        pytest.param(
            "args: [--header, Bearer abcdef123]\n", "args: [--header, Bearer [redacted]]\n", id="bearer-anywhere"
        ),
    ],
)
def test_redacted(given: str, shown: str) -> None:
    assert redact_yaml(given) == shown


def test_what_is_not_yaml_is_not_shown() -> None:
    assert redact_yaml("password: [unclosed") is None


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("kubectl --token x", "kubectl --token x"),
        ("Authorization: Bearer abc.def-1", "Authorization: Bearer [redacted]"),
    ],
)
def test_text(given: str, shown: str) -> None:
    assert redact_text(given) == shown
