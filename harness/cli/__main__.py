"""``python -m harness.cli`` is ``taintlab``."""

import sys

from harness.cli import main

sys.exit(main())
