"""Which cluster is meant: what a command line, a plugin option or a run folder names. A value; nothing is opened."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

_KIND_PREFIX = "kind-"


@dataclass(frozen=True, slots=True)
class ClusterRef:
    """What the command line named. Exactly one of `lab` and `context`, or neither (then a lab is started, or the
    running one used).

    `allow`: contexts that are neither lab nor kind and may be touched all the same. `prometheus`: a URL, None for
    the lab's own.
    """

    lab: str | None = None
    context: str | None = None
    kubeconfig: Path | None = None
    allow: tuple[str, ...] = ()
    prometheus: str | None = None

    @property
    def is_named(self) -> bool:
        """Whether it says which cluster is meant."""
        return self.lab is not None or self.context is not None

    @property
    def may_be_changed(self) -> bool:
        """Labs and kind clusters may; any other context only when it was allowed by name."""
        return self.context is None or is_kind(self.context) or self.context in self.allow


def is_kind(context: str) -> bool:
    """Whether a context is one of kind's own, by its name."""
    return context.startswith(_KIND_PREFIX)
