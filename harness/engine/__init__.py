"""One engine behind command, plugin and whatever comes next: a request in, a finished, judged, rendered run out.

`execute` takes a run from its request to its verdict, `judging` judges a run folder, `preparing` looks before anything
is touched, `recovering` reverts what a run left. The outside comes in as ports; no signal handler is touched here, no
experiment is read from disk, and several runs may go on in one process.
"""

from harness.engine.execute import execute
from harness.engine.judging import judge_folder
from harness.engine.keeping import default_folder
from harness.engine.request import FinishedRun, LoadFactory, RunCluster, RunPorts, RunRequest
from harness.engine.run_id import new_run_id
from harness.engine.stop import NotStarted, StopSignal

__all__ = [
    "FinishedRun",
    "LoadFactory",
    "NotStarted",
    "RunCluster",
    "RunPorts",
    "RunRequest",
    "StopSignal",
    "default_folder",
    "execute",
    "judge_folder",
    "new_run_id",
]
