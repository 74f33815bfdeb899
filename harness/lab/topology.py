"""Which nodes a lab has, under the lab's name; how a file says it is in `harness.formats.topology`."""

from harness.formats.labels import parse_taint as parse_taint
from harness.formats.topology import read_topology as read_topology
from harness.formats.topology import read_topology_file as read_topology_file
from harness.model.topology import Node as Node
from harness.model.topology import Topology as Topology
from harness.model.topology import default_topology as default_topology
from harness.model.topology import plain_topology as plain_topology
