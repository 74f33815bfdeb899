"""Which local program stands in for which container image.

There is no image registry in the lab: a container is a process of a program that the host has. The table maps an
image's name (no tag, no digest; the full name is tried first, then its last path element) to the start of an argv:

``["@host"]``        the container's own command and arguments, run from the host's file system (shells, sleep, ...)
``["/abs/prog"]``    that program, with the container's arguments
``["@stand-in"]``    a quiet process of the lab's own, which is also what an unknown image becomes
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

HOST = ("@host",)
STAND_IN = ("@stand-in",)

_HOST_IMAGES = ("alpine", "bash", "busybox", "debian", "python", "ubuntu")


def table(*, podinfo: Path, extra: Mapping[str, tuple[str, ...]]) -> dict[str, list[str]]:
    """The content of programs.json: the usual images, then the user's `extra` ones, which win over ours.

    `podinfo`: the third-party podinfo server that is built beside Kubernetes.
    """
    ours: dict[str, tuple[str, ...]] = dict.fromkeys(_HOST_IMAGES, HOST)
    ours["registry.k8s.io/pause"] = STAND_IN
    ours["pause"] = STAND_IN
    ours["ghcr.io/stefanprodan/podinfo"] = (str(podinfo),)
    ours["podinfo"] = (str(podinfo),)
    return {image: list(argv) for image, argv in {**ours, **extra}.items()}
