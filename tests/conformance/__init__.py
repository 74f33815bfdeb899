"""Conformance rows as data, and their reader."""
