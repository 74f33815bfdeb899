"""Tests on the real control plane of the lab."""
