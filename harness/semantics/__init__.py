"""Kubernetes' rules as pure code: what taints and tolerations decide (`matching`, `decision`), and above it eviction,
scheduling and drains, which do not know each other; the catalogue of them all is `rules`.
"""
