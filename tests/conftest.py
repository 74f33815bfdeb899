"""Fixtures for every room of tests."""
