"""Secrets stay out of what is kept and shown, by their place; everything else stays."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from harness.faults.registry import FAULTS
from harness.history.plain import decode, plain
from harness.history.redact import hashed, redact_experiment, redact_object, redact_text, redact_url
from harness.history.redact_yaml import redact_yaml, stored_spec
from harness.model.experiment import Experiment, LabWish, Load, Manifest
from tests.pure.records import MadeRun

SECRET = "s3cr3t-hunter2"
HASH = hashed(SECRET)

PLACES = {
    "password": "password: s3cr3t-hunter2\n",
    "custom-header": "headers: {X-Auth: s3cr3t-hunter2}\n",
    "header-list": "httpHeaders: [{name: X-Auth, value: s3cr3t-hunter2}]\n",
    "argument": "args: [--password=s3cr3t-hunter2]\n",
    "command": "command: [sh, -c, login s3cr3t-hunter2]\n",
    "query": "url: http://web/?token=s3cr3t-hunter2\n",
    "query-without-scheme": "url: web.default/x?token=s3cr3t-hunter2\n",
    "user-of-url": "url: http://u:s3cr3t-hunter2@web/\n",
    "url-anywhere": "note: see http://u:s3cr3t-hunter2@web/ there\n",
    "fragment": "url: http://web/#access_token=s3cr3t-hunter2\n",
    "body": 'body: \'{"pin": "s3cr3t-hunter2"}\'\n',
    "body-mapping": "body: {pin: s3cr3t-hunter2}\n",
    "password-list": "password: [s3cr3t-hunter2]\n",
    "password-mapping": "passwords: {db: s3cr3t-hunter2}\n",
    "comment": "a: 1 # s3cr3t-hunter2\n# s3cr3t-hunter2\n",
    "env": "env: [{name: DB, value: s3cr3t-hunter2}]\n",
    "env-mapping": "env: {DB: s3cr3t-hunter2}\n",
    "env-by-name": "DB_PASS: s3cr3t-hunter2\n",
    "bearer-anywhere": "note: Bearer s3cr3t-hunter2\n",
    "token-scheme": "note: token s3cr3t-hunter2\n",
    "annotation": "annotations: {last-applied: s3cr3t-hunter2}\n",
    "secret-data": "kind: Secret\nstringData: {x: s3cr3t-hunter2}\n",
    "config-map-data": "kind: ConfigMap\ndata: {x: s3cr3t-hunter2}\n",
    "second-document": "a: 1\n---\ntoken: s3cr3t-hunter2\n",
    "block-scalar": "token: |\n  s3cr3t-hunter2\n  more\n",
    "anchor-before": "a: &x s3cr3t-hunter2\nheaders: {A: *x}\n",
    "anchor-after": "headers: {A: &x s3cr3t-hunter2}\na: *x\n",
    "merged": "base: &b {A: s3cr3t-hunter2}\nheaders: {<<: *b}\n",
    "tagged": "password: !!binary s3cr3t-hunter2\n",
}


@pytest.mark.parametrize("text", PLACES.values(), ids=PLACES)
def test_a_secret_is_not_kept(text: str) -> None:
    assert SECRET in text
    kept = stored_spec(text, keep_secrets=False)
    assert SECRET not in kept
    assert redact_yaml(kept) == kept, "redacting twice is redacting once"
    assert stored_spec(text, keep_secrets=True) == text


@pytest.mark.parametrize(
    "text",
    [
        "kind: Experiment\nspec:\n  target: {nodes: {selector: pool=spot, count: 1}, seed: 7}\n",
        'faults:\n- taint: {key: spot-interruption, value: "true", effect: NoExecute}\n',
        "load:\n  url: http://web.default.svc/x\n  rate: 100/s\n",
        "slos:\n- {name: latency, phases: [baseline, fault], good: latency <= 250ms, ratio: 0.99}\n",
        "value: b\n",
        "automountServiceAccountToken: false\n",
        "tolerationSeconds: 5\n",
        "secretName: web\n",
        "password: null\n",
    ],
)
def test_what_is_no_secret_stays_as_written(text: str) -> None:
    assert redact_yaml(text) == text


def test_equal_values_can_be_compared() -> None:
    first = redact_yaml("headers: {A: s3cr3t-hunter2, B: other}\n")
    assert first == redact_yaml("headers: {A: s3cr3t-hunter2, B: other}\n")
    assert first is not None
    assert first.count(HASH) == 1


@pytest.mark.parametrize(
    "text",
    [
        "password: [unclosed",
        "[" * 100_000,
        "a: " + "[" * 65 + "]" * 65 + "\n",
        "- 1\n" * 200_000,
        "x" * (1 << 20) + "xx",
        'a: "\\UFFFFFFFF"\n',
    ],
    ids=["syntax", "brackets", "depth", "nodes", "size", "no-character"],
)
def test_what_cannot_be_told_apart_is_not_shown(text: str) -> None:
    assert redact_yaml(text) is None
    assert stored_spec(text, keep_secrets=False).startswith("# not kept")


def test_aliases_are_never_expanded() -> None:
    text = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9))
    shown = redact_yaml(text)
    assert shown is not None
    assert len(shown) < 2 * len(text)


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("kubectl --token x", "kubectl --token x"),
        ("Authorization: Bearer abc.def-1", f"Authorization: Bearer {hashed('abc.def-1')}"),
        ("the token belongs to nobody", "the token belongs to nobody"),
        ("at https://h/p?q=1 now", f"at https://h/p?{hashed('q=1')} now"),
        ("http://admin:pw@prometheus:9090", f"http://{hashed('admin:pw')}@prometheus:9090"),
        ("http://h/p", "http://h/p"),
    ],
)
def test_text(given: str, shown: str) -> None:
    assert redact_text(given) == shown
    assert redact_text(shown) == shown


def test_a_url_may_lack_its_scheme() -> None:
    assert redact_url("web:80/x?a=b") == f"web:80/x?{hashed('a=b')}"


DEPLOYMENT = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web", "labels": {"app": "web"}, "annotations": {"a": SECRET}},
    "spec": {
        "replicas": 3,
        "selector": {"matchLabels": {"app": "web"}},
        "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {
                "tolerations": [{"key": "spot", "operator": "Equal", "value": "x", "tolerationSeconds": 5}],
                "nodeSelector": {"pool": "spot"},
                "containers": [
                    {
                        "name": "web",
                        "image": "web:1",
                        "args": [f"--password={SECRET}"],
                        "command": [SECRET],
                        "env": [
                            {"name": "DB", "value": SECRET},
                            {"name": "REF", "valueFrom": {"secretKeyRef": {"name": "db", "key": "pw"}}},
                        ],
                        "ports": [{"name": "http", "containerPort": 80, "protocol": "TCP"}],
                        "livenessProbe": {"exec": {"command": [SECRET]}, "periodSeconds": 1},
                        "readinessProbe": {"httpGet": {"path": f"/?k={SECRET}", "port": 80}},
                        "resources": {"requests": {"cpu": "10m"}},
                    }
                ],
            },
        },
    },
}


def test_of_an_object_stays_what_judging_needs() -> None:
    kept = redact_object(DEPLOYMENT)
    assert SECRET not in json.dumps(kept)
    pod, was = kept["spec"]["template"]["spec"], DEPLOYMENT["spec"]["template"]["spec"]  # type: ignore[index]
    assert kept["metadata"]["labels"] == {"app": "web"}
    assert kept["spec"]["replicas"] == 3
    assert kept["spec"]["selector"] == DEPLOYMENT["spec"]["selector"]  # type: ignore[index]
    assert pod["tolerations"] == was["tolerations"]
    assert pod["nodeSelector"] == was["nodeSelector"]
    container, before = pod["containers"][0], was["containers"][0]
    for key in ("name", "image", "ports", "resources"):
        assert container[key] == before[key]
    assert container["env"][0] == {"name": "DB", "value": HASH}
    assert container["env"][1] == before["env"][1]


def test_texts_of_kinds_that_nobody_knows_are_hidden() -> None:
    kept = redact_object({"kind": "Widget", "metadata": {"name": "w"}, "spec": {"hint": SECRET, "size": 3}})
    assert kept == {"kind": "Widget", "metadata": {"name": "w"}, "spec": {"hint": HASH, "size": 3}}


def test_the_redacted_experiment_is_an_experiment() -> None:
    load = Load(f"http://web/?t={SECRET}", 10.0, headers=(("X-Auth", SECRET),), body=SECRET)
    whole: Experiment = replace(
        MadeRun().record().experiment,
        load=load,
        workload=(Manifest("apps/v1", "Deployment", "web", None, DEPLOYMENT, "web.yaml", 1),),
        lab=LabWish(flags=(f"kube-apiserver.--oidc-client-secret={SECRET}", "kcm.--node-monitor-grace-period=5s")),
    )
    kept = redact_experiment(whole)
    text = json.dumps(plain(kept))
    kinds = [kind.value for kind in FAULTS]
    assert SECRET not in text
    assert HASH in text
    assert decode(Experiment, json.loads(text), kinds) == decode(Experiment, plain(kept), kinds)
    assert kept.lab.flags[1] == whole.lab.flags[1]
    assert (kept.phases, kept.faults, kept.target) == (whole.phases, whole.faults, whole.target)
