"""How much memory a process took at its most.

Not ``ru_maxrss``: across fork and exec Linux keeps in it the peak of the process that started this one (here pytest's),
so that a bound measured with it fails for the parent's sake, and growth measured with it is never seen.
"""

import re
from pathlib import Path


def peak_kib() -> int:
    """The most resident memory that this process itself had so far, in KiB (``VmHWM`` of proc(5))."""
    found = re.search(r"^VmHWM:\s+(\d+) kB$", Path("/proc/self/status").read_text(encoding="utf-8"), re.MULTILINE)
    assert found is not None, "this kernel tells no VmHWM"
    return int(found[1])
