"""Generated write scripts: the predictor against the real controllers; a small batch in CI, a large one by command."""
