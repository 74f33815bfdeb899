"""Kubernetes' rules as pure code: eviction, scheduling, and the catalogue of both."""
