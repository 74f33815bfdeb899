"""Options that several verbs share."""

from __future__ import annotations

import argparse
from pathlib import Path

from harness.cluster.reference import ClusterRef
from harness.errors import UsageError


def add_where(parser: argparse.ArgumentParser) -> None:
    """``--lab`` or ``--context``, and what goes with them."""
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--lab", metavar="NAME", help="a lab that is up (taintlab lab up)")
    group.add_argument("--context", metavar="NAME", help="a context of the kubeconfig")
    parser.add_argument("--kubeconfig", type=Path, metavar="FILE", help="which kubeconfig --context is of")
    parser.add_argument(
        "--allow-context",
        action="append",
        default=[],
        metavar="NAME",
        help="this context may be changed although it is neither a lab nor kind",
    )
    parser.add_argument("--prometheus", metavar="URL", help="the Prometheus to read (default: the lab's own)")


def where_of(options: argparse.Namespace) -> ClusterRef:
    """What the options of `add_where` name; UsageError for --kubeconfig without --context."""
    if options.kubeconfig is not None and options.context is None:
        raise UsageError("--kubeconfig needs --context: which cluster is touched is always said")
    return ClusterRef(
        lab=options.lab,
        context=options.context,
        kubeconfig=options.kubeconfig,
        allow=tuple(options.allow_context),
        prometheus=options.prometheus,
    )
