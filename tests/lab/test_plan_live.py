"""A plan of a live cluster by somebody who may only list: what the how-to grants is enough, and nothing is written."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.lab import Lab
from harness.lab.api import Api
from tests.lab.cli import ROOT, Ended, taintlab, wait_for
from tests.lab.experiments import deployment, service

HOW_TO = ROOT / "docs" / "how-to" / "plan-a-policy.md"
RBAC = "/apis/rbac.authorization.k8s.io/v1"
POLICY = ("--taint", "taintlab.test/plan=true:NoExecute", "--nodes", "pool=spot")


def granted() -> list[dict[str, Any]]:
    """The rules of the ClusterRole in the how-to."""
    (block,) = re.findall(r"```yaml\n(.*?)```", HOW_TO.read_text(), re.DOTALL)
    rules: list[dict[str, Any]] = yaml.safe_load(block)["rules"]
    return rules


def without(resource: str) -> list[dict[str, Any]]:
    """The same, but for one resource."""
    rules = [{**rule, "resources": [each for each in rule["resources"] if each != resource]} for rule in granted()]
    return [rule for rule in rules if rule["resources"]]


class Reader:
    """A ServiceAccount that may do what `rules` say, and its kubeconfig."""

    def __init__(self, lab: Lab, api: Api, namespace: str, rules: list[dict[str, Any]], folder: Path) -> None:
        """Makes both; the ClusterRole is named like the namespace."""
        role = {"metadata": {"name": namespace}, "rules": rules}
        subject = {"kind": "ServiceAccount", "name": "default", "namespace": namespace}
        reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": namespace}
        binding = {"metadata": {"name": namespace}, "roleRef": reference, "subjects": [subject]}
        api.request("POST", f"{RBAC}/clusterroles", role)
        api.request("POST", f"{RBAC}/clusterrolebindings", binding)
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/default/token"
        self.token = api.request("POST", path, {"spec": {}})["status"]["token"]
        self.user = f"system:serviceaccount:{namespace}:default"
        self.lab = lab
        self.kubeconfig = folder / "kubeconfig.json"
        config = json.loads(lab.kubeconfig.read_text())
        config["users"] = [{"name": config["users"][0]["name"], "user": {"token": self.token}}]
        self.context = config["contexts"][0]["name"]
        self.kubeconfig.write_text(json.dumps(config))

    def plan(self, *arguments: str) -> Ended:
        """`taintlab plan` as this reader."""
        where = ("--context", self.context, "--kubeconfig", str(self.kubeconfig))
        return taintlab("plan", *POLICY, *where, *arguments)

    def writes(self) -> list[dict[str, Any]]:
        """What the audit log has of it: every request that would change something, refused ones too."""
        lines = map(json.loads, self.lab.audit_log.read_text().splitlines())
        return [line for line in lines if line["user"]["username"] == self.user]


@pytest.fixture
def served(api: Api, namespace: str) -> str:
    """A namespace with a Deployment on the spot nodes, its Service, and a budget for it."""
    at = f"/apis/apps/v1/namespaces/{namespace}/deployments"
    api.request("POST", at, deployment("web", replicas=2, tolerations=[], pool="spot"))
    api.request("POST", f"/api/v1/namespaces/{namespace}/services", service("web"))
    budget = {"maxUnavailable": 0, "selector": {"matchLabels": {"app": "web"}}}
    api.request(
        "POST",
        f"/apis/policy/v1/namespaces/{namespace}/poddisruptionbudgets",
        {"metadata": {"name": "web"}, "spec": budget},
    )
    return namespace


def wait_until_bound(api: Api, namespace: str, pods: int) -> None:
    """Until so many pods of the namespace have a node."""

    def bound() -> bool:
        items = api.request("GET", f"/api/v1/namespaces/{namespace}/pods")["items"]
        return sum(bool(item["spec"].get("nodeName")) for item in items) == pods

    wait_for(bound, timeout_s=60, what="pods to be bound")


def test_what_the_how_to_grants_is_enough(lab: Lab, api: Api, served: str, tmp_path: Path) -> None:
    wait_until_bound(api, served, 2)
    reader = Reader(lab, api, served, granted(), tmp_path)
    ended = reader.plan("--json", "--expect", "no-budget-breach")
    plan = ended.json
    assert plan["unknown"] == [], ended.out
    assert ended.code == 1
    leaving = [pod for pod in plan["leaving"] if pod["pod"].startswith(f"{served}/")]
    assert len(leaving) == 2
    assert any(finding["kind"] == "budget" and f"{served}/web" in finding["subject"] for finding in plan["findings"])
    assert reader.writes() == []


def test_a_missing_permission_is_one_line_and_leaves_its_answers_open(
    lab: Lab, api: Api, served: str, tmp_path: Path
) -> None:
    wait_until_bound(api, served, 2)
    reader = Reader(lab, api, served, without("poddisruptionbudgets"), tmp_path)
    ended = reader.plan("--expect", "no-budget-breach")
    expected = "expect no-budget-breach: unknown: may not list poddisruptionbudgets.policy (forbidden)"
    (unknown,) = [line for line in ended.out.splitlines() if line.startswith("unknown ")]
    assert unknown.endswith(": may not list poddisruptionbudgets.policy (forbidden)")
    assert expected in ended.out.splitlines()
    assert ended.code == 3, ended.out
    assert reader.plan("--expect", "no-unmanaged-loss").code == 0
    assert "Traceback" not in ended.out + ended.err


@pytest.mark.parametrize("resource", ["nodes", "pods"])
def test_without_nodes_or_pods_there_is_no_plan(
    lab: Lab, api: Api, namespace: str, tmp_path: Path, resource: str
) -> None:
    ended = Reader(lab, api, namespace, without(resource), tmp_path).plan()
    assert ended.code == 3
    assert len(ended.err.splitlines()) == 1
    assert f"may not list {resource}" in ended.err or f'cannot list resource "{resource}"' in ended.err, ended.err


def test_the_reader_of_these_tests_is_really_limited(lab: Lab, api: Api, namespace: str, tmp_path: Path) -> None:
    reader = Reader(lab, api, namespace, granted(), tmp_path)
    payload = json.loads(base64.urlsafe_b64decode(reader.token.split(".")[1] + "=="))
    assert payload["sub"] == reader.user
    ended = taintlab("lab", "exec", "--name", lab.name, "--", "kubectl", "--kubeconfig", str(reader.kubeconfig),
                     "create", "namespace", f"{namespace}-x")  # fmt: skip
    assert ended.code != 0
    assert reader.writes()
