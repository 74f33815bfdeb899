"""pytest plugin: experiment files as test items.

``pytest FOLDER --taintlab-lab N`` (or ``--taintlab-context C``, or ``--taintlab-start-lab``) collects every YAML file
whose kind is Experiment. PASS passes; FAIL, INVALID and an abort fail; INCONCLUSIVE fails too, unless
``--taintlab-inconclusive=skip``. Everything else of taintlab is imported only when such an item runs. Options carry our
prefix: Locust's own plugin claims ``--host`` and ``-H``.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from harness.engine import FinishedRun

_IS_EXPERIMENT = re.compile(rb"^kind:\s*[\"']?Experiment\b", re.MULTILINE)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Our options, all with the prefix ``--taintlab-``."""
    group = parser.getgroup("taintlab", "experiments on Kubernetes taints")
    group.addoption("--taintlab-lab", metavar="NAME", help="run experiment files on this lab")
    group.addoption("--taintlab-context", metavar="NAME", help="run experiment files on this kubeconfig context")
    group.addoption("--taintlab-start-lab", action="store_true", help="run each on a lab, started for it if none is up")
    group.addoption("--taintlab-kubeconfig", metavar="FILE", type=Path, help="which kubeconfig the context is of")
    group.addoption("--taintlab-allow-context", metavar="NAME", action="append", default=[])
    group.addoption("--taintlab-out", metavar="DIR", type=Path, help="where run folders go (default: runs)")
    group.addoption("--taintlab-inconclusive", choices=["fail", "skip"], default="fail")


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Experiment files, when it was said where they run; other YAML is none of our business."""
    config = parent.config
    clusters = ("--taintlab-lab", "--taintlab-context", "--taintlab-start-lab")
    named = any(config.getoption(option) for option in clusters)
    if not named or file_path.suffix not in (".yaml", ".yml"):
        return None
    if not _IS_EXPERIMENT.search(file_path.read_bytes()[:65536]):
        return None
    file: pytest.Collector = ExperimentFile.from_parent(parent, path=file_path)
    return file


class ExperimentFile(pytest.File):
    """One experiment file: one item."""

    def collect(self) -> Iterator[pytest.Item]:
        """The item is named after the file, which is unique in its folder."""
        yield ExperimentItem.from_parent(self, name=self.path.stem)


class NotPassed(Exception):
    """The experiment did not pass; carries what to tell."""


class ExperimentItem(pytest.Item):
    """Runs one experiment and fails with its reason."""

    def runtest(self) -> None:
        """Run; NotPassed unless the verdict is PASS. Something left on the cluster is never skipped."""
        from harness.errors import ExitCode

        finished = self._run()
        result = finished.result
        self.add_report_section("call", "taintlab", f"report: {finished.page or finished.unrendered}")
        self.user_properties.append(("taintlab_verdict", result["verdict"]))
        self.user_properties.append(("taintlab_folder", str(finished.folder)))
        if result["exit_code"] == ExitCode.INTERRUPTED:
            raise KeyboardInterrupt  # the run healed; the session ends as the user asked
        healed = result["exit_code"] != ExitCode.HEAL_FAILED
        if (
            healed
            and result["verdict"] == "INCONCLUSIVE"
            and self.config.getoption("--taintlab-inconclusive") == "skip"
        ):
            pytest.skip(f"INCONCLUSIVE: {result['reason']}")
        if result["exit_code"] != 0:
            raise NotPassed(_text(result))
        if finished.unrendered:
            raise NotPassed(f"{result['verdict']}, but its report could not be written: {finished.unrendered}")

    def _run(self) -> FinishedRun:
        from harness.clock import SystemClock
        from harness.cluster.reference import ClusterRef
        from harness.engine import NotStarted
        from harness.lab.progress import Progress as LabProgress
        from harness.wiring.running import cluster_for, request_of, run_to_its_end
        from reports.progress import PlainProgress

        option = self.config.getoption
        named = ClusterRef(
            lab=option("--taintlab-lab"),
            context=option("--taintlab-context"),
            kubeconfig=option("--taintlab-kubeconfig"),
            allow=tuple(option("--taintlab-allow-context")),
        )
        clock = SystemClock()
        lines = io.StringIO()
        progress = PlainProgress(lines)
        request = request_of(self.path, out=None, base=option("--taintlab-out") or Path.cwd(), clock=clock)
        try:
            with cluster_for(request.experiment, named, keep_lab=False, report=LabProgress(lines)) as where:
                return run_to_its_end(request, where, clock=clock, progress=progress)
        except NotStarted as error:
            raise KeyboardInterrupt(str(error)) from error
        finally:
            self.add_report_section("call", "progress", lines.getvalue())

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """The reason alone for what we explain ourselves; a traceback for our own defects."""
        from harness.errors import TaintlabError

        if isinstance(excinfo.value, NotPassed | TaintlabError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Where the item is."""
        return self.path, None, f"experiment: {self.name}"


def _text(result: dict[str, Any]) -> str:
    lines = [f"{result['verdict']}: {result['reason']}"]
    lines += [f"  {check['id']}: {check['verdict']}: {check['reason']}" for check in result["checks"]]
    if result["what_would_decide"]:
        lines.append(f"  what would decide it: {result['what_would_decide']}")
    return "\n".join(lines)
