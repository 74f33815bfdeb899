"""Topologies: which nodes a lab has, read from YAML."""

from harness.formats.topology.files import read_topology, read_topology_file

__all__ = ["read_topology", "read_topology_file"]
