"""Write scripts: a world and timed writes to it, for the predictor and the replayer."""

from harness.formats.script.files import parse_script, read_script, scenario_of, scripts_in
from harness.formats.script.plain import to_plain

__all__ = ["parse_script", "read_script", "scenario_of", "scripts_in", "to_plain"]
