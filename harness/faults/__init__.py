"""Faults: each says how a node must change, and how to change it back so that it is exactly as it was.

`claim` is the undo record that travels on the node itself; `taint` and `cordon` compute patches; `apply` does
guarded writes.
"""
