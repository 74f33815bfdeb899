"""taintlab: prove a taint policy before it evicts production.

The packages, from the words up: ``model`` (frozen values), ``history`` (facts, append-only) and ``formats`` (files to
values), ``semantics`` (Kubernetes' rules), ``cluster`` (ports, watch, undo), ``plan`` and ``snapshot``, ``check`` and
``impact`` (pure judges), ``faults`` (one file a kind), ``run`` (does the steps, watches), ``adapters`` and ``lab`` (the
outside), ``engine`` (request in, finished run out), ``wiring`` and ``cli``. Beside this package: ``reports`` (readers
of a finished run) and ``loadgen`` (traffic, in its own process). docs/tour.md walks through them.
"""

__version__ = "0.1.0"
