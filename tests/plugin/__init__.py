"""The pytest plugin, tested by running pytest inside pytest."""
