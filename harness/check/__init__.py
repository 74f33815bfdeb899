"""Pure judges over a finished run: they know neither cluster nor clock, only what was written down."""
