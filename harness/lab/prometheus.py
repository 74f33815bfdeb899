"""Prometheus' own configuration and command line in the lab.

Pods with the usual annotations (``prometheus.io/scrape: "true"``, ``/port``, ``/path``) are scraped every second; which
ones there are comes from files (harness.lab.discovery). Prometheus throttles discovery: a new pod's first scrape comes
some 5 s after it started (measured with 2.42; no setting changes it).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from harness.lab import addresses
from harness.lab.discovery import KUBELETS_FILE, PODS_FILE

SCRAPE_INTERVAL_S = 1
COMPONENT_INTERVAL_S = 5
"""Components answer with thousands of series: scraping those every second would cost more than all the pods."""


def config(*, pki: Path, discovered: Path) -> str:
    """The text of prometheus.yml (JSON, which is YAML).

    `pki` holds prometheus.crt, .key and ca.crt; `discovered` is the folder that harness.lab.discovery writes to.
    """
    own = _tls(pki, verify=False)
    jobs = [
        {"job_name": "pods", **_files(discovered / PODS_FILE)},
        {"job_name": "kubelets", **_secure(own), **_files(discovered / KUBELETS_FILE)},
        {
            "job_name": "kube-apiserver",
            **_secure(_tls(pki, verify=True)),
            **_static(f"{addresses.API_ADDRESS}:{addresses.API_PORT}"),
        },
        {"job_name": "kube-controller-manager", **_secure(own), **_static("127.0.0.1:10257")},
        {"job_name": "kube-scheduler", **_secure(own), **_static("127.0.0.1:10259")},
    ]
    seconds = f"{SCRAPE_INTERVAL_S}s"
    return json.dumps(
        {"global": {"scrape_interval": seconds, "scrape_timeout": seconds}, "scrape_configs": jobs}, indent=1
    )


def command(program: Path, *, config_file: Path, data: Path, web: Path | None) -> tuple[str, ...]:
    """Prometheus' argv. `web`: the Debian package's page files, without which ``/`` answers 500."""
    argv = [
        str(program),
        f"--config.file={config_file}",
        f"--storage.tsdb.path={data}",
        "--storage.tsdb.retention.time=1d",
        f"--web.listen-address=0.0.0.0:{addresses.PROMETHEUS_PORT}",
        "--log.level=warn",
    ]
    if web is not None:
        argv.append(f"--web.local-assets={web}")
    return tuple(argv)


def _files(file: Path) -> dict[str, Any]:
    return {"file_sd_configs": [{"files": [str(file)]}]}


def _static(target: str) -> dict[str, Any]:
    return {"static_configs": [{"targets": [target]}]}


def _secure(tls: dict[str, Any]) -> dict[str, Any]:
    """A component's job: HTTPS, and not as often as the pods."""
    seconds = f"{COMPONENT_INTERVAL_S}s"
    return {"scheme": "https", "scrape_interval": seconds, "scrape_timeout": seconds, "tls_config": tls}


def _tls(pki: Path, *, verify: bool) -> dict[str, Any]:
    """`verify` False for components that serve with a certificate they signed themselves."""
    return {
        "ca_file": f"{pki}/ca.crt",
        "cert_file": f"{pki}/prometheus.crt",
        "key_file": f"{pki}/prometheus.key",
        "insecure_skip_verify": not verify,
    }
