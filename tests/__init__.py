"""The tests: pure, contract, lab, plugin, golden."""
