"""Doing what the plan says, and writing down everything that happens."""
