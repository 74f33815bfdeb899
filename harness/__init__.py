"""taintlab: prove a taint policy before it evicts production.

The rooms, in the order data runs through them: ``spec`` (YAML to model), ``plan`` (targets, predictions, steps),
``run``
(does the steps, watches), ``history`` (facts, append-only), ``check`` (pure judges), and outside this package
``reports``
(readers of a finished run) and ``loadgen`` (traffic, in its own process). ``adapters`` and ``lab`` are the doors to
the world.
"""

__version__ = "0.1.0"
