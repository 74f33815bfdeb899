"""Fakes of our own ports, for unit tests only."""
